"""GET /api/targets/NAME/readiness: what was recorded in observe, judged, over the wire."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from shared.domain import ShadowDay, TargetRecord
from tests.virtual.arena import CHAT_KEY, ENDPOINT_KEY, QUICK, Arena, policy_text
from tests.virtual.conftest import VIRTUAL, OpenArena

pytestmark = VIRTUAL


async def asked(arena: Arena) -> dict[str, Any]:
    return dict(await arena.call("GET", "targets/chat/readiness", status=200))


def found(told: dict[str, Any]) -> dict[str, str]:
    return {check["check"]: check["finding"] for check in told["checks"]}


async def test_observe_gathers_the_evidence_while_nothing_is_changed(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text("observe")) as arena:
        first = await asked(arena)
        assert (first["verdict"], first["days"], first["confidence"]["at_least"]) == ("not_yet", [], 0.0)
        arena.send(300)
        await arena.pass_time(2 * 3600)
        told = await asked(arena)
        assert (told["verdict"], told["mode"]) == ("not_yet", "observe")
        looks = sum(day["looks"] for day in told["days"])
        assert looks >= 200
        assert sum(day["changes"] for day in told["days"]) >= 1
        assert told["instance_hours"]["decided"] > told["instance_hours"]["as_it_is"] > 1.5
        assert told["cost_usd"]["decided"] > told["cost_usd"]["as_it_is"]
        assert "Watched on" in told["sentence"]
        assert found(told)["days"] == "too_early"
        assert arena.sent() == []


async def test_a_good_week_is_ready_and_a_freeze_says_to_wait(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text("observe")) as arena:
        await arena.evaluate()
        await remember(arena, kept=24)
        told = await asked(arena)
        assert told["verdict"] == "ready", told["sentence"]
        assert told["sentence"] == "chat: It is ready for enforce."
        assert told["confidence"]["at_least"] > 0.95
        await arena.control("PUT", "kill-switch", scope="all")
        stopped = await asked(arena)
        assert (stopped["verdict"], found(stopped)["gates"]) == ("not_yet", "too_early")


async def test_a_promise_that_the_decisions_would_break_is_a_no(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text("observe")) as arena:
        await arena.evaluate()
        await remember(arena, kept=12)
        told = await asked(arena)
        assert (told["verdict"], found(told)["promise"]) == ("no", "bad")
        assert "POST /api/whatif" in told["sentence"]


async def remember(arena: Arena, *, kept: int) -> None:
    """Nine days of observation."""
    state = await arena.made.stores.state.load(ENDPOINT_KEY, arena.clock.now())
    row = state.targets[CHAT_KEY]
    today = arena.clock.now().date()
    days = tuple(
        ShadowDay(
            day=(today - timedelta(days=n)).isoformat(), looks=2880, fresh=2880, hours=24, kept=kept, kept_as_is=24
        )
        for n in range(9, 0, -1)
    )
    record: TargetRecord = replace(row.value, shadow=replace(row.value.shadow, days=days))
    await arena.made.stores.state.put_target(ENDPOINT_KEY, CHAT_KEY, record, row.etag)
