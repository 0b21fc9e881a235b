"""Resource Graph may be half a minute behind: an old row is nobody's change, and nothing is decided on it."""

from tests.virtual.arena import QUICK, Arena, policy_text
from tests.virtual.conftest import VIRTUAL, OpenArena

pytestmark = VIRTUAL

ELSEWHERE = "limits: {allowed_regions: [northeurope]}\n"


async def grown(arena: Arena) -> None:
    """One change that succeeded a moment ago, so that Resource Graph still shows the capacity before it."""
    await arena.evaluate()
    while not await arena.outcomes():
        await arena.pass_time(1)
    assert [outcome.kind for outcome in await arena.outcomes()] == ["succeeded"]
    await arena.evaluate("all")


async def nothing_else_was_seen(arena: Arena) -> None:
    (target,) = (await arena.call("GET", "targets", status=200))["targets"]
    assert target["capacity"] == 3
    assert {decision.current for decision in (await arena.decisions())[1:]} == {3}
    assert [entry.summary for entry in await arena.entries("notice") if "did not make" in entry.summary] == []


async def test_after_a_refusal_that_follows_a_success(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3, scale_out_cooldown_s=1)) as arena:
        await grown(arena)
        arena.set_policy(policy_text(min=5, scale_out_cooldown_s=1, extra=ELSEWHERE))
        await arena.pass_time(5)
        await arena.evaluate("all")
        assert [outcome.code for outcome in await arena.outcomes()][1:] == ["region_not_allowed"]
        await arena.evaluate("all")
        await nothing_else_was_seen(arena)


async def test_after_a_failure_that_follows_a_success(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3, scale_out_cooldown_s=1)) as arena:
        await grown(arena)
        arena.fault("PATCH", "/deployments/", status=400)
        arena.set_policy(policy_text(min=5, scale_out_cooldown_s=1))
        await arena.pass_time(5)
        await arena.evaluate("all")
        assert [outcome.kind for outcome in await arena.outcomes()][1:] == ["failed"]
        await arena.evaluate("all")
        await nothing_else_was_seen(arena)
