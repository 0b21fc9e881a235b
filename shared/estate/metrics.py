"""Rates and ready instances from Azure Monitor, in batches of up to 50 resources of one region and type.

Requests: `POST https://{region}.metrics.monitor.azure.com/subscriptions/{s}/metrics:getBatch`, one per batch (a read by
POST, retried). Its throttle is its own, not Azure Resource Manager's.

What to know of the answers: results carry no resource id and come in the order of the request, perhaps without those
that do not exist (assumption monitor.unknown_resource); the interval may be another than the one that was asked for, so
it is read from the answer; a minute appears one to three minutes after its end (assumption monitor.delay_s); no data is
Missing, never zero.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import batched
from typing import TYPE_CHECKING, Any

from shared.domain import DeploymentId, Fresh, Measurement, Missing, QueueId
from shared.estate.arm import LONGEST_PAUSE_S

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential
    from azure.monitor.querymetrics.aio import MetricsClient

BATCH_RESOURCES = 50
LOOK_BACK = timedelta(minutes=6)
"""The newest complete minute starts at most five minutes ago if it appears three minutes after its end."""

GRANULARITY = timedelta(minutes=1)
FINE_HISTORY = timedelta(days=7)
COARSE_GRANULARITY = timedelta(minutes=5)
HISTORY_PER_CALL = timedelta(days=7)
"""A query of a month of minutes would be refused, or answered with some of them."""

SERIES_PER_RESOURCE = 1000
"""Asked for explicitly: the client's default is 10, and a namespace's eleventh queue would have no rates."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

QUEUE_NAMESPACE = "Microsoft.ServiceBus/Namespaces"
ARRIVALS = "IncomingMessages"
COMPLETIONS = "CompleteMessage"
ACTIVE = "ActiveMessages"
DEPLOYMENT_NAMESPACE = "Microsoft.MachineLearningServices/workspaces/onlineEndpoints/deployments"
CAPACITY = "DeploymentCapacity"

READY_STATES = frozenset({"ready", "running", "healthy"})
OTHER_STATES = frozenset(
    {"notready", "pending", "creating", "starting", "updating", "draining", "deleting", "unhealthy", "failed"}
)
"""The words of the dimension State are not documented: where none is known, nobody knows how many are ready."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueRates:
    """Messages a second over the newest complete interval; `at` of each is that interval's end.

    `silent`: both are Missing because Azure Monitor answered and has no total of this queue in the whole look-back. It
    does so for an idle queue (assumption monitor.idle_totals), but alone that is no proof of one.
    """

    arrivals_per_s: Measurement
    completions_per_s: Measurement
    silent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MostActive:
    """The most active messages that Azure Monitor saw in a queue from `start` to `end`: it samples, so a message that
    came and went between two samples is not in it.
    """

    most: float
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One value of one time series: the interval that it covers, and the series' dimensions (names in lower case)."""

    start: datetime
    interval: timedelta
    value: float
    dimensions: Mapping[str, str]

    @property
    def end(self) -> datetime:
        return self.start + self.interval


Points = Mapping[str, Sequence[Point]]
"""Points of one resource by metric name."""

PointsOfQueues = Mapping[tuple[str, str], Sequence[Point]]
"""Points of one namespace by metric name and lower-cased queue."""


@dataclass(frozen=True, slots=True)
class Query:
    """Metrics of one type of resource that share an aggregation and the dimensions by which they are split."""

    namespace: str
    metrics: tuple[str, ...]
    aggregation: str
    dimensions: tuple[str, ...]

    @property
    def filter(self) -> str:
        return " and ".join(f"{name} eq '*'" for name in self.dimensions)


_QUEUES = Query(QUEUE_NAMESPACE, (ARRIVALS, COMPLETIONS), "Total", ("EntityName",))
MOST_ACTIVE = Query(QUEUE_NAMESPACE, (ACTIVE,), "Maximum", ("EntityName",))
_STATES = Query(DEPLOYMENT_NAMESPACE, (CAPACITY,), "Average", ("State",))
_INSTANCES = Query(DEPLOYMENT_NAMESPACE, (CAPACITY,), "Average", ("State", "instanceId"))


