"""Deployments that are called directly: scaled by the same decision, on what Azure Monitor shows of their requests."""

import random
from dataclasses import replace
from typing import Any

import pytest

from local.workload import Arrivals, Surge
from tests.virtual.arena import PRODUCTION, Arena, policy_text
from tests.virtual.conftest import VIRTUAL, OpenArena

pytestmark = VIRTUAL

MINUTE_S = 60.0
# An instance answers a request in four seconds, two at a time: half a request a second.
CALLED = replace(PRODUCTION, capacity=1, cold_start_s=120, service_s=4.0, slots_per_instance=2)
RULES: dict[str, Any] = {
    "max": 10,
    "drain_within_s": 20,
    "service_rate": {"learn": True, "prior_per_instance_per_s": 0.3},
    "cold_start_s": 120,
    "scale_in_cooldown_s": 120,
    "scale_in_hold_s": 120,
}


def policy(by: str = "requests", **scaling: Any) -> str:
    counted = {} if by == "requests" else {"service_rate": None}
    return policy_text(source=f"load: {{by: {by}}}", **(RULES | counted | scaling))


def steady(rate: float, minutes: float) -> Arrivals:
    seconds = 60 * minutes
    phase = Surge(base_rate=rate, surge_rate=rate, starts_at_s=0, lasts_s=seconds, duration_s=seconds)
    return Arrivals.of_surge(phase, random.Random(5))


async def now(arena: Arena) -> dict[str, Any]:
    return dict((await arena.call("GET", "targets/chat", status=200))["now"])


@pytest.mark.parametrize(
    ("by", "size"),
    [
        ("requests", CALLED.size),
        ("requests", "Standard_NC6s_v3"),
        ("cpu_utilization", CALLED.size),
        ("gpu_utilization", "Standard_NC6s_v3"),
    ],
)
async def test_many_requests_are_met_and_capacity_comes_back(open_arena: OpenArena, by: str, size: str) -> None:
    """1.6 requests a second want four instances of which each serves half a request a second."""
    async with open_arena(shape=replace(CALLED, size=size), policy=policy(by)) as arena:
        arena.world.call(steady(1.6, 28))
        await arena.pass_time(18 * MINUTE_S)
        assert 4 <= arena.capacity() <= 8
        refused = arena.world.callers.statuses[429]
        await arena.pass_time(10 * MINUTE_S)
        assert 4 <= arena.capacity() <= 8
        assert arena.world.callers.statuses[429] - refused < 0.02 * 1.6 * 600
        await arena.pass_time(25 * MINUTE_S)
        assert arena.capacity() == 1
        outcomes = await arena.entries("outcome")
        assert len(outcomes) == len(arena.patches())
        assert all("(verified)" in outcome.summary for outcome in outcomes)


async def test_nothing_shrinks_while_metrics_are_missing_or_stale(open_arena: OpenArena) -> None:
    """Three instances, one of which would do: they are kept as long as nobody can tell."""
    three = replace(CALLED, capacity=3)
    async with open_arena(shape=three, policy=policy()) as arena:
        arena.fault("POST", "getBatch", 403)
        arena.world.call(steady(0.2, 20))
        await arena.pass_time(10 * MINUTE_S)
        assert arena.sent() == []
        told = (await now(arena))["sentence"]
        assert "The number of requests could not be read" in told
        assert "Nothing is changed on missing data" in told
        arena.world.cloud.faults.clear()
        await arena.pass_time(9 * MINUTE_S)
        assert arena.capacity() < 3


@pytest.mark.parametrize("idle", ["zero", "absent"])
async def test_what_nobody_calls_shrinks_once_that_is_proved(open_arena: OpenArena, idle: str) -> None:
    three, switches = replace(CALLED, capacity=3), {"monitor.idle_requests": idle}
    async with open_arena(shape=three, policy=policy(), assumptions=switches) as arena:
        await arena.pass_time(12 * MINUTE_S)
        assert arena.capacity() == 1
        assert (await now(arena))["sentence"].startswith("chat: stays at 1 (promise_kept). 0 requests wait")


async def test_overload_is_met_though_latency_does_not_show_who_waits(open_arena: OpenArena) -> None:
    async with open_arena(shape=CALLED, policy=policy(), assumptions={"monitor.latency_wait": "excluded"}) as arena:
        arena.world.call(steady(1.6, 16))
        await arena.pass_time(15 * MINUTE_S)
        assert 4 <= arena.capacity() <= 7


@pytest.mark.parametrize("metrics", ["as_managed", "none"])
async def test_a_deployment_on_kubernetes_is_scaled_on_its_queue(open_arena: OpenArena, metrics: str) -> None:
    """By the same PATCH; a cluster's instances come in seconds, and no quota of a VM family counts."""
    shape = replace(PRODUCTION, kubernetes=True, cold_start_s=30, quota_vcpus=4)
    soon: dict[str, Any] = {"cold_start_s": 30, "scale_in_cooldown_s": 60, "scale_in_hold_s": 60}
    async with open_arena(
        shape=shape, policy=policy_text(**soon), assumptions={"kubernetes.metrics": metrics}
    ) as arena:
        arena.send(80)
        await arena.pass_time(5 * MINUTE_S)
        assert arena.capacity() > 1
        for _ in range(12):  # without metrics nobody knows while a change runs; with them, a minute or two after it
            ready = (await now(arena))["measured"]["ready"]
            if ready.startswith(f"{arena.capacity()}, fresh"):
                break
            await arena.pass_time(30)
        assert ready.startswith(f"{arena.capacity()}, fresh")
        await arena.pass_time(20 * MINUTE_S)
        assert arena.capacity() == 1
        outcomes = await arena.entries("outcome")
        assert len(outcomes) == len(arena.patches()) >= 2
        assert all("(verified)" in outcome.summary for outcome in outcomes)


async def test_on_kubernetes_without_metrics_requests_show_nothing_and_nothing_changes(open_arena: OpenArena) -> None:
    shape, switches = replace(CALLED, kubernetes=True, capacity=2), {"kubernetes.metrics": "none"}
    async with open_arena(shape=shape, policy=policy(), assumptions=switches) as arena:
        arena.world.call(steady(0.2, 10))
        await arena.pass_time(10 * MINUTE_S)
        assert arena.sent() == []
        assert "could not be read" in (await now(arena))["sentence"]
