"""HTTP for operators: what they see of targets and of the ledger, and what they are told when something is wrong."""

import json
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from shared import services
from shared.records.chain import EntryKind, LedgerEntry
from tests.virtual.arena import ENDPOINT_KEY, QUICK, Arena, policy_text
from tests.virtual.conftest import VIRTUAL, OpenArena

pytestmark = VIRTUAL


async def rows(arena: Arena) -> list[Any]:
    """Every row of every table of this test, with its ETag."""
    found = []
    for name in ("WatchkeeperState", "WatchkeeperLedger", "WatchkeeperControls"):
        table = arena.made.tables.table(name)
        found += [row async for row in table.query("PartitionKey ge @first", {"first": ""})]
    return found


async def test_targets_show_what_is_stored_of_them(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3)) as arena:
        (before,) = (await arena.call("GET", "targets", status=200))["targets"]
        assert (before["name"], before["mode"], before["capacity"], before["order"]) == ("chat", "enforce", None, None)
        await arena.evaluate()
        (during,) = (await arena.call("GET", "targets", status=200))["targets"]
        assert during["capacity"] == 1
        assert (during["order"]["from"], during["order"]["to"], during["order"]["state"]) == (1, 3, "accepted")
        await arena.pass_time(120)
        (after,) = (await arena.call("GET", "targets", status=200))["targets"]
        assert (after["capacity"], after["order"]) == (3, None)
        assert (after["last_action"]["state"], after["last_action"]["to"]) == ("succeeded", 3)
        assert after["holds_counted"] >= 0
        assert (after["paused"], after["kill_switch"], after["standing_intents"]) == (None, False, [])


async def test_targets_are_filtered_and_paged(open_arena: OpenArena) -> None:
    async with open_arena(policy=policy_text("observe")) as arena:

        async def listed(query: str) -> list[str]:
            return [one["name"] for one in (await arena.call("GET", f"targets?{query}", status=200))["targets"]]

        assert await listed("mode=observe&limit=1") == ["chat"]
        assert await listed("mode=enforce") == []
        assert await listed("project=talk") == []
        assert await listed("cursor=chat") == []


async def test_a_look_at_one_target_writes_and_starts_nothing(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3)) as arena:
        await arena.evaluate()
        await arena.pass_time(120)
        arena.set_policy(policy_text(min=4))
        await arena.pass_time(5)
        before = await rows(arena)
        shown = await arena.call("GET", "targets/chat", status=200)
        await arena.clock.settle()
        assert await rows(arena) == before
        assert len(arena.sent()) == 1
        now = shown["now"]
        assert now["sentence"].startswith("chat: 3 -> 4 (below_min). ")
        assert (now["decision"]["current"], now["decision"]["to"]) == (3, 4)
        assert now["numbers"]["capacity"] == 3
        assert now["measured"]["capacity"].startswith("3, fresh, 0 s old")


@pytest.mark.parametrize("path", ["targets/chta", "explain/20260105T000001-nothing"])
async def test_what_is_not_there_is_a_404_with_a_way_on(open_arena: OpenArena, path: str) -> None:
    async with open_arena() as arena:
        got = await arena.request("GET", path)
        assert (got.status, got.content_type, got.body["code"]) == (404, "application/problem+json", "not_found")
        assert "chat" in got.body["detail"] or "GET /api/ledger" in got.body["detail"]


async def test_a_decision_is_explained_with_its_outcome(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3)) as arena:
        await arena.evaluate()
        (entry,) = await arena.entries("decision")
        running = await arena.call("GET", f"explain/{entry.id}", status=200)
        assert running["sentence"].endswith("Its outcome is not known yet.")
        await arena.pass_time(120)
        told = await arena.call("GET", f"explain/{entry.id}", status=200)
        assert told["sentence"].startswith(f"At {entry.at:%H:%M:%S} UTC chat: 1 -> 3 (below_min): ")
        assert told["sentence"].endswith("Done (verified), to 3 instances: Read back 3 instances, as decided.")
        assert (told["kind"], told["mode"], told["cause"]) == ("decision", "enforce", "operator")
        assert [outcome["kind"] for outcome in told["outcomes"]] == ["outcome"]
        assert {"snapshot", "record", "intents", "plan", "target"} <= told["body"].keys()
        outcome = await arena.call("GET", f"explain/{told['outcomes'][0]['id']}", status=200)
        assert "Done (verified)" in outcome["sentence"]


@pytest.mark.parametrize("later", [timedelta(hours=1), timedelta(days=20)])
async def test_an_outcome_that_came_days_later_is_found(open_arena: OpenArena, later: timedelta) -> None:
    async with open_arena() as arena:
        decided = arena.clock.now() - timedelta(days=300)
        decision = entry("decision", f"{decided:%Y%m%d}T000001-plan", decided)
        outcome = entry("outcome", f"{decided + later:%Y%m%d}T-succeeded-of-{decision.id}", decided + later)
        for one in (decision, outcome):
            await arena.made.stores.ledger.append(one)
        told = await arena.call("GET", f"explain/{decision.id}", status=200)
        assert [one["id"] for one in told["outcomes"]] == [outcome.id]


