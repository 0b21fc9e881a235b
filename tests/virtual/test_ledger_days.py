"""The ledger over days: exported, verified, let go, and joined to Azure's own record, through the whole app."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared import services
from tests.virtual.arena import QUICK, Arena, policy_text
from tests.virtual.conftest import VIRTUAL, OpenArena

pytestmark = VIRTUAL

SHORT = policy_text(min=3, extra="retention: {ledger_days: 7}\n")


async def grown(arena: Arena) -> str:
    """A change that was made and verified; the id of its decision."""
    await arena.evaluate()
    await arena.pass_time(120)
    assert [outcome.kind for outcome in await arena.outcomes()] == ["succeeded"]
    return (await arena.decisions())[0].id


def days_later(arena: Arena, days: int) -> None:
    """For what the app does from now on; nothing of the days in between happens."""
    services.install(replace(arena.made, now=lambda: arena.clock.now() + timedelta(days=days)))


async def test_a_day_is_exported_verified_and_at_last_let_go(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=SHORT) as arena:
        decision = await grown(arena)
        day = arena.clock.now().date()
        days_later(arena, 2)
        assert f"exported {day}" in (await arena.upkeep("ledger_archive"))["ledger_archive"]["said"]
        verified = await arena.call("GET", f"ledger/days/{day}/verify", status=200)
        assert (verified["whole"], verified["exported"], verified["chains"]) == (True, True, 1)
        (listed,) = (await arena.call("GET", "ledger/days", status=200))["days"]
        assert (listed["day"], listed["removed_at"]) == (day.isoformat(), None)

        days_later(arena, 9)
        assert f"removed {day}" in (await arena.upkeep("ledger_archive"))["ledger_archive"]["said"]
        await arena.call("GET", f"explain/{decision}", status=404)
        assert (await arena.call("GET", f"ledger/days/{day}/verify", status=200))["whole"]
        services.install(arena.made)


async def test_a_broken_chain_is_found_and_people_hear_of_it(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=SHORT) as arena:
        await grown(arena)
        day = arena.clock.now().date()
        table = arena.made.tables.table("WatchkeeperLedger")
        entries = [
            row async for row in table.query("RowKey ge @first and RowKey lt @after", {"first": "e", "after": "f"})
        ]
        await table.delete(entries[0].partition, entries[0].row)
        days_later(arena, 2)
        await arena.upkeep("ledger_archive")
        verified = await arena.call("GET", f"ledger/days/{day}/verify", status=200)
        assert not verified["whole"]
        assert any("entry 1 is missing" in problem for problem in verified["problems"])
        told = await arena.made.stores.outbox.get(f"{day + timedelta(days=2):%Y%m%d}T-ledger-broken-{day}")
        assert told is not None
        assert told.value.notice.severity == "critical"
        services.install(arena.made)
        await table.put(entries[0])


@pytest.mark.parametrize("carried", ["yes", "no"])
async def test_azure_s_own_record_of_a_change_is_found_by_its_request_id(open_arena: OpenArena, carried: str) -> None:
    assumed = {"activitylog.carries_client_request_id": carried}
    async with open_arena(shape=QUICK, policy=SHORT, assumptions=assumed) as arena:
        decision = await grown(arena)
        joined = await arena.call("GET", f"explain/{decision}/activity", status=200)
        (patch,) = arena.patches()
        assert joined["client_request_ids"] == [patch.client_request_id]
        if carried == "no":
            assert joined["events"] == []
            assert "look again" in joined["say"]
        else:
            (event,) = joined["events"]
            assert event["operation"].endswith("/onlineEndpoints/deployments/write")
            assert event["client_request_id"] == patch.client_request_id


async def test_a_day_must_be_a_day_and_a_decision_one_of_the_ledger(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK) as arena:
        wrong = await arena.call("GET", "ledger/days/yesterday/verify", status=400)
        assert "write a UTC day like 2026-01-05" in wrong["detail"]
        await arena.call("GET", "explain/20260105T000001-nothing/activity", status=404)
