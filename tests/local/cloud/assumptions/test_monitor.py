"""Of Azure Monitor's metrics: what a client sees under each value."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from azure.core.exceptions import ResourceNotFoundError

from local.clock import VirtualClock
from local.cloud import Cloud, FixedQueues, Outcome, QueueCounts
from local.cloud.estate import Deployment
from local.workload import Arrivals
from local.world import DEPLOYMENT, Shape, World
from tests.local.cloud.assumptions.builders import scale
from tests.local.cloud.clients import ArmClient
from tests.local.cloud.conftest import BLUE, ENDPOINT, NAMESPACE
from tests.local.cloud.metrics_client import query, query_batch


async def test_monitor_delay_s(clock: VirtualClock, cloud: Cloud) -> None:
    cloud.metrics.add(NAMESPACE, "IncomingMessages", 5, clock.now(), {"EntityName": "orders"})
    await clock.advance(60 + 60)
    cloud.assumptions["monitor.delay_s"] = "180"
    assert await query(cloud, NAMESPACE, "IncomingMessages", "Total") == []
    cloud.assumptions["monitor.delay_s"] = "60"
    assert [value for _, value in (await query(cloud, NAMESPACE, "IncomingMessages", "Total"))[0].values] == [5]


async def test_monitor_idle_totals(clock: VirtualClock, cloud: Cloud, orders: FixedQueues) -> None:
    for value, totals in (("absent", []), ("zero", [0.0])):
        cloud.assumptions["monitor.idle_totals"] = value
        await clock.advance(300)
        for metric in ("IncomingMessages", "CompleteMessage"):
            series = await query(cloud, NAMESPACE, metric, "Total", filter="EntityName eq 'orders'")
            assert [each.values[-1][1] for each in series] == totals


async def test_monitor_idle_queue_series(clock: VirtualClock, cloud: Cloud, orders: FixedQueues) -> None:
    orders.set("returns", QueueCounts(active=2))
    for value, shown in (("absent", {"returns": 2.0}), ("zero", {"orders": 0.0, "returns": 2.0})):
        cloud.assumptions["monitor.idle_queue_series"] = value
        await clock.advance(300)
        series = await query(cloud, NAMESPACE, "ActiveMessages", "Maximum", filter="EntityName eq '*'")
        assert {each.dimensions["entityname"]: each.values[-1][1] for each in series} == shown


async def test_monitor_unknown_resource(clock: VirtualClock, cloud: Cloud) -> None:
    batch = [BLUE, f"{ENDPOINT}/deployments/gone", f"{ENDPOINT}/deployments/Green"]
    await clock.advance(180)
    with pytest.raises(ResourceNotFoundError, match="gone"):
        await query_batch(cloud, batch, "DeploymentCapacity", "Average")
    cloud.assumptions["monitor.unknown_resource"] = "left_out"
    answers = await query_batch(cloud, batch, "DeploymentCapacity", "Average")
    assert [series[0].values[-1][1] for series in answers] == [2, 1]


async def instances_now(cloud: Cloud, filter_by: str) -> list[tuple[str, float]]:
    """State and average of each series in the newest minute that has any."""
    found = await query(cloud, BLUE, "DeploymentCapacity", "Average", filter=filter_by)
    newest = max((series.values[-1][0] for series in found), default=None)
    return sorted((s.dimensions["state"], s.values[-1][1]) for s in found if s.values[-1][0] == newest)


async def test_monitor_capacity_states(arm: ArmClient, clock: VirtualClock, cloud: Cloud, blue: Deployment) -> None:
    blue.next_outcome = Outcome(kind="never")
    await scale(arm, 3)
    blue.instances[0].state = "draining"
    for value, words in (
        ("ready_pending_draining", ("Draining", "Pending", "Ready")),
        ("running_creating_deleting", ("Creating", "Deleting", "Running")),
    ):
        cloud.assumptions["monitor.capacity_states"] = value
        await clock.advance(300)
        assert await instances_now(cloud, "State eq '*'") == [(word, 1) for word in words]


async def test_monitor_capacity_counts(clock: VirtualClock, cloud: Cloud) -> None:
    for value, by_state, by_instance in (
        ("per_state", [("Ready", 2)], []),
        ("per_instance", [("Ready", 1)], [("Ready", 1), ("Ready", 1)]),
    ):
        cloud.assumptions["monitor.capacity_counts"] = value
        await clock.advance(300)
        assert await instances_now(cloud, "State eq '*'") == by_state
        assert await instances_now(cloud, "State eq '*' and instanceId eq '*'") == by_instance


@asynccontextmanager
async def calm_world(clock: VirtualClock, assumptions: dict[str, str], **shape: Any) -> AsyncIterator[World]:
    """A world whose endpoint nobody calls but the test."""
    usual = {"metric_grain_s": 60, "metric_delay_s": None, "over_the_wire": False, "kubernetes": False}
    world = World(clock, Shape(**{**usual, **shape}), assumptions=assumptions)
    await world.start()
    world.cloud.trust_in_this_process()
    clock.add_busy_probe(world.busy)
    with pytest.MonkeyPatch.context() as patch:
        for name, text in world.cloud.environment().items():
            patch.setenv(name, text)
        yield world
    await world.stop()


async def test_monitor_idle_requests(clock: VirtualClock) -> None:
    for value, rates in (("absent", []), ("zero", [0.0])):
        async with calm_world(clock, {"monitor.idle_requests": value}) as world:
            await clock.advance(300)
            series = await query(world.cloud, DEPLOYMENT, "RequestsPerMinute", "Average")
            assert [each.values[-1][1] for each in series] == rates


async def test_monitor_latency_wait(clock: VirtualClock) -> None:
    """Two at once for one instance that takes two seconds: the second waits as long."""
    for value, slowest_ms in (("included", 4000.0), ("excluded", 2000.0)):
        async with calm_world(clock, {"monitor.latency_wait": value}, service_s=2.0) as world:
            world.call(Arrivals.at([10.0, 10.0]))
            await clock.advance(300)
            (series,) = await query(world.cloud, DEPLOYMENT, "RequestLatency_P95", "Average")
            assert [latency_ms for _, latency_ms in series.values if latency_ms] == [slowest_ms]


async def test_kubernetes_metrics(clock: VirtualClock) -> None:
    for value, series_of in (("as_managed", 1), ("none", 0)):
        async with calm_world(clock, {"kubernetes.metrics": value}, kubernetes=True) as world:
            await clock.advance(300)
            for metric in ("DeploymentCapacity", "CpuUtilizationPercentage"):
                assert len(await query(world.cloud, DEPLOYMENT, metric, "Average")) == series_of