class Metrics:
    """One client per region, made when first asked; close it."""

    def __init__(self, credential: "AsyncTokenCredential", now: Callable[[], datetime]) -> None:
        self._credential = credential
        self._now = now
        self._clients: dict[str, MetricsClient] = {}
        self._capacity_query: Query | None = None

    async def close(self) -> None:
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await client.close()

    async def queue_rates(self, queues: Mapping[QueueId, str]) -> dict[str, QueueRates]:
        """Rates of each queue by key. `queues` maps each to the region of its namespace ("" is Missing)."""
        answers = await self.query(_QUEUES, {queue.namespace_id: region for queue, region in queues.items()})
        by_queue = {namespace: _by_entity(answer) for namespace, answer in answers.items()}
        whole = {namespace: _is_whole(answer) for namespace, answer in by_queue.items()}
        found: dict[str, QueueRates] = {}
        for queue in queues:
            namespace = queue.namespace_id.lower()
            found[queue.key] = self._rates(queue, by_queue[namespace], whole=whole[namespace])
        return found

    async def most_active(self, queues: Mapping[QueueId, str]) -> dict[str, MostActive]:
        """The newest complete interval of each queue by key, without those of which nothing is known."""
        answers = await self.query(MOST_ACTIVE, {queue.namespace_id: region for queue, region in queues.items()})
        by_queue = {namespace: _by_entity(answer) for namespace, answer in answers.items()}
        found: dict[str, MostActive] = {}
        for queue in queues:
            answer = by_queue[queue.namespace_id.lower()]
            points = () if isinstance(answer, str) else answer.get((ACTIVE, queue.queue.lower()), ())
            if newest := newest_complete(points, self._now()):
                most = max(point.value for point in newest)
                found[queue.key] = MostActive(most=most, start=newest[0].start, end=newest[0].end)
        return found

    async def arrivals(self, queue: QueueId, region: str, since: datetime, until: datetime) -> list[Point] | str:
        """What arrived at a queue, an interval each (minutes, of more than a week five of them); or why it is not
        known. An interval in which Azure Monitor has no value is left out.
        """
        if not region:
            return "the region of its namespace is not known"
        granularity = GRANULARITY if until - since <= FINE_HISTORY else COARSE_GRANULARITY
        since -= (since - _EPOCH) % granularity  # else the interval of a seam would be told twice, in halves
        found: list[Point] = []
        try:
            while since < until:
                end = min(since + HISTORY_PER_CALL, until)
                results = await self._client(region).query_resources(
                    resource_ids=[queue.namespace_id],
                    metric_namespace=QUEUE_NAMESPACE,
                    metric_names=[ARRIVALS],
                    timespan=(since, end),
                    granularity=granularity,
                    aggregations=["Total"],
                    filter=f"EntityName eq '{queue.queue}'",
                    max_results=SERIES_PER_RESOURCE,
                )
                found += (point for result in results for point in _points(result).get(ARRIVALS, ()))
                since = end
        except Exception as error:  # as in `_query_batch`
            status = getattr(error, "status_code", None) or type(error).__name__
            return f"metrics of {region} could not be read: {status}: {str(error)[:400]}"
        return [point for point in found if point.end <= self._now()]

    async def ready_instances(self, deployments: Mapping[DeploymentId, str]) -> dict[str, Measurement]:
        """Instances that serve, of each deployment by key. `deployments` maps each to its region."""
        answers = await self._capacity({each.arm_id: region for each, region in deployments.items()})
        return {each.key: self._ready(answers[each.key]) for each in deployments}

    async def _capacity(self, regions: Mapping[str, str]) -> dict[str, Points | str]:
        """DeploymentCapacity by state: one number each, or a series for each instance to be added up.

        Which of both is learned (assumption monitor.capacity_counts) and kept for the life of the process. Where it is
        one number, there is nothing by instance although there was something by state before.
        """
        if self._capacity_query is not None:
            return await self.query(self._capacity_query, regions)
        by_state = await self.query(_STATES, regions)
        reported = {each: region for each, region in regions.items() if _has_points(by_state[each.lower()])}
        by_instance = await self.query(_INSTANCES, reported)
        if any(_has_points(answer) for answer in by_instance.values()):
            self._capacity_query = _INSTANCES
        elif any(not isinstance(answer, str) for answer in by_instance.values()):
            self._capacity_query = _STATES
            return by_state
        return by_state | by_instance  # unreadable by instance: what the numbers count is not known

    def _rates(self, queue: QueueId, answer: PointsOfQueues | str, *, whole: bool) -> QueueRates:
        arrivals, completions = (self._rate(queue, metric, answer) for metric in (ARRIVALS, COMPLETIONS))
        silent = whole and not any((metric, queue.queue.lower()) in answer for metric in (ARRIVALS, COMPLETIONS))
        return QueueRates(arrivals_per_s=arrivals, completions_per_s=completions, silent=silent)

    def _rate(self, queue: QueueId, metric: str, answer: PointsOfQueues | str) -> Measurement:
        source = f"metric {metric}"
        if isinstance(answer, str):
            return Missing(reason=answer, source=source)
        newest = newest_complete(answer.get((metric, queue.queue.lower()), ()), self._now())
        if not newest:
            return Missing(
                reason=f"no complete interval of {queue.queue!r} in the last {minutes(LOOK_BACK)}", source=source
            )
        total = sum(point.value for point in newest)
        return Fresh(value=total / newest[0].interval.total_seconds(), at=newest[0].end, source=source)

    def _ready(self, answer: Points | str) -> Measurement:
        source = f"metric {CAPACITY}"
        if isinstance(answer, str):
            return Missing(reason=answer, source=source)
        newest = newest_complete(answer.get(CAPACITY, ()), self._now())
        if not newest:
            return Missing(reason=f"no complete interval in the last {minutes(LOOK_BACK)}", source=source)
        states = {point.dimensions.get("state", "").lower() for point in newest}
        if not states & (READY_STATES | OTHER_STATES):
            return Missing(reason=f"only unknown states of instances: {', '.join(sorted(states))}", source=source)
        ready = sum(point.value for point in newest if point.dimensions.get("state", "").lower() in READY_STATES)
        return Fresh(value=ready, at=newest[0].end, source=source)

    async def query(self, query: Query, regions: Mapping[str, str]) -> dict[str, Points | str]:
        """Per resource id (lower case) its points, or the reason why there are none. No failure goes further."""
        answers: dict[str, Points | str] = {
            resource.lower(): "the region of the resource is not known"
            for resource, region in regions.items()
            if not region
        }
        calls = [self._query_batch(query, region, batch) for region, batch in _batches(regions)]
        for answer in await asyncio.gather(*calls):
            answers.update(answer)
        return answers

    async def _query_batch(self, query: Query, region: str, resources: Sequence[str]) -> Mapping[str, Points | str]:
        """One call; a batch refused or answered in part is halved until what Azure does not know stands alone."""
        try:
            found = await self._call(query, region, resources)
        except Exception as error:  # the SDK raises its own errors, and others on bodies that it cannot read
            status = getattr(error, "status_code", None) or type(error).__name__
            if status in (400, 404) and len(resources) > 1:
                return await self._query_halves(query, region, resources)
            reason = f"metrics of {region} could not be read: {status}: {str(error)[:400]}"
            return dict.fromkeys(map(str.lower, resources), reason)
        if len(found) == len(resources):
            return {resource.lower(): points for resource, points in zip(resources, found, strict=True)}
        if 0 < len(found) < len(resources):
            return await self._query_halves(query, region, resources)
        reason = f"metrics of {region}: {len(found)} results for {len(resources)} resources: whose is whose?"
        return dict.fromkeys(map(str.lower, resources), reason)

    async def _query_halves(self, query: Query, region: str, resources: Sequence[str]) -> Mapping[str, Points | str]:
        middle = len(resources) // 2
        halves = (resources[:middle], resources[middle:])
        first, second = await asyncio.gather(*(self._query_batch(query, region, half) for half in halves))
        return {**first, **second}

    async def _call(self, query: Query, region: str, resources: Sequence[str]) -> list[Points]:
        now = self._now()
        results = await self._client(region).query_resources(
            resource_ids=resources,
            metric_namespace=query.namespace,
            metric_names=query.metrics,
            timespan=(now - LOOK_BACK, now),
            granularity=GRANULARITY,
            aggregations=[query.aggregation],
            filter=query.filter or None,
            max_results=SERIES_PER_RESOURCE if query.dimensions else None,
        )
        return [_points(result) for result in results]

    def _client(self, region: str) -> "MetricsClient":
        if region not in self._clients:
            from azure.monitor.querymetrics.aio import MetricsClient

            endpoint = f"https://{region}.metrics.monitor.azure.com"
            timeouts = {"connection_timeout": 10.0, "read_timeout": 30.0}
            self._clients[region] = MetricsClient(endpoint, self._credential, retry_policy=_retry_policy(), **timeouts)
        return self._clients[region]


