"""What is allowed, but probably not meant."""

from typing import Any

import pytest

from shared.policy import review_policy
from tests.policy.documents import as_yaml, document, queue_id, target, warnings_in


def test_a_sensible_policy_has_no_warnings() -> None:
    assert warnings_in(target(mode="enforce"), loops={"scaling": {"mode": "enforce"}}) == {}


def test_a_promise_shorter_than_the_cold_start() -> None:
    assert (
        "new instances come too late"
        in warnings_in(defaults={"max": 6, "drain_within_s": 60})["defaults.drain_within_s"]
    )


def test_nothing_to_scale() -> None:
    assert "nothing to scale" in warnings_in(target(scaling={"max": 1}))["targets[0].scaling.max"]


def test_rates_that_would_always_be_stale() -> None:
    assert (
        "would often count as stale" in warnings_in(defaults={"max": 6, "stale_after_s": 60})["defaults.stale_after_s"]
    )


def test_people_who_are_not_respected() -> None:
    assert (
        "undone at once" in warnings_in(target(scaling={"respect_manual_s": 0}))["targets[0].scaling.respect_manual_s"]
    )


def test_targets_held_back_by_the_loops_mode() -> None:
    names = [f"t{number}" for number in range(5)]
    warnings = warnings_in(*(target(name, mode="enforce") for name in names))

    assert warnings["loops.scaling.mode"].startswith(
        "is observe, more cautious than the mode of t0, t1, t2 and 2 more,"
    )


def test_floors_that_do_nothing_or_contradict() -> None:
    floors = [
        {"match": "nobody-*", "min_instances": 1, "reason": "r"},
        {"match": "chat", "min_instances": 9, "reason": "r"},
    ]
    warnings = warnings_in(floors=floors)

    assert warnings["floors[0].match"].startswith("is 'nobody-*', which matches no target.")
    assert "more than max of target 'chat', which is 6: the floor wins" in warnings["floors[1].min_instances"]


ADA, BEA = "ada@example.com", "bea@example.com"


@pytest.mark.parametrize(
    ("channels", "needed", "warned"),
    [
        ([], 1, True),
        ([{"name": "chat", "kind": "teams", "secret": "hook"}], 1, True),
        ([{"name": "chat", "kind": "teams", "secret": "hook", "recipients": [ADA.upper()]}], 1, False),
        ([{"name": "chat", "kind": "teams", "secret": "hook", "recipients": [ADA]}], 2, True),
        ([{"name": "mail", "kind": "mail"}], 2, False),
    ],
)
def test_people_whom_no_channel_reaches(channels: list[dict[str, Any]], needed: int, warned: bool) -> None:
    rule = {"name": "growth", "who": [ADA, BEA], "needed": needed}
    warnings = warnings_in(approvals=[rule], notices={"channels": channels})
    assert ("can be asked" in warnings.get("approvals[0].who", "")) is warned


def test_two_targets_on_one_queue() -> None:
    warnings = warnings_in(target("a", queue=queue_id("jobs")), target("b", queue=queue_id("jobs").lower()))

    assert warnings["targets[1].queue"].startswith("is also the queue of target 'a'")


def test_warnings_have_lines() -> None:
    text = as_yaml(document(target(scaling={"respect_manual_s": 0})))
    (warning,) = review_policy(text, "policy.yaml").warnings

    assert warning.line is not None
    assert text.splitlines()[warning.line - 1].strip() == "respect_manual_s: 0"
