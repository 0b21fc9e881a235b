"""How far the app may go: off, observe, enforce, and from one to the other without a restart."""

from tests.virtual.arena import QUICK, policy_text
from tests.virtual.conftest import VIRTUAL, OpenArena

pytestmark = VIRTUAL


async def test_observe_changes_nothing_and_records_a_plan_once(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text("observe", min=3)) as arena:
        await arena.evaluate()
        await arena.pass_time(240)
        assert arena.sent() == []
        (decision,) = await arena.decisions()
        assert (decision.current, decision.to, decision.rule) == (1, 3, "below_min")
        assert await arena.outcomes() == []
        told = await arena.call("GET", f"explain/{decision.id}", status=200)
        assert "Only observed: nothing was changed" in told["sentence"]
        assert await arena.app.host.client.get_all_orchestration_states() == []


async def test_observe_records_again_once_the_plan_is_another(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text("observe", min=3)) as arena:
        await arena.pass_time(60)
        arena.set_policy(policy_text("observe", min=4))
        await arena.pass_time(60)
        assert [decision.to for decision in await arena.decisions()] == [3, 4]
        assert arena.sent() == []


async def test_enforce_carries_out_the_plan_that_observe_recorded(open_arena: OpenArena) -> None:
    """The same deployment under the same policy, seen in both modes: one plan, one hash."""
    async with open_arena(shape=QUICK, policy=policy_text("observe", min=3)) as arena:
        await arena.evaluate()
        arena.set_policy(policy_text("enforce", min=3))
        await arena.pass_time(180)
        observed, enforced = await arena.entries("decision")
        assert (observed.body["mode"], enforced.body["mode"]) == ("observe", "enforce")
        assert observed.body["plan"] == enforced.body["plan"]
        assert observed.id != enforced.id
        (patch,) = arena.patches()
        assert patch.body["sku"]["capacity"] == 3
        (outcome,) = await arena.outcomes()
        assert (outcome.kind, outcome.observed, outcome.action_key) == ("succeeded", 3, enforced.id)
        assert arena.capacity() == 3


async def test_off_looks_away(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text("off", min=3)) as arena:
        assert await arena.evaluate() == {"looked_at": 0, "decided": 0, "orders": 0, "problems": []}
        await arena.pass_time(60)
        assert await arena.entries() == []
        assert arena.sent() == []
        assert not [record for record in arena.world.cloud.requests if record.host == "management.azure.com"]


async def test_a_target_that_is_off_can_still_be_looked_at(open_arena: OpenArena) -> None:
    """An operator who thinks of turning it on wants to know what would happen."""
    async with open_arena(shape=QUICK, policy=policy_text("off", min=3)) as arena:
        shown = await arena.call("GET", "targets/chat", status=200)
        assert (shown["mode"], shown["now"]["decision"]["to"]) == ("off", 3)