def newest_complete(points: Iterable[Point], now: datetime) -> list[Point]:
    """The points of the newest interval that is over at `now`: one of each series that has a value there."""
    complete = [point for point in points if point.end <= now]
    newest = max((point.start for point in complete), default=None)
    return [point for point in complete if point.start == newest]


def _has_points(answer: Points | str) -> bool:
    return not isinstance(answer, str) and bool(answer.get(CAPACITY))


def _is_whole(answer: PointsOfQueues | str) -> bool:
    """Whether Azure Monitor answered, and without having more series than were asked for: what is absent is not there.

    Asked once per namespace, as `_by_entity` is, so that a thousand queues are not a million comparisons.
    """
    if isinstance(answer, str):
        return False
    return all(sum(known == metric for known, _ in answer) < SERIES_PER_RESOURCE for metric in (ARRIVALS, COMPLETIONS))


def _by_entity(answer: Points | str) -> PointsOfQueues | str:
    if isinstance(answer, str):
        return answer
    grouped: dict[tuple[str, str], list[Point]] = {}
    for metric, points in answer.items():
        for point in points:
            grouped.setdefault((metric, point.dimensions.get("entityname", "").lower()), []).append(point)
    return grouped


def _points(result: Any) -> Points:
    """The values of one MetricsQueryResult; without an interval a total is no rate, so there are none."""
    interval = result.granularity
    if not isinstance(interval, timedelta) or interval <= timedelta(0):
        return {}
    return {metric.name: list(_series_points(metric.timeseries, interval)) for metric in result.metrics}


