"""Chores in the whole app: histories purged, stuck actions and still timers told, one failure hinders no other."""

from dataclasses import replace
from datetime import timedelta

import pytest

from local.cloud.operations import Outcome
from local.world import DEPLOYMENT
from shared import services
from shared.assumptions import BY_NAME
from shared.domain import Notice
from shared.people.door import Door
from shared.upkeep import runner
from shared.upkeep.base import Chore, Done, Run
from tests.virtual.arena import ENDPOINT_KEY, QUICK, Arena, policy_text
from tests.virtual.conftest import VIRTUAL, OpenArena

pytestmark = VIRTUAL

GROWS = policy_text(min=3, extra="retention: {history_days: 1}\n")


async def said(arena: Arena, chore: str) -> str:
    return str((await arena.upkeep(chore))[chore]["said"])


def later(arena: Arena, **time: float) -> None:
    """For what the app does from now on; nothing of the time in between happens."""
    services.install(replace(arena.made, now=lambda: arena.clock.now() + timedelta(**time)))


async def kinds_told(arena: Arena, days: int = 1) -> list[str]:
    return [notice.kind for notice in await told(arena, days)]


async def told(arena: Arena, days: int = 1) -> list[Notice]:
    since, until = arena.opened_at, arena.clock.now() + timedelta(days=days)
    page = await arena.made.stores.outbox.query(since=since, until=until, limit=100)
    return [posted.notice for posted in page.notices]


async def test_histories_go_once_they_are_old_and_not_before(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=GROWS) as arena:
        await arena.evaluate()
        await arena.pass_time(120)
        client = arena.app.host.client
        assert len(await client.get_all_orchestration_states()) == 1
        assert await said(arena, "history_purge") == ""
        later(arena, days=2)
        assert (await said(arena, "history_purge")).startswith("purged 1 histories")
        assert await client.get_all_orchestration_states() == []
        services.install(arena.made)


@pytest.mark.parametrize("purge", BY_NAME["durable.purge_by_filter"].values)
async def test_all_old_histories_go_however_many_a_purge_takes(open_arena: OpenArena, purge: str) -> None:
    async with open_arena(shape=QUICK, policy=GROWS, assumptions={"durable.purge_by_filter": purge}) as arena:
        client = arena.app.host.client
        order = {"endpoint_key": ENDPOINT_KEY, "target": DEPLOYMENT.lower(), "dimension": "capacity"}
        for number in range(3):
            await client.schedule_new_orchestration("actuate", input=order, instance_id=f"old-{number}")
        await arena.clock.settle()
        kept = len(await client.get_all_orchestration_states())
        assert kept >= 3
        later(arena, days=2)
        assert (await said(arena, "history_purge")).startswith(f"purged {kept} histories")
        assert await client.get_all_orchestration_states() == []
        services.install(arena.made)


async def test_what_still_runs_keeps_its_history(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=GROWS) as arena:
        arena.deployment().next_outcome = Outcome(kind="never")
        await arena.evaluate()
        later(arena, days=2)
        assert await said(arena, "history_purge") == ""
        assert len(await arena.app.host.client.get_all_orchestration_states()) == 1
        services.install(arena.made)


async def recorded(arena: Arena, days: int = 1) -> set[str]:
    """Ids of the notices that the ledger has."""
    since, until = arena.opened_at, arena.clock.now() + timedelta(days=days)
    page = await arena.made.stores.ledger.query(since, until, kind="notice", limit=100)
    return {entry.id for entry in page.entries}


async def test_a_change_that_does_not_end_is_told_once_a_day(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=GROWS) as arena:
        arena.deployment().next_outcome = Outcome(kind="never")
        await arena.evaluate()
        await arena.pass_time(600)
        assert await said(arena, "stuck_actions") == ""
        later(arena, minutes=40)
        assert [await said(arena, "stuck_actions") for _ in range(2)] == ["stuck: blue"] * 2
        (notice,) = [notice for notice in await told(arena) if notice.kind == "action_stuck"]
        assert notice.id in await recorded(arena)
        for _ in range(2):
            later(arena, days=4)
            assert await said(arena, "stuck_actions") == "stuck: blue"
        services.install(arena.made)
        assert (await kinds_told(arena, days=5)).count("action_stuck") == 2