def entry(kind: EntryKind, entry_id: str, at: datetime) -> LedgerEntry:
    return LedgerEntry(
        id=entry_id, kind=kind, at=at, endpoint_key=ENDPOINT_KEY, target="chat", loop="scaling", summary="1 -> 3"
    )


async def test_the_ledger_is_filtered_and_paged(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=2)) as arena:
        await arena.control("POST", "pause", scope="all", for_s=10)
        for least in (2, 3, 4):
            arena.set_policy(policy_text(min=least))
            await arena.pass_time(120)

        async def listed(**filters: str) -> list[dict[str, Any]]:
            query = "&".join(f"{name}={quote(value)}" for name, value in filters.items())
            return list((await arena.call("GET", f"ledger?{query}", status=200))["entries"])

        everything = await listed()
        assert [one["at"] for one in everything] == sorted((one["at"] for one in everything), reverse=True)
        assert sorted(one["kind"] for one in everything) == ["control"] + ["decision"] * 3 + ["outcome"] * 3
        assert {one["kind"] for one in await listed(kind="outcome")} == {"outcome"}
        assert await listed(target="nobody") == []
        assert len(await listed(target="chat")) == 6
        assert {one["kind"] for one in await listed(loop="scaling")} >= {"decision"}
        middle = everything[3]["at"]
        older, newer = await listed(until=middle), await listed(since=middle)
        assert [*newer, *older] == everything

        paged: list[dict[str, Any]] = []
        cursor = None
        while True:
            more = f"&cursor={quote(cursor)}" if cursor else ""
            page = await arena.call("GET", f"ledger?limit=2{more}", status=200)
            assert len(page["entries"]) <= 2
            paged += page["entries"]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert paged == everything


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("kind=decisions", "decision, outcome, notice, control"),
        ("limit=0", "1 to 500"),
        ("limit=501", "1 to 500"),
        ("limit=ten", "'ten'"),
        ("limit=²", "1 to 500"),
        ("since=yesterday", "'yesterday'"),
        ("since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z", "until must be later"),
        ("since=2020-01-01T00:00:00Z", "400 days"),
        ("cursor=nonsense", "cursor"),
    ],
)
async def test_a_question_that_cannot_be_answered(open_arena: OpenArena, query: str, word: str) -> None:
    async with open_arena() as arena:
        got = await arena.request("GET", f"ledger?{query}")
        assert (got.status, got.content_type, got.body["code"]) == (400, "application/problem+json", "invalid_request")
        assert word in got.body["detail"]


async def test_an_id_that_is_none_of_the_ledger(open_arena: OpenArena) -> None:
    async with open_arena() as arena:
        got = await arena.request("GET", "explain/decision-7")
        assert (got.status, got.body["code"]) == (400, "invalid_request")
        assert "YYYYMMDDT" in got.body["detail"]


async def test_evaluate_one_and_all(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text("observe", min=3)) as arena:
        assert await arena.evaluate("chat") == {"looked_at": 1, "decided": 1, "orders": 0, "problems": []}
        assert await arena.evaluate("all") == {"looked_at": 1, "decided": 0, "orders": 0, "problems": []}
        got = await arena.request("POST", "evaluate", json={"target": "chta"})
        assert (got.status, got.body["code"]) == (404, "not_found")
        got = await arena.request("POST", "evaluate", json={"name": "chat"})
        assert (got.status, got.body["code"]) == (400, "invalid_request")


async def test_ready_says_what_can_be_used(open_arena: OpenArena) -> None:
    async with open_arena() as arena:
        good = await arena.call("GET", "ready", status=200)
        assert good == {"ready": True, "checks": {"policy": "ok", "tables": "ok", "azure": "ok", "timers": "ok"}}


async def test_not_ready_without_a_policy(open_arena: OpenArena) -> None:
    async with open_arena(policy="version: 2") as arena:
        bad = await arena.call("GET", "ready", status=503)
        assert bad["ready"] is False
        assert "version" in bad["checks"]["policy"]
        assert (bad["checks"]["tables"], bad["checks"]["azure"]) == ("ok", "ok")
        got = await arena.request("GET", "targets")
        assert (got.status, got.body["code"]) == (503, "policy_unavailable")


async def test_wrong_settings_are_listed_all_at_once(open_arena: OpenArena, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_arena() as arena:
        monkeypatch.setenv("WATCHKEEPER_POLICY_MAX_AGE_S", "soon")
        monkeypatch.setenv("WATCHKEEPER_TABLE_PREFIX", "1-2")
        services.install(None)
        try:
            for path in ("ready", "targets"):
                got = await arena.request("GET", path)
                assert got.body.get("code", "settings_invalid") == "settings_invalid", path
                assert got.status in (500, 503), path
                told = json.dumps(got.body)
                assert "WATCHKEEPER_POLICY_MAX_AGE_S" in told, path
                assert "WATCHKEEPER_TABLE_PREFIX" in told, path
        finally:
            services.install(arena.made)
