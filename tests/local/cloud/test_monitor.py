"""metrics:getBatch through azure-monitor-querymetrics: what is asked, what comes back, what is refused."""

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError

from local.clock import VirtualClock
from local.cloud import Cloud, FixedQueues, QueueCounts, fleet
from local.cloud.estate import Deployment
from local.cloud.metric_catalogue import CATALOGUE
from tests.local.cloud.clients import ArmClient
from tests.local.cloud.conftest import BLUE, COLD_START_S, ENDPOINT, NAMESPACE, StartCloud
from tests.local.cloud.metrics_client import query, query_batch

START = datetime(2026, 1, 5, tzinfo=UTC)
DEFINITIONS = Path(__file__).parents[4] / "shared/data/arm_examples/spec/monitor/metric_definitions.csv"
MINUTE = timedelta(minutes=1)


@pytest.fixture
def orders(cloud: Cloud) -> FixedQueues:
    queues = FixedQueues("orders-bus", ["orders", "returns"])
    cloud.attach_queues(queues)
    return queues


async def test_events_of_a_queue_become_totals_of_their_minute(
    cloud: Cloud, orders: FixedQueues, clock: VirtualClock
) -> None:
    orders.observe("orders", "IncomingMessages", 40, START)
    orders.observe("orders", "IncomingMessages", 2, START + timedelta(seconds=59))
    orders.observe("orders", "IncomingMessages", 7, START + MINUTE)
    orders.observe("returns", "IncomingMessages", 100, START)
    await clock.advance(300)
    (series,) = await query(cloud, NAMESPACE, "IncomingMessages", "Total", filter="EntityName eq 'orders'")
    assert series.dimensions == {"entityname": "orders"}, "names of dimensions come back in lower case"
    assert series.values[:2] == [(START, 42), (START + MINUTE, 7)]
    whole = (await query(cloud, NAMESPACE, "IncomingMessages", "Total"))[0]
    assert (whole.dimensions, whole.values[0]) == ({}, (START, 142))
    by_queue = await query(cloud, NAMESPACE, "IncomingMessages", "Total", filter="EntityName eq '*'")
    assert [each.dimensions["entityname"] for each in by_queue] == ["orders", "returns"]


async def test_depth_is_sampled_from_the_counts(cloud: Cloud, orders: FixedQueues, clock: VirtualClock) -> None:
    orders.set("orders", QueueCounts(active=10, locked=2))
    await clock.advance(70)
    orders.set("orders", QueueCounts(active=30))
    await clock.advance(300)
    options: dict[str, Any] = {"timespan": (START + timedelta(seconds=90), START + timedelta(seconds=180))}
    for aggregation, expected in (("Average", [21, 30]), ("Minimum", [12, 30]), ("Maximum", [30, 30])):
        (series,) = await query(
            cloud, NAMESPACE, "ActiveMessages", aggregation, filter="EntityName eq 'orders'", **options
        )
        times, values = zip(*series.values, strict=True)
        assert times == (START + MINUTE, START + 2 * MINUTE), "the start is rounded down to the interval"
        assert list(values) == expected


async def test_missing_is_not_zero(cloud: Cloud, clock: VirtualClock) -> None:
    assert await query(cloud, ENDPOINT, "RequestLatency", "Average", timespan=(START - MINUTE, START)) == []
    cloud.metrics.add(ENDPOINT, "RequestLatency", 12.5, START, {"deployment": "blue"})
    cloud.metrics.add(ENDPOINT, "RequestLatency", 14.5, START + 3 * MINUTE, {"deployment": "blue"})
    await clock.advance(360)
    (series,) = await query(cloud, ENDPOINT, "RequestLatency", "Average", timespan=(START, START + 5 * MINUTE))
    assert series.values == [(START, 12.5), (START + 3 * MINUTE, 14.5)]
    assert series.empty == [START + MINUTE, START + 2 * MINUTE, START + 4 * MINUTE]


async def test_the_end_is_exclusive(cloud: Cloud, clock: VirtualClock) -> None:
    for minute in range(3):
        cloud.metrics.add(ENDPOINT, "RequestLatency", minute, START + minute * MINUTE)
    await clock.advance(600)
    (series,) = await query(cloud, ENDPOINT, "RequestLatency", "Average", timespan=(START, START + 2 * MINUTE))
    assert [value for _, value in series.values] == [0, 1]


async def test_coarser_intervals_gather_minutes(cloud: Cloud, clock: VirtualClock) -> None:
    for minute in range(10):
        cloud.metrics.add(NAMESPACE, "IncomingMessages", 1, START + minute * MINUTE, {"EntityName": "orders"})
    await clock.advance(900)
    span = {"timespan": (START, START + 10 * MINUTE)}
    five = timedelta(minutes=5)
    (series,) = await query(cloud, NAMESPACE, "IncomingMessages", "Total", granularity=five, **span)
    assert (series.values, series.granularity) == ([(START, 5), (START + five, 5)], five)


