"""Metrics through azure-monitor-querymetrics, the answer flattened to what the tests compare."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from azure.identity.aio import ManagedIdentityCredential
from azure.monitor.querymetrics.aio import MetricsClient

from local.cloud import Cloud
from local.cloud.estate.resources import Resource


@dataclass(frozen=True)
class Answered:
    """One series: its dimensions, (time, value) of each point that has one; `empty` are the times of the others."""

    dimensions: dict[str, str]
    values: list[tuple[datetime, float]]
    empty: list[datetime]
    granularity: timedelta | None


async def query_batch(
    cloud: Cloud, resource_ids: list[str], metric: str, aggregation: str, **options: Any
) -> list[list[Answered]]:
    """The series of each resource, in the order asked. `options` as in `MetricsClient.query_resources`."""
    resource = cloud.estate.get(resource_ids[0])
    assert isinstance(resource, Resource)
    options.setdefault("timespan", (cloud.clock.now() - timedelta(minutes=10), cloud.clock.now()))
    options.setdefault("granularity", timedelta(minutes=1))
    endpoint = f"https://{options.pop('region', resource.region)}.metrics.monitor.azure.com"
    async with ManagedIdentityCredential() as credential, MetricsClient(endpoint, credential) as client:
        results = await client.query_resources(
            resource_ids=resource_ids,
            metric_namespace=options.pop("metric_namespace", resource.type),
            metric_names=[metric],
            aggregations=[aggregation],
            **options,
        )
    answers = []
    for result in results:
        (found,) = [each for each in result.metrics if each.name == metric]
        answers.append([_answered(series, aggregation.lower(), result.granularity) for series in found.timeseries])
    return answers


async def query(cloud: Cloud, resource_id: str, metric: str, aggregation: str, **options: Any) -> list[Answered]:
    (series,) = await query_batch(cloud, [resource_id], metric, aggregation, **options)
    return series


def _answered(series: Any, aggregation: str, granularity: timedelta | None) -> Answered:
    points = [(point.timestamp, getattr(point, aggregation)) for point in series.data]
    return Answered(
        dimensions=dict(series.metadata_values),
        values=[(at, value) for at, value in points if value is not None],
        empty=[at for at, value in points if value is None],
        granularity=granularity,
    )
