"""Pauses and kill switches: seen at once, the widest first, never overlooked."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from shared.domain import Place
from shared.records import ControlStore, CorruptRow, KillSwitch, Pause, SchemaTooNew, Tables
from shared.records.rows import Entity
from tests.records.builders import BLUE, NOW

OCR = Place(
    loop="scaling",
    target="ocr",
    project="invoices",
    workspace_id="/subscriptions/s/resourceGroups/G/providers/Microsoft.MachineLearningServices/workspaces/Paper",
)


def pause(scope: str, **changes: Any) -> Pause:
    fields: dict[str, Any] = {"scope": scope, "reason": "incident 4711", "by": "ada", "at": NOW}
    return Pause(**fields | changes)


def kill(scope: str, **changes: Any) -> KillSwitch:
    fields: dict[str, Any] = {"scope": scope, "reason": "incident 4711", "by": "ada", "at": NOW}
    return KillSwitch(**fields | changes)


async def test_nothing_is_switched_off_at_first(controls: ControlStore) -> None:
    found = await controls.load(NOW)
    assert found.pause_for(OCR) is None
    assert found.kill_for(OCR) is None


@pytest.mark.parametrize(
    ("scope", "stops"),
    [
        ("all", {("scaling", "ocr"), ("scaling", BLUE), ("budget", "ocr")}),
        ("loop:scaling", {("scaling", "ocr"), ("scaling", BLUE)}),
        ("target:ocr", {("scaling", "ocr"), ("budget", "ocr")}),
        (f"target:{BLUE}", {("scaling", BLUE)}),
        ("loop:scaling2", set()),
    ],
)
async def test_a_scope_stops_what_is_in_it_and_nothing_else(
    controls: ControlStore, scope: str, stops: set[tuple[str, str]]
) -> None:
    await controls.put_pause(pause(scope))
    await controls.put_kill(kill(scope))
    found = await controls.load(NOW)
    asked = [("scaling", "ocr"), ("scaling", BLUE), ("budget", "ocr")]
    assert {(loop, name) for loop, name in asked if found.pause_for(Place(loop=loop, target=name))} == stops
    assert {(loop, name) for loop, name in asked if found.kill_for(Place(loop=loop, target=name))} == stops


async def test_the_widest_is_told_first(controls: ControlStore) -> None:
    workspaces = ("workspace:PAPER", f"workspace:{OCR.workspace_id}")
    for scope in ("target:ocr", "project:invoices", *workspaces, "loop:scaling", "all"):
        await controls.put_pause(pause(scope))
        await controls.put_kill(kill(scope))
        found = await controls.load(NOW)
        assert found.pause_for(OCR) == pause(scope)
        assert found.kill_for(OCR) == kill(scope)


async def test_put_and_clear_are_idempotent_and_tell_what_was_there(controls: ControlStore) -> None:
    first, second = pause("all"), pause("all", by="grace")
    assert await controls.put_pause(first) is None
    assert await controls.put_pause(first) == first
    assert await controls.put_pause(second) == first
    assert await controls.clear_pause("all") == second
    assert await controls.clear_pause("all") is None
    assert await controls.put_kill(kill("all")) is None
    assert await controls.put_kill(kill("all", by="grace")) == kill("all")
    assert await controls.clear_kill("all") == kill("all", by="grace")
    assert await controls.clear_kill("all") is None
    found = await controls.load(NOW)
    assert not found.pauses
    assert not found.kill_switches


async def test_a_pause_ends_by_itself_and_a_kill_switch_does_not(controls: ControlStore, tables: Tables) -> None:
    await controls.put_pause(pause("all", expires_at=NOW + timedelta(hours=1)))
    await controls.put_kill(kill("all"))
    before = await controls.load(NOW + timedelta(minutes=59))
    assert before.pause_for(OCR) is not None
    later = await asyncio.gather(*(controls.load(NOW + timedelta(hours=1)) for _ in range(5)))
    assert [found.pause_for(OCR) for found in later] == [None] * 5
    assert all(found.kill_for(OCR) for found in later)
    rows = tables.table("WatchkeeperControls").query("PartitionKey ge @p", {"p": ""})
    assert [entity.partition async for entity in rows] == ["kill"]


async def test_a_pause_that_is_renewed_while_it_is_removed_stays(
    controls: ControlStore, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    await controls.put_pause(pause("all", expires_at=NOW))
    table = tables.table("WatchkeeperControls")
    delete = table.delete

    async def renew_first(*arguments: Any) -> None:
        await controls.put_pause(pause("all"))
        await delete(*arguments)

    monkeypatch.setattr(table, "delete", renew_first)
    await controls.load(NOW)
    assert (await controls.load(NOW)).pauses == {"all": pause("all")}


async def test_many_at_once_leave_one_and_each_learns_whose_place_it_took(controls: ControlStore) -> None:
    names = ["ada", "grace", "edsger", "barbara"]
    before = await asyncio.gather(*(controls.put_pause(pause("all", by=name)) for name in names))
    last = (await controls.load(NOW)).pauses["all"].by
    assert sorted([found.by for found in before if found] + [last]) == sorted(names)
    assert before.count(None) == 1


@pytest.mark.parametrize("scope", ["", "everything", "loop:", "target:", "Loop:scaling", "all "])
async def test_an_unknown_scope_is_refused(controls: ControlStore, scope: str) -> None:
    for attempt in (pause, kill):
        with pytest.raises(ValueError, match="loop:<name>"):
            attempt(scope)
    with pytest.raises(ValueError, match="loop:<name>"):
        await controls.clear_pause(scope)


@pytest.mark.parametrize(
    ("partition", "text", "error"),
    [("kill", "?", CorruptRow), ("pause", '{"schema":1}', CorruptRow), ("kill", '{"schema":2}', SchemaTooNew)],
)
async def test_a_switch_that_cannot_be_read_is_an_error_until_a_person_repairs_it(
    controls: ControlStore, tables: Tables, partition: str, text: str, error: type[Exception]
) -> None:
    broken = Entity(partition=partition, row="all", columns={"schema": 1, "value": text})
    await tables.table("WatchkeeperControls").put(broken)
    with pytest.raises(error, match=f"{partition} of all in WatchkeeperControls"):
        await controls.load(NOW)
    if partition == "kill":
        assert await controls.clear_kill("all") is None
    else:
        assert await controls.put_pause(pause("all")) is None
    await controls.load(NOW)
