"""Which points are killed at, and how requests are named: pure."""

from collections import Counter

import pytest
from yarl import URL

from tests.virtual.kills.mortality import KillPoint
from tests.virtual.kills.plan import MOMENTS, plan, reads, some_of
from tests.virtual.kills.requests import name_of

TABLES, BLOBS = "127.0.0.1:1", "127.0.0.1:2"
MADE = {
    "a": Counter({"Claims POST": 3, "State query": 9, "ARM PATCH deployments": 1}),
    "b": Counter({"Claims POST": 1, "mail POST": 2}),
}


def test_every_request_is_hit_before_and_after_its_effect() -> None:
    points = plan(MADE, 0, seed=7)
    hit = {(point.request, point.moment) for point in points}
    assert hit == {(request, moment) for made in MADE.values() for request in made for moment in MOMENTS}
    assert all(1 <= point.nth <= MADE[point.scenario][point.request] for point in points)


def test_a_seed_is_a_plan_and_the_rest_is_drawn_without_repetition() -> None:
    assert plan(MADE, 10, seed=7) == plan(MADE, 10, seed=7) != plan(MADE, 10, seed=8)
    points = plan(MADE, 10, seed=7)
    assert len(points) == len(set(points)) == 10


def test_a_few_are_taken_in_turns_of_the_scenarios_and_change_something() -> None:
    some = some_of(plan(MADE, 0, seed=7), 4, MADE)
    assert [point.scenario for point in some][:2] == ["a", "b"]
    assert not any(reads(point.request) for point in some)


def test_a_point_is_written_and_read() -> None:
    point = KillPoint("storm", "after", 2, "blob PUT watchkeeper-quarantine (container)")
    assert KillPoint.parse(str(point)) == point
    for wrong in ("storm", "storm/never/1/x", "storm/after/x/y"):
        with pytest.raises(ValueError, match="no kill point"):
            KillPoint.parse(wrong)


@pytest.mark.parametrize(
    ("method", "url", "body", "name"),
    [
        ("POST", f"http://{TABLES}/acc/Tables", "", "tables create"),
        ("POST", f"http://{TABLES}/acc/t1x2WatchkeeperClaims", '{"RowKey": "abc"}', "Claims POST"),
        (
            "PUT",
            f"http://{TABLES}/acc/t1x2WatchkeeperState(PartitionKey='p',RowKey='action,x')",
            '{"value": "{\\"state\\": \\"sent\\"}"}',
            "State PUT action sent",
        ),
        (
            "POST",
            f"http://{TABLES}/acc/$batch",
            'POST /acc/t1x2WatchkeeperLedger HTTP/1.1\n{"kind": "outcome"}',
            "Ledger batch outcome",
        ),
        ("GET", f"http://{TABLES}/acc/t1x2WatchkeeperClaims()?$filter=done eq 'no'", "", "Claims query left"),
        ("PUT", f"http://{BLOBS}/acc/watchkeeper-quarantine/abc", "", "blob PUT watchkeeper-quarantine"),
        (
            "PATCH",
            "https://management.azure.com/subscriptions/s/resourceGroups/g/providers/M.L/workspaces/w/onlineEndpoints/e"
            "/deployments/d",
            "",
            "ARM PATCH deployments",
        ),
        ("POST", "https://x.communication.azure.com/emails:send", "", "mail POST"),
        ("GET", "https://kv.vault.azure.net/secrets/a", "", "vault GET"),
        ("POST", "https://hooks.slack.com/services/a", "", "webhook slack POST"),
    ],
)
def test_what_a_request_is(method: str, url: str, body: str, name: str) -> None:
    assert name_of(method, URL(url), body.encode(), TABLES, BLOBS) == name
