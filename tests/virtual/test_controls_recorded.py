"""Who switched what is in the ledger, also when the ledger could not be written at first."""

from typing import Any

import pytest

from shared.records.errors import Conflict
from tests.virtual.arena import ENDPOINT_KEY, Arena, policy_text
from tests.virtual.conftest import VIRTUAL, OpenArena

pytestmark = VIRTUAL


async def told(arena: Arena) -> list[str]:
    return [entry.summary for entry in await arena.entries("control")]


@pytest.mark.parametrize(
    ("verb", "path", "first", "repeated"),
    [
        ("POST", "pause", "paused all", "paused all"),
        ("POST", "resume", "resumed all", "resumed all, which was not paused"),
        ("PUT", "kill-switch", "kill switch on for all", "kill switch on for all"),
        ("DELETE", "kill-switch", "kill switch off for all", "kill switch off for all, where it was not on"),
    ],
)
async def test_a_switch_that_could_not_be_recorded_is_recorded_by_its_repetition(
    open_arena: OpenArena, monkeypatch: pytest.MonkeyPatch, verb: str, path: str, first: str, repeated: str
) -> None:
    async def unwritable(_entry: Any) -> None:
        raise Conflict("the ledger is busy")

    async with open_arena() as arena:
        await arena.control("POST", "pause", scope="all", reason="before")
        await arena.control("PUT", "kill-switch", scope="all", reason="before")
        body = {"scope": "all", "reason": "a test", "by": "ada"}
        with monkeypatch.context() as broken:
            broken.setattr(arena.made.stores.ledger, "append", unwritable)
            got = await arena.request(verb, path, json=body)
        assert (got.status, got.body["code"]) == (503, "unavailable")
        assert got.body["detail"].startswith(f"In effect, but not recorded ({first}: the ledger is busy).")
        controls = await arena.made.stores.controls.load(arena.clock.now())
        assert ("all" in controls.pauses, "all" in controls.kill_switches) == (path != "resume", verb != "DELETE")
        before = await told(arena)
        again = await arena.request(verb, path, json=body)
        assert again.status in (200, 201)
        assert sorted(await told(arena)) == sorted([*before, f"ada {repeated}: a test"])


async def test_a_target_that_cannot_be_read_hides_no_other(open_arena: OpenArena) -> None:
    other = (
        policy_text().partition("targets:\n")[2].replace("chat", "other").replace("Endpoints/demo", "Endpoints/other")
    )
    other = other.replace("queues/work", "queues/signals")
    async with open_arena(policy=policy_text() + other) as arena:
        await arena.evaluate()
        good, _ = (await arena.call("GET", "targets", status=200))["targets"]
        assert "problem" not in good
        table = arena.made.tables.table("WatchkeeperState")
        async for row in table.query("PartitionKey ge @first", {"first": ""}):
            await table.put(type(row)(partition=row.partition, row=row.row, columns={"value": "{"}))
        bad, unharmed = (await arena.call("GET", "targets", status=200))["targets"]
        assert (unharmed["name"], unharmed["last_look"]) == ("other", None)
        assert "problem" not in unharmed
        assert (bad["name"], bad["mode"]) == ("chat", good["mode"])
        assert bad["problem"].startswith("What is stored of it could not be read: row ")
        assert ENDPOINT_KEY in bad["problem"]
        async for row in table.query("PartitionKey ge @first", {"first": ""}):
            await table.delete(row.partition, row.row)
