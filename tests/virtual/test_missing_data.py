"""Sources that fail or fall silent: nothing shrinks on missing data, it is said, and a fresh depth still grows."""

from dataclasses import replace
from typing import Any

import pytest

from local.cloud.faults import Fault
from tests.virtual.arena import QUICK, Arena, policy_text
from tests.virtual.conftest import VIRTUAL, OpenArena

pytestmark = VIRTUAL

THREE = replace(QUICK, capacity=3)
SHRINK_SOON: dict[str, Any] = {"scale_in_hold_s": 60, "scale_in_cooldown_s": 60, "cold_start_s": 60}


def fail_metrics(arena: Arena) -> None:
    arena.world.cloud.faults.add(Fault(method="POST", host="metrics", path="getBatch", status=403, times=9999))


async def sentence(arena: Arena) -> str:
    return str((await arena.call("GET", "targets/chat", status=200))["now"]["sentence"])


async def test_too_many_are_given_back_while_all_is_seen(open_arena: OpenArena) -> None:
    """What the other tests take away from."""
    async with open_arena(shape=THREE, policy=policy_text(**SHRINK_SOON)) as arena:
        await arena.pass_time(420)
        assert arena.capacity() == 1


async def test_nothing_shrinks_without_metrics(open_arena: OpenArena) -> None:
    async with open_arena(shape=THREE, policy=policy_text(**SHRINK_SOON)) as arena:
        fail_metrics(arena)
        await arena.pass_time(420)
        assert arena.sent() == []
        told = await sentence(arena)
        assert "nothing shrinks on incomplete data" in told
        assert "arrivals missing" in told
        assert "403" in told


async def test_nothing_shrinks_on_stale_metrics(open_arena: OpenArena) -> None:
    """Azure Monitor is three minutes late, and the policy believes nothing that is older than a minute and a half."""
    policy = policy_text(**SHRINK_SOON, stale_after_s=90)
    async with open_arena(shape=THREE, policy=policy, assumptions={"monitor.delay_s": "180"}) as arena:
        await arena.pass_time(420)
        assert arena.sent() == []
        assert "arrivals stale (of " in await sentence(arena)


async def test_growth_on_a_fresh_depth_needs_no_metrics(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(**SHRINK_SOON)) as arena:
        fail_metrics(arena)
        arena.send(300)
        await arena.pass_time(90)
        assert arena.capacity() > 1
        assert (await arena.decisions())[0].rule.startswith("promise_at_risk")


async def test_without_a_depth_nothing_changes_and_it_is_said(open_arena: OpenArena) -> None:
    async with open_arena(shape=THREE, policy=policy_text(**SHRINK_SOON)) as arena:
        arena.fault("GET", "/queues", 500)
        arena.send(300)
        await arena.pass_time(420)
        assert arena.sent() == []
        assert "queue depth could not be read" in await sentence(arena)
        assert "missing data" in await sentence(arena)


async def test_without_resource_graph_the_endpoint_is_read(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3)) as arena:
        arena.fault("POST", "ResourceGraph", 500)
        await arena.pass_time(150)
        assert arena.capacity() == 3
        assert len(arena.sent()) == 1
        assert await arena.entries("notice") == []


async def test_without_any_view_of_the_deployment_nothing_changes(open_arena: OpenArena) -> None:
    async with open_arena(shape=THREE, policy=policy_text(**SHRINK_SOON)) as arena:
        arena.fault("POST", "ResourceGraph", 500)
        arena.fault("GET", "onlineEndpoints", 500)
        await arena.pass_time(420)
        assert arena.sent() == []
        assert await arena.decisions() == []
        assert "capacity could not be read" in await sentence(arena)


async def test_one_endpoint_whose_records_cannot_be_read_is_a_problem_of_its_own(open_arena: OpenArena) -> None:
    """A row that a newer release wrote stops its endpoint, is told, and is not overlooked."""
    async with open_arena(shape=QUICK, policy=policy_text(min=3)) as arena:
        await arena.pass_time(120)
        table = arena.made.tables.table("WatchkeeperState")
        (row,) = [one async for one in table.query("PartitionKey ge @p", {"p": ""}) if one.row.startswith("target")]
        await table.put(replace(row, row=row.row.replace("target", "lease")))
        told = await arena.evaluate()
        assert told["decided"] == 0
        (problem,) = told["problems"]
        assert "deploy the release that wrote it" in problem


@pytest.mark.parametrize("lists", ["yes", "no"])
async def test_a_policy_that_becomes_invalid_changes_nothing(open_arena: OpenArena, lists: str) -> None:
    """The last good one stays in force; readiness and targets say why the newest is not."""
    async with open_arena(shape=QUICK, assumptions={"graph.lists_deployments": lists}) as arena:
        await arena.pass_time(30)
        arena.set_policy(policy_text(min=30))
        await arena.pass_time(60)
        assert arena.sent() == []
        shown = await arena.call("GET", "targets", status=200)
        assert "min" in shown["policy"]["refused"]
        arena.set_policy(policy_text(min=2))
        await arena.pass_time(60)
        assert len(arena.patches()) == 1
        assert (await arena.call("GET", "targets", status=200))["policy"]["refused"] is None