def _series_points(timeseries: Iterable[Any], interval: timedelta) -> Iterator[Point]:
    for series in timeseries:
        dimensions = {str(name).lower(): str(value) for name, value in series.metadata_values.items()}
        for point in series.data:
            asked_for = (point.total, point.average, point.maximum)  # each query asks for one of them
            value = next((one for one in asked_for if one is not None), None)
            if value is not None:
                start = point.timestamp if point.timestamp.tzinfo else point.timestamp.replace(tzinfo=UTC)
                yield Point(start=start, interval=interval, value=float(value), dimensions=dimensions)


def _batches(regions: Mapping[str, str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Batches of one region and one subscription (the call names it), each resource once whatever its letter case."""
    groups: dict[tuple[str, str], dict[str, str]] = {}
    for resource, region in regions.items():
        if region:
            subscription = resource.split("/")[2].lower()
            groups.setdefault((region, subscription), {})[resource.lower()] = resource
    for (region, _), resources in groups.items():
        for batch in batched(resources.values(), BATCH_RESOURCES, strict=False):
            yield region, batch


def _retry_policy() -> Any:
    """The SDK's retries, a few, and none that would sit through a long Retry-After."""
    from azure.core.pipeline.policies import AsyncRetryPolicy

    class Patient(AsyncRetryPolicy):  # type: ignore[type-arg]  # the two parameters are the SDK's request and response types
        def is_retry(self, settings: dict[str, Any], response: Any) -> bool:
            asked_s = self.get_retry_after(response)
            return (asked_s is None or asked_s <= LONGEST_PAUSE_S) and bool(super().is_retry(settings, response))

    return Patient(retry_total=2, retry_backoff_factor=0.4)


def minutes(span: timedelta) -> str:
    return f"{span.total_seconds() / 60:.0f} minutes"
