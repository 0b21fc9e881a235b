"""Growth into a quota that is too small: limited, said with numbers, and not hammered when Azure says no."""

from dataclasses import replace

import pytest

from tests.virtual.arena import QUICK, policy_text
from tests.virtual.conftest import VIRTUAL, OpenArena

pytestmark = VIRTUAL

# One instance of 4 vCPUs runs; each further one needs 4.8 free, because an update holds 20 % more.
VCPUS = 4


@pytest.mark.parametrize(("quota", "to"), [(4 + 9, 2), (4 + 10, 3), (4 + 14, 3)])
async def test_growth_stops_at_the_quota_with_its_reserve(open_arena: OpenArena, quota: int, to: int) -> None:
    shape = replace(QUICK, quota_vcpus=quota)
    async with open_arena(shape=shape, policy=policy_text(min=5)) as arena:
        await arena.evaluate()
        (patch,) = arena.patches()
        assert patch.body["sku"]["capacity"] == to
        (decision,) = await arena.decisions()
        assert decision.to == to
        assert f"the quota of the VM family allows {to}" in decision.reason
        await arena.pass_time(70)
        assert [one.kind for one in await arena.outcomes()] == ["succeeded"]


async def test_without_any_room_nothing_is_tried(open_arena: OpenArena) -> None:
    shape = replace(QUICK, quota_vcpus=VCPUS + 4)
    async with open_arena(shape=shape, policy=policy_text(min=5)) as arena:
        await arena.pass_time(120)
        assert arena.sent() == []
        assert await arena.decisions() == []
        shown = await arena.call("GET", "targets/chat", status=200)
        assert "quota" in shown["now"]["sentence"]
        assert shown["now"]["measured"]["quota_headroom"].startswith("0, fresh")


async def test_quota_that_was_taken_since_the_last_look(open_arena: OpenArena) -> None:
    """The loop's copy of the usages is up to a minute old; the act reads them afresh."""
    async with open_arena(shape=QUICK, policy=policy_text()) as arena:
        await arena.evaluate()
        estate = arena.world.cloud.estate
        for place in estate.quota:
            estate.quota[place] = VCPUS + 5
        arena.set_policy(policy_text(min=3))
        await arena.pass_time(30)
        assert arena.sent() == []
        (outcome,) = await arena.outcomes()
        assert (outcome.kind, outcome.code, outcome.observed) == ("refused", "quota_exhausted", 1)
        assert "allows 1 more" in outcome.reason
        assert "2 are wanted" in outcome.reason


@pytest.mark.parametrize("code", ["OutOfQuota", "OutOfCapacity"])
@pytest.mark.parametrize("status", ["200", "409"])
async def test_an_operation_that_fails_is_told_and_not_repeated_at_once(
    open_arena: OpenArena, code: str, status: str
) -> None:
    assumptions = {"deployment.failed_operation_status": status}
    async with open_arena(shape=QUICK, policy=policy_text(min=3), assumptions=assumptions) as arena:
        arena.next_operation(code=code, message="no more of these machines", after_s=20)
        await arena.evaluate()
        await arena.pass_time(30)
        (outcome,) = await arena.outcomes()
        assert (outcome.kind, outcome.code, outcome.observed) == ("failed", code, 1)
        assert "no more of these machines" in outcome.reason
        assert arena.capacity() == 1
        assert len(arena.sent()) == 1
        shown = await arena.call("GET", "targets/chat", status=200)
        assert [intent["rule"] for intent in shown["standing_intents"]] == ["backing_off"]


async def test_a_failure_that_repeats_is_not_hammered(open_arena: OpenArena) -> None:
    """Azure accepts and fails each time: in an hour only few tries, each with its outcome, until the breaker opens."""
    async with open_arena(shape=QUICK, policy=policy_text(min=3)) as arena:
        patch = arena.fault("PATCH", "deployments", on_hit=lambda _: arena.next_operation(code="OutOfCapacity"))
        await arena.pass_time(3600)
        outcomes = await arena.outcomes()
        failures = [outcome for outcome in outcomes if outcome.kind == "failed"]
        assert {outcome.code for outcome in failures} == {"OutOfCapacity"}
        assert {outcome.code for outcome in outcomes if outcome not in failures} == {"breaker_open"}
        assert len(failures) == len(arena.sent()) == patch.hits
        assert 2 <= len(failures) <= 12
        assert arena.capacity() == 1