async def test_the_timers_watch_each_other(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=GROWS) as arena:
        await arena.pass_time(60)
        assert await said(arena, "dead_mans_switch") == ""
        later(arena, minutes=11)
        assert "the sweep is still since" in await said(arena, "dead_mans_switch")
        ready = await arena.call("GET", "ready", status=503)
        assert "no sign of life of the sweep since" in ready["checks"]["timers"]
        services.install(arena.made)
        # The other way round: no chore has run since then, but the sweep goes on.
        await arena.pass_time(30 * 60)
        stopped = {notice.facts["timer"]: notice.id for notice in await told(arena) if notice.kind == "sweep_stopped"}
        assert stopped.keys() == {"sweep", "upkeep"}
        assert await recorded(arena) >= set(stopped.values())


async def test_a_sweep_that_cannot_tell_of_the_upkeep_comes_to_its_end(
    open_arena: OpenArena, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(_door: Door, _notice: Notice) -> bool:
        raise OSError("no storage")

    async with open_arena(shape=QUICK, policy=GROWS) as arena:
        await arena.upkeep()
        monkeypatch.setattr(Door, "tell", refuse)
        monkeypatch.setattr(arena.made.engine, "_now", lambda: arena.clock.now() + timedelta(minutes=11))
        swept = await arena.made.engine.sweep()
        assert (swept.looked_at, swept.problems) == (1, ["silence of the upkeep: no storage"])


async def test_a_timer_that_is_still_for_days_is_told_each_day(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=GROWS) as arena:
        await arena.pass_time(60)
        for hours in (1, 2, 96, 97):
            later(arena, hours=hours)
            assert "the sweep is still since" in await said(arena, "dead_mans_switch")
        services.install(arena.made)
        assert (await kinds_told(arena, days=5)).count("sweep_stopped") == 2


async def test_a_chore_that_fails_hinders_no_other(open_arena: OpenArena, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(run: Run) -> Done:
        raise RuntimeError("no storage")

    async def work(run: Run) -> Done:
        return Done("done", {"count": str(int(run.marks.get("count", "0")) + 1)})

    chores = (
        Chore(name="a", every=timedelta(hours=1), run=fail),
        Chore(name="b", every=timedelta(hours=1), run=work),
    )
    monkeypatch.setattr(runner, "discover_chores", lambda: chores)
    async with open_arena(shape=QUICK) as arena:
        for _ in range(2):
            ran = await arena.upkeep()
            assert ran["a"] == {"chore": "a", "said": "failed: RuntimeError: no storage", "failed": True}
            assert ran["b"]["said"] == "done"
        shown = {chore["name"]: chore for chore in (await arena.call("GET", "upkeep", status=200))["chores"]}
        assert (shown["a"]["failures_in_a_row"], shown["b"]["failures_in_a_row"]) == (2, 0)
        assert shown["b"]["marks"] == {"count": "2"}
        assert (await arena.call("POST", "upkeep/run", {"chore": "c"}, status=404))["code"] == "not_found"


async def test_a_signal_that_cannot_be_finished_keeps_no_claim_from_being_forgotten(
    open_arena: OpenArena, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_arena(policy=GROWS) as arena:
        forgotten: list[str] = []

        async def refuse(_start: object) -> int:
            raise OSError("its day is gone")

        async def forget() -> int:
            forgotten.append("old")
            return 1

        monkeypatch.setattr(arena.made.intake, "finish_left", refuse)
        monkeypatch.setattr(arena.made.intake, "forget_old", forget)
        assert "its day is gone" in await said(arena, "signals")
        assert forgotten == ["old"]
