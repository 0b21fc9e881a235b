"""Whatever Azure turns out to do: under every value of every assumption, a backlog leads to a verified change."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from local.cloud.faults import Fault
from local.cloud.operations import Outcome
from local.cloud.routing import Principal
from local.world import DEPLOYMENT, WORK_QUEUE
from shared.assumptions import REGISTER
from tests.virtual.arena import PRODUCTION, Arena, policy_text
from tests.virtual.conftest import VIRTUAL, OpenArena

pytestmark = VIRTUAL

EVERY_VALUE = [
    pytest.param({assumption.name: value}, id=f"{assumption.name}={value}")
    for assumption in REGISTER
    for value in assumption.values
]
QUICK = replace(PRODUCTION, cold_start_s=60)
BACKLOG = 80
MINUTE_S = 60.0
A_PERSON = Principal("a-person", "portal", "User")
DEPLOYMENT_URL = f"https://management.azure.com{DEPLOYMENT}?api-version=2024-10-01"


def quick_policy(mode: str = "enforce", **scaling: Any) -> str:
    return policy_text(mode, cold_start_s=60, **scaling)


def fill_queue(arena: Arena) -> None:
    """More work than one instance does within the promise."""
    for number in range(BACKLOG):
        arena.world.broker.queue(WORK_QUEUE).send(b"%d" % number)


def _just_before_our_patch(arena: Arena, body: object) -> Fault:
    """A person's change that starts between our last look and our request."""
    fault = Fault(method="GET", path="/deployments/blue$", when="after", on_hit=lambda _: person_patches(arena, body))
    return arena.world.cloud.faults.add(fault)


async def person_patches(arena: Arena, body: object) -> None:
    reply = await arena.world.cloud.front_door.perform("PATCH", DEPLOYMENT_URL, body, A_PERSON)
    assert reply.status in (200, 202), reply.body


@pytest.mark.parametrize("assumptions", EVERY_VALUE)
async def test_a_backlog_leads_to_a_verified_change_and_in_observe_mode_to_none(
    open_arena: OpenArena, assumptions: dict[str, str]
) -> None:
    async with open_arena(shape=QUICK, policy=quick_policy("observe"), assumptions=assumptions) as arena:
        fill_queue(arena)
        await arena.pass_time(2 * MINUTE_S)
        observed = await arena.entries("decision")
        assert {entry.body["mode"] for entry in observed} == {"observe"}
        assert all(one.body["plan"] != other.body["plan"] for one, other in pairwise(observed))
        assert not arena.world.cloud.mutations()
        assert not await arena.entries("outcome")

        arena.set_policy(quick_policy("enforce"))
        await arena.pass_time(4 * MINUTE_S)
        decided = [entry for entry in await arena.entries("decision") if entry.body["mode"] == "enforce"]
        outcomes = await arena.entries("outcome")
        assert decided
        assert len(arena.patches()) == len(decided) == len(outcomes)
        assert all("Done (verified)" in outcome.summary for outcome in outcomes)
        assert arena.capacity() > 1


@pytest.mark.parametrize("retry_after", ["absent", "present"])
async def test_an_operation_of_somebody_else_is_waited_for(open_arena: OpenArena, retry_after: str) -> None:
    switches = {"arm.conflict_retry_after": retry_after}
    async with open_arena(shape=QUICK, policy=quick_policy(), assumptions=switches) as arena:
        fault = _just_before_our_patch(arena, {"tags": {"owner": "someone"}})
        fill_queue(arena)
        await arena.pass_time(5 * MINUTE_S)
        assert fault.hits == 1
        refused = [record for record in arena.world.cloud.mutations() if record.effect_status == 409]
        assert len(refused) == 1
        ours = [record for record in arena.patches() if "sku" in record.body]
        assert ours[0].client_request_id == refused[0].client_request_id
        outcomes = await arena.entries("outcome")
        assert len(outcomes) == len(ours)
        assert all("Done (verified)" in outcome.summary for outcome in outcomes)


@pytest.mark.parametrize("shown", ["old_capacity", "new_capacity"])
async def test_a_refusal_that_was_lost_is_not_taken_for_our_operation(open_arena: OpenArena, shown: str) -> None:
    switches = {"deployment.get_during_update": shown}
    async with open_arena(shape=QUICK, policy=quick_policy(), assumptions=switches) as arena:
        _just_before_our_patch(arena, {"tags": {"owner": "someone"}})
        lost = arena.world.cloud.faults.add(Fault(method="PATCH", path="/blue$", when="after", withhold="close"))
        fill_queue(arena)
        await arena.pass_time(5 * MINUTE_S)
        assert lost.hits == 1
        ours = [record for record in arena.patches() if "sku" in record.body]
        outcomes = await arena.entries("outcome")
        assert len(outcomes) == len(ours) == len(await arena.entries("decision"))
        assert all("Done (verified)" in outcome.summary for outcome in outcomes)


@pytest.mark.parametrize("answer", ["ok_200", "accepted_location", "accepted_async_operation"])
@pytest.mark.parametrize("status", ["200", "409"])
async def test_a_failed_operation_is_told_and_tried_again_later(
    open_arena: OpenArena, status: str, answer: str
) -> None:
    switches = {"deployment.failed_operation_status": status, "deployment.patch_answer": answer}
    async with open_arena(shape=QUICK, policy=quick_policy(), assumptions=switches) as arena:
        arena.world.cloud.estate.deployment(DEPLOYMENT).next_outcome = Outcome(code="OutOfCapacity", after_s=20)
        fill_queue(arena)
        await arena.pass_time(8 * MINUTE_S)
        first, *later = await arena.entries("outcome")
        assert first.summary.startswith("Failed (")
        assert later
        assert all("Done (verified)" in outcome.summary for outcome in later)
        waited_s = (arena.patches()[1].at - arena.patches()[0].at).total_seconds()
        assert waited_s >= MINUTE_S
        assert arena.capacity() > 1


@pytest.mark.parametrize("age_s", ["0", "30"])
async def test_a_change_that_is_put_back_at_once_is_respected_and_announced_once(
    open_arena: OpenArena, age_s: str
) -> None:
    policy = quick_policy(min=2, respect_manual_s=300)
    async with open_arena(shape=QUICK, policy=policy, assumptions={"graph.age_s": age_s}) as arena:
        while not await arena.entries("outcome"):
            await arena.pass_time(1)
        assert arena.capacity() == 2
        await person_patches(arena, {"sku": {"capacity": 1}})
        await arena.pass_time(4 * MINUTE_S)
        assert arena.capacity() == 1
        (notice,) = await arena.entries("notice")
        assert "from 2 to 1" in notice.summary
        await arena.pass_time(4 * MINUTE_S)
        assert arena.capacity() == 2