async def test_a_finer_grain_is_answered_and_said(start_cloud: StartCloud, clock: VirtualClock) -> None:
    cloud: Cloud = await start_cloud(metric_grain_s=5, metric_delay_s=0)
    cloud.metrics.add(ENDPOINT, "RequestLatency", 3, START + timedelta(seconds=11))
    await clock.advance(14)
    assert await query(cloud, ENDPOINT, "RequestLatency", "Average") == []
    await clock.advance(1)
    (series,) = await query(cloud, ENDPOINT, "RequestLatency", "Average", granularity=MINUTE)
    assert series.granularity == timedelta(seconds=5)
    assert series.values == [(START + timedelta(seconds=10), 3)]


async def test_instances_by_state(cloud: Cloud, arm: ArmClient, clock: VirtualClock, blue: Deployment) -> None:
    await arm.send("PATCH", BLUE, {"sku": {"capacity": 5}})
    await clock.advance(COLD_START_S + 300)
    by_state = {
        series.dimensions["state"]: [value for _, value in series.values][1:]
        for series in await query(cloud, BLUE, "DeploymentCapacity", "Average", filter="State eq '*'")
    }
    assert by_state["Pending"] == [3]
    assert by_state["Ready"] == [2, 5, 5, 5, 5]


async def test_up_to_50_resources_answered_in_the_order_asked(start_cloud: StartCloud, clock: VirtualClock) -> None:
    cloud: Cloud = await start_cloud(fleet(endpoints=51))
    ids = [deployment.id for deployment in cloud.estate.deployments()][::-1]
    for number, resource_id in enumerate(ids):
        cloud.metrics.add(resource_id, "CpuUtilizationPercentage", number, START)
    await clock.advance(300)
    answers = await query_batch(cloud, ids[:50], "CpuUtilizationPercentage", "Maximum")
    assert [answer[0].values[0][1] for answer in answers] == list(range(50))
    with pytest.raises(HttpResponseError, match="at most 50"):
        await query_batch(cloud, ids, "CpuUtilizationPercentage", "Maximum")


async def test_no_more_series_than_top_and_its_default_is_10(cloud: Cloud, clock: VirtualClock) -> None:
    for number in range(12):
        cloud.metrics.add(NAMESPACE, "IncomingMessages", number, START, {"EntityName": f"q{number}"})
    await clock.advance(300)
    split = {"filter": "EntityName eq '*'"}
    assert len(await query(cloud, NAMESPACE, "IncomingMessages", "Total", **split)) == 10
    assert len(await query(cloud, NAMESPACE, "IncomingMessages", "Total", max_results=12, **split)) == 12
    busiest = await query(cloud, NAMESPACE, "IncomingMessages", "Total", max_results=2, order_by="total desc", **split)
    assert [series.dimensions["entityname"] for series in busiest] == ["q11", "q10"]
    rolled = await query(cloud, NAMESPACE, "IncomingMessages", "Total", roll_up_by="EntityName", **split)
    assert [series.values[0][1] for series in rolled] == [sum(range(12))]


@pytest.mark.parametrize(
    ("metric", "aggregation", "options", "says"),
    [
        ("Depth", "Average", {}, "Valid metrics: IncomingMessages"),
        ("ActiveMessages", "Total", {}, "supports the aggregations Average, Minimum, Maximum"),
        ("ActiveMessages", "Average", {"filter": "QueueName eq 'q'"}, "has no dimension queuename"),
        ("ActiveMessages", "Average", {"filter": "EntityName like 'q'"}, "Invalid filter"),
        ("ActiveMessages", "Average", {"granularity": timedelta(minutes=7)}, "Invalid interval 'PT7M'"),
        ("ActiveMessages", "Average", {"region": "northeurope"}, "not in the subscription and region"),
        ("ActiveMessages", "Average", {"metric_namespace": "Microsoft.Storage/storageAccounts"}, "is unknown"),
    ],
)
async def test_what_azure_would_refuse_is_refused(
    cloud: Cloud, metric: str, aggregation: str, options: dict[str, Any], says: str
) -> None:
    with pytest.raises(HttpResponseError, match=says) as caught:
        await query(cloud, NAMESPACE, metric, aggregation, **options)
    assert caught.value.status_code == 400


async def test_resources_of_two_types_do_not_go_together(cloud: Cloud) -> None:
    with pytest.raises(HttpResponseError, match="must be of type"):
        await query_batch(cloud, [BLUE, ENDPOINT], "DeploymentCapacity", "Average")


async def test_a_source_without_its_namespace_is_refused(cloud: Cloud) -> None:
    with pytest.raises(ValueError, match="no Service Bus namespace 'other'; it has: orders-bus"):
        cloud.attach_queues(FixedQueues("other", []))


@pytest.mark.skipif(not DEFINITIONS.exists(), reason="../shared/data is not on this machine")
def test_the_catalogue_agrees_with_the_published_definitions() -> None:
    with DEFINITIONS.open(encoding="utf-8") as file:
        published = {(row["resource_type"].lower(), row["metric"].lower()): row for row in csv.DictReader(file)}
    compared = 0
    for namespace, metrics in CATALOGUE.items():
        for key, metric in metrics.items():
            row = published.get((namespace, key))
            if row is None:
                continue
            compared += 1
            assert set(row["aggregations"].split("|")) == set(metric.aggregations), metric
            assert {name for name in row["dimensions"].split("|") if name} == set(metric.dimensions), metric
            assert row["unit"] == metric.unit, metric
    assert compared >= 12
