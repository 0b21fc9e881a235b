"""Operations that take an hour, or never end: followed with a short history, and in nobody's way."""

from dataclasses import replace

from tests.virtual.arena import QUICK, Arena, policy_text
from tests.virtual.conftest import VIRTUAL, OpenArena

pytestmark = VIRTUAL

HOUR_S = 3600.0


async def history_events(arena: Arena) -> int:
    """Events that the one orchestration's current generation holds."""
    client = arena.app.host.client
    (state,) = await client.get_all_orchestration_states()
    return len(await client.get_orchestration_history(state.instance_id))


async def test_an_operation_of_an_hour_is_followed_to_its_end(open_arena: OpenArena) -> None:
    shape = replace(QUICK, cold_start_s=HOUR_S)
    policy = policy_text(min=3, cold_start_s=HOUR_S)
    async with open_arena(
        shape=shape, policy=policy, assumptions={"deployment.patch_answer": "accepted_async_operation"}
    ) as arena:
        arena.world.cloud.lifecycle.retry_after_s = 30
        await arena.evaluate()
        longest = 0
        for _ in range(7):
            await arena.pass_time(HOUR_S / 7)
            longest = max(longest, await history_events(arena))
        await arena.pass_time(90)
        polls = [record for record in arena.world.cloud.requests if "mfeOperationsStatus" in record.path]
        assert len(polls) >= 100
        # Eight events a step, thirty steps a generation: the whole hour in one would be four times that.
        assert longest < 300
        (outcome,) = await arena.outcomes()
        assert (outcome.kind, outcome.observed, outcome.sends) == ("succeeded", 3, 1)
        assert len(arena.sent()) == 1
        assert (outcome.at - arena.opened_at).total_seconds() >= HOUR_S


async def test_one_that_never_ends_holds_nothing_else_up(open_arena: OpenArena) -> None:
    """Another deployment of the same endpoint is scaled all the same."""
    shape = replace(QUICK, second_deployment=True)
    other = policy_text(min=3).partition("targets:\n")[2]
    other = other.replace("chat", "green").replace("/blue", "/green").replace("queues/work", "queues/signals")
    async with open_arena(shape=shape, policy=policy_text(min=3) + other) as arena:
        arena.next_operation(kind="never")
        await arena.evaluate()
        assert [record.path.rpartition("/")[2] for record in arena.sent()] == ["blue"]
        await arena.pass_time(600)
        assert [record.path.rpartition("/")[2] for record in arena.sent()] == ["blue", "green"]
        (outcome,) = await arena.outcomes()
        assert (outcome.kind, outcome.observed, outcome.target[-5:]) == ("succeeded", 3, "green")
        assert [one["state"] for one in await _orders(arena)] == ["accepted"]
        arena.world.cloud.lifecycle.release(arena.deployment())
        await arena.pass_time(60)
        assert [one.kind for one in await arena.outcomes()] == ["succeeded", "succeeded"]
        assert arena.capacity() == 3
        assert len(arena.sent()) == 2


async def _orders(arena: Arena) -> list[dict[str, str]]:
    shown = await arena.call("GET", "targets", status=200)
    return [target["order"] for target in shown["targets"] if target["order"]]


async def test_switching_to_observe_still_follows_what_was_sent(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3)) as arena:
        await arena.evaluate()
        arena.set_policy(policy_text("observe", min=3))
        await arena.pass_time(120)
        (outcome,) = await arena.outcomes()
        assert (outcome.kind, outcome.observed) == ("succeeded", 3)
        assert len(arena.sent()) == 1
