"""A decision that waited too long is decided afresh, not carried out. Every decision has its end in the ledger."""

from dataclasses import replace
from datetime import timedelta

from local.world import DEPLOYMENT, ENDPOINT
from shared.domain import Action, Decision, Outcome
from tests.virtual.arena import QUICK, Arena, policy_text
from tests.virtual.conftest import VIRTUAL, OpenArena

pytestmark = VIRTUAL

ENDPOINT_KEY, TARGET = ENDPOINT.lower(), DEPLOYMENT.lower()


def decision(arena: Arena, current: int, to: int, age_s: float) -> Decision:
    at = arena.clock.now() - timedelta(seconds=age_s)
    return Decision(
        id=f"{at:%Y%m%d}T900000-{current}{to}",
        target=TARGET,
        dimension="capacity",
        current=current,
        to=to,
        rule="less_suffices",
        reason="of old",
        winner="scaling",
        policy_version="v",
        at=at,
    )


async def put_desired(arena: Arena, wanted: Decision) -> None:
    await arena.made.stores.state.put_desired(ENDPOINT_KEY, TARGET, "capacity", wanted, None)


async def test_an_old_shrink_is_withdrawn_when_the_loop_only_hesitates(open_arena: OpenArena) -> None:
    """A start that was lost leaves 3 -> 1 behind; hours later the depth cannot be read."""
    async with open_arena(shape=replace(QUICK, capacity=3), policy=policy_text()) as arena:
        await put_desired(arena, decision(arena, 3, 1, age_s=4 * 3600))
        arena.fault("GET", "/queues", status=403, times=10_000)
        await arena.pass_time(180)
        assert arena.sent() == []
        assert arena.capacity() == 3


async def test_what_waited_longer_than_its_data_stay_fresh_expires(open_arena: OpenArena) -> None:
    """Growth outlives a hesitation of the loop, but not its own data."""
    async with open_arena(shape=QUICK, policy=policy_text()) as arena:
        arena.fault("GET", "/queues", status=403, times=10_000)
        await put_desired(arena, decision(arena, 1, 5, age_s=3600))
        await arena.pass_time(180)
        assert arena.sent() == []
        (end,) = await arena.entries("outcome")
        assert "(expired)" in end.summary


async def test_a_decision_that_is_replaced_unsent_has_an_end(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3)) as arena:
        old = decision(arena, 1, 5, age_s=10)
        await put_desired(arena, old)
        await arena.pass_time(150)
        assert arena.capacity() == 3
        ends = [entry for entry in await arena.entries("outcome") if entry.id.endswith(f"-of-{old.id}")]
        assert [entry.summary.partition(":")[0] for entry in ends] == ["Replaced (newer_decision), to 5 instances"]


async def test_an_outcome_that_a_crash_kept_from_the_ledger_is_written_later(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text()) as arena:
        now = arena.clock.now()
        done = decision(arena, 1, 1, age_s=60)
        outcome = Outcome(
            action_key=done.id,
            target=TARGET,
            dimension="capacity",
            kind="refused",
            code="kill_switch",
            reason="it was on",
            to=2,
            observed=1,
            at=now,
        )
        action = Action(
            key=done.id,
            target=TARGET,
            dimension="capacity",
            current=1,
            to=2,
            request_id="r",
            state="refused",
            claimed_at=now,
            ended_at=now,
            outcome=outcome,
        )
        await arena.made.stores.state.put_action(ENDPOINT_KEY, TARGET, "capacity", action, None)
        await arena.pass_time(120)
        (end,) = await arena.entries("outcome")
        assert "it was on" in end.summary
        assert arena.sent() == []


async def test_a_floor_above_the_policy_s_max_is_reached(open_arena: OpenArena) -> None:
    floors = """\
    floors:
      - match: chat
        min_instances: 4
        reason: the platform's drill
    """
    async with open_arena(shape=QUICK, policy=policy_text(extra=floors, max=3)) as arena:
        await arena.pass_time(240)
        assert arena.capacity() == 4
        assert len(arena.sent()) == 1
        assert [one.kind for one in await arena.outcomes()] == ["succeeded"]


async def test_a_gate_that_shuts_while_the_act_still_reads_stops_it(open_arena: OpenArena) -> None:
    """The kill switch comes on after the first read of the act and before its request."""
    async with open_arena(shape=QUICK, policy=policy_text(min=3)) as arena:
        made = arena.made
        read = made.reader.autoscale.setting_for

        async def shut_meanwhile(*args: object, **kwargs: object) -> object:
            if kwargs.get("fresh"):
                await arena.control("PUT", "kill-switch", scope="all")
            return await read(*args, **kwargs)  # type: ignore[arg-type]

        made.reader.autoscale.setting_for = shut_meanwhile  # type: ignore[method-assign,assignment]
        await arena.pass_time(120)
        assert arena.sent() == []
        ends = await arena.entries("outcome")
        assert "(kill_switch)" in ends[0].summary


async def test_what_is_under_way_is_followed_to_its_end_though_the_target_is_off_now(open_arena: OpenArena) -> None:
    """The orchestration died while storage was away, and the operator set the target to off."""
    async with open_arena(shape=QUICK, policy=policy_text(min=3)) as arena:
        await arena.evaluate()
        assert len(arena.sent()) == 1
        await arena.end_orchestrations()
        arena.set_policy(policy_text("off", min=3))
        await arena.pass_time(400)
        assert [one.kind for one in await arena.outcomes()] == ["succeeded"]
        assert len(arena.sent()) == 1
