"""One look at the estate: everything that the scaling loop wants to know of its targets, read in bulk.

A sweep of n targets costs about one Resource Graph query per 1,000 deployments, one metrics call per 50 resources of a
region and type, and the queue reads of `queues.py`; quota and autoscale settings come from caches. Where there are more
queues than reads, one more metrics call per 50 namespaces tells which of the others hold nothing, so that each depth is
fresh however many there are. The sources are read side by side, and one that fails makes its own measurements Missing,
with the reason, and nothing else.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from shared.decisions.scaling.demand import Demand, Traffic, of_requests, of_utilization
from shared.domain import DeploymentId, Fresh, Measurement, Missing, QueueId, ScalingSnapshot, aged
from shared.estate import deployments
from shared.estate.arm import Arm
from shared.estate.autoscale import AutoscaleReader
from shared.estate.deployments import DeploymentView
from shared.estate.failures import ArmFailure
from shared.estate.idle import bridged, depth_of
from shared.estate.metrics import Metrics, MostActive, Point, QueueRates
from shared.estate.queues import SOURCE as QUEUE_SOURCE
from shared.estate.queues import QueueCounts, QueueReader
from shared.estate.quota import QuotaReader
from shared.estate.traffic import read_traffic
from shared.policy import TargetLoad

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential

ENDPOINT_READS_PER_SWEEP = 50
"""Per subscription, where Resource Graph does not tell: the longest unread first, so all are read over some sweeps."""

NO_QUEUE = Missing(reason="the deployment has no queue", source="policy")

type Unit = Literal["messages", "requests", "busy instances"]

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchSpec:
    """What to read for one target: a deployment, and the queue that it serves or what else shows its load.

    Exactly one of `queue` and `load` is given; `promise_s` is what was promised to requests, as `load` is read by it.
    `target_key` names the snapshot. Measurements older than `stale_after_s` become Stale. `price_usd_per_hour`
    overrides Azure's list price. `quota_reserve_pct` is what an update of the deployment needs on top (Azure ML: 20).
    """

    target_key: str
    deployment: DeploymentId
    queue: QueueId | None
    stale_after_s: float
    price_usd_per_hour: float | None
    quota_reserve_pct: float
    load: TargetLoad | None = None
    promise_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Limits:
    """What bounds the capacity of one target, or writes it too, and what an instance costs."""

    headroom: Measurement
    autoscale_setting: str
    autoscale_unknown: str
    price_usd_per_hour: float | None


Refresh = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What the sources said of one target, before it is aged and put together."""

    view: DeploymentView | Missing
    demand: Demand
    counted_in: Unit
    dead_letters: Measurement
    ready: Measurement
    limits: _Limits


class EstateReader:
    """Keeps what the sources taught (caches, last counts, last views) from one look to the next; one per process.

    `quota` and `autoscale` are public for the gates of an act, which ask them for fresh values, `queues` for those who
    count dead letters. `refresh` is called before each look: it drops what somebody said is out of date.
    """

    def __init__(self, arm: Arm, metrics: Metrics, now: Callable[[], datetime], refresh: Refresh) -> None:
        self._refresh = refresh
        self.quota = QuotaReader(arm, now)
        self.autoscale = AutoscaleReader(arm, now)
        self._arm = arm
        self._metrics = metrics
        self._now = now
        self.queues = QueueReader(arm, now)
        self._views: dict[str, DeploymentView] = {}
        self._moving: set[str] = set()
        self._unmentioned: set[str] = set()

    async def close(self) -> None:
        await self._metrics.close()

    async def observe(self, specs: Sequence[WatchSpec]) -> dict[str, ScalingSnapshot]:
        """Snapshots by `target_key`, however many of the sources failed."""
        await self._refresh()
        ids = list({spec.deployment.key: spec.deployment for spec in specs}.values())
        queues = list({spec.queue.key: spec.queue for spec in specs if spec.queue}.values())
        began = self._now()
        sweep = self.queues.sweep(queues, self._moving, self._unmentioned)
        views, counts = await asyncio.gather(self._read_views(ids), sweep)
        left_out = {queue.key for queue in self.queues.left_out(queues, began)}
        most_active = await self._metrics.most_active(
            self._queue_regions([spec for spec in specs if spec.queue and spec.queue.key in left_out], views)
        )
        snapshots = await self._look(specs, views, counts, most_active, fresh=False)
        self._moving = {spec.queue.key for spec in specs if spec.queue and _moves(snapshots[spec.target_key])}
        self._moving |= {key for key, seen in most_active.items() if seen.most > 0}
        self._unmentioned = left_out - most_active.keys()
        return snapshots

    async def observe_one(self, spec: WatchSpec, *, fresh: bool = False) -> ScalingSnapshot:
        """One target, from single GETs of its deployment and its queue, if it has one.

        `fresh`: quota and autoscale settings are read now too, as an act must.
        """
        await self._refresh()
        view, counts = await asyncio.gather(self._read_view(spec.deployment), self._read_counts(spec.queue))
        return (await self._look([spec], {spec.deployment.key: view}, counts, {}, fresh=fresh))[spec.target_key]

    async def arrivals(self, queue: QueueId, region: str, since: datetime, until: datetime) -> Sequence[Point] | str:
        """What Azure Monitor recorded of a queue's arrivals, or why that is not known; `region` is taken where that of
        the queue's namespace is not known.
        """
        return await self._metrics.arrivals(queue, self.queues.region_of(queue) or region, since, until)

    def last_view(self, deployment: DeploymentId) -> DeploymentView | None:
        """The deployment as this process read it last, None if it never did."""
        return self._views.get(deployment.key)

    async def _look(
        self,
        specs: Sequence[WatchSpec],
        views: Mapping[str, DeploymentView | Missing],
        counts: Mapping[str, QueueCounts | Missing],
        most_active: Mapping[str, MostActive],
        *,
        fresh: bool,
    ) -> dict[str, ScalingSnapshot]:
        """Add rates, ready instances and limits to what is known of deployments and queues."""
        regions = {spec.deployment: _region(views[spec.deployment.key]) for spec in specs}
        called = {spec.deployment: regions[spec.deployment] for spec in specs if spec.load}
        rates, ready, traffic, limits = await asyncio.gather(
            self._metrics.queue_rates(self._queue_regions(specs, views)),
            self._metrics.ready_instances(regions),
            read_traffic(self._metrics, called, self._now),
            asyncio.gather(*(self._limits(spec, views[spec.deployment.key], fresh=fresh) for spec in specs)),
        )
        now = self._now()
        snapshots = {}
        for spec, own_limits in zip(specs, limits, strict=True):
            view = views[spec.deployment.key]
            serving = _ready(view, ready[spec.deployment.key])
            if spec.queue is not None:
                own_rates = bridged(rates[spec.queue.key], self.queues.empty_spell(spec.queue))
                demand, dead_letters = _of_queue(counts[spec.queue.key], own_rates, most_active.get(spec.queue.key))
            else:
                demand, dead_letters = _of_load(spec, traffic[spec.deployment.key], serving, view), NO_QUEUE
            seen = _Seen(
                view=view,
                demand=demand,
                counted_in=_unit(spec),
                dead_letters=dead_letters,
                ready=serving,
                limits=own_limits,
            )
            snapshots[spec.target_key] = _snapshot(spec, seen, now)
        return snapshots

    def _queue_regions(
        self, specs: Sequence[WatchSpec], views: Mapping[str, DeploymentView | Missing]
    ) -> dict[QueueId, str]:
        """Of the queues' namespaces; where no answer has named it yet, the deployment's is the best guess."""
        return {
            spec.queue: self.queues.region_of(spec.queue) or _region(views[spec.deployment.key])
            for spec in specs
            if spec.queue
        }

    async def _read_counts(self, queue: QueueId | None) -> dict[str, QueueCounts | Missing]:
        if queue is None:
            return {}
        try:
            return {queue.key: await self.queues.read(queue)}
        except ArmFailure as failure:
            return {queue.key: Missing(reason=str(failure), source=QUEUE_SOURCE)}

    async def _read_view(self, deployment: DeploymentId) -> DeploymentView | Missing:
        try:
            view = await deployments.read(self._arm, deployment, self._now())
        except ArmFailure as failure:
            return Missing(reason=str(failure), source="arm")
        self._views[deployment.key] = view
        return view

    async def _read_views(self, ids: Sequence[DeploymentId]) -> Mapping[str, DeploymentView | Missing]:
        """From Resource Graph; what it does not give with a capacity, from lists per endpoint, some in each sweep."""
        graph_failure = ""
        listed: dict[str, DeploymentView] = {}
        try:
            subscriptions = sorted({each.subscription.lower() for each in ids})
            listed = await deployments.list_by_graph(self._arm, subscriptions, self._now())
        except ArmFailure as failure:
            graph_failure = str(failure)
        known = {each.key for each in ids if each.key in listed and listed[each.key].capacity is not None}
        self._views.update((key, listed[key]) for key in known)
        failures = await self._read_endpoints([each for each in ids if each.key not in known])
        return {
            each.key: Missing(reason=failures[each.key], source="arm")
            if each.key in failures
            else self._views.get(each.key) or _unread(graph_failure)
            for each in ids
        }

    async def _read_endpoints(self, ids: Sequence[DeploymentId]) -> dict[str, str]:
        """Read as many endpoints as a sweep may, the longest unread first; returns why any could not be read."""
        chosen: dict[str, DeploymentId] = {}
        spent: dict[str, int] = {}
        for each in sorted(ids, key=self._read_at):
            subscription = each.subscription.lower()
            if each.endpoint_key not in chosen and spent.get(subscription, 0) < ENDPOINT_READS_PER_SWEEP:
                chosen[each.endpoint_key] = each
                spent[subscription] = spent.get(subscription, 0) + 1
        failures: dict[str, str] = {}
        members: dict[str, list[DeploymentId]] = {}
        for each in ids:
            members.setdefault(each.endpoint_key, []).append(each)
        await asyncio.gather(*(self._read_endpoint(chosen[key], members[key], failures) for key in chosen))
        return failures

    async def _read_endpoint(self, member: DeploymentId, own: Sequence[DeploymentId], failures: dict[str, str]) -> None:
        try:
            listed = await deployments.list_by_endpoint(self._arm, member, self._now())
        except ArmFailure as failure:
            failures.update((each.key, str(failure)) for each in own)
            return
        self._views.update((each.key, listed[each.key]) for each in own if each.key in listed)
        gone = f"the endpoint {member.endpoint!r} has no such deployment: it was deleted or never made"
        failures.update((each.key, gone) for each in own if each.key not in listed)

    def _read_at(self, deployment: DeploymentId) -> datetime:
        view = self._views.get(deployment.key)
        return view.read_at if view else _NEVER

    async def _limits(self, spec: WatchSpec, view: DeploymentView | Missing, *, fresh: bool) -> _Limits:
        setting = unknown = ""
        try:
            setting = await self.autoscale.setting_for(spec.deployment, fresh=fresh)
        except ArmFailure as failure:
            unknown = str(failure)  # no setting and no knowledge are not the same
        price = spec.price_usd_per_hour
        if isinstance(view, Missing):
            headroom: Measurement = view
        else:
            headroom = await self.quota.headroom(view, spec.quota_reserve_pct, fresh=fresh)
            price = await self.quota.price_usd_per_hour(view) if price is None else price
        return _Limits(
            headroom=headroom, autoscale_setting=setting, autoscale_unknown=unknown, price_usd_per_hour=price
        )


async def nothing_to_refresh() -> None:
    """Of a process whose caches nobody else knows of: a probe, a test."""


def make_reader(
    arm: Arm,
    credential: "AsyncTokenCredential",
    now: Callable[[], datetime],
    refresh: Refresh = nothing_to_refresh,
) -> EstateReader:
    """A reader with a metrics client of its own; close it."""
    return EstateReader(arm, Metrics(credential, now), now, refresh)


def _snapshot(spec: WatchSpec, seen: _Seen, now: datetime) -> ScalingSnapshot:
    def at_its_age(measurement: Measurement) -> Measurement:
        return aged(measurement, now, spec.stale_after_s)

    def known(measurement: Measurement | None) -> Measurement | None:
        return None if measurement is None else at_its_age(measurement)

    demand = seen.demand
    view = seen.view if isinstance(seen.view, DeploymentView) else None
    return ScalingSnapshot(
        target=spec.target_key,
        taken_at=now,
        depth=at_its_age(demand.depth),
        arrivals_per_s=at_its_age(demand.arrivals_per_s),
        completions_per_s=at_its_age(demand.completions_per_s),
        capacity=at_its_age(_capacity(seen.view)),
        ready=at_its_age(seen.ready),
        quota_headroom=at_its_age(seen.limits.headroom),
        dead_letters=at_its_age(seen.dead_letters),
        provisioning_state=view.provisioning_state if view else "",
        autoscale_setting=seen.limits.autoscale_setting,
        autoscale_unknown=seen.limits.autoscale_unknown,
        scaled_by_cluster=view.scaled_by_cluster if view else False,
        vm_size=view.instance_type if view else "",
        price_usd_per_hour=seen.limits.price_usd_per_hour,
        counted_in=seen.counted_in,
        service_rate_per_s=known(demand.service_rate_per_s),
        latency_p95_s=known(demand.latency_p95_s),
        utilization_pct=known(demand.utilization_pct),
    )


def _unit(spec: WatchSpec) -> Unit:
    if spec.load is None:
        return "messages"
    return "requests" if spec.load.by == "requests" else "busy instances"


def _of_queue(
    counts: QueueCounts | Missing, rates: QueueRates, most_active: MostActive | None
) -> tuple[Demand, Measurement]:
    """The load, and the dead letters."""
    depth, dead_letters = _depths(counts)
    read_at = None if isinstance(counts, Missing) else counts.read_at
    demand = Demand(
        depth=depth_of(depth, read_at, most_active),
        arrivals_per_s=rates.arrivals_per_s,
        completions_per_s=rates.completions_per_s,
    )
    return demand, dead_letters


def _of_load(spec: WatchSpec, traffic: Traffic, ready: Measurement, view: DeploymentView | Missing) -> Demand:
    if spec.load is None:
        raise ValueError(f"{spec.target_key} has neither a queue nor a load")
    if spec.load.by != "requests":
        used = traffic.gpu_pct if spec.load.by == "gpu_utilization" else traffic.cpu_pct
        return of_utilization(used, ready, spec.load.full_at_pct, spec.promise_s)
    if isinstance(view, DeploymentView):
        traffic = replace(traffic, slots=view.slots, needs_gpu=view.has_gpus)
    return of_requests(traffic, ready, spec.promise_s)


def _depths(counts: QueueCounts | Missing) -> tuple[Measurement, Measurement]:
    if isinstance(counts, Missing):
        return counts, counts
    return (
        Fresh(value=float(counts.active), at=counts.read_at, source=QUEUE_SOURCE),
        Fresh(value=float(counts.dead_letter), at=counts.read_at, source=QUEUE_SOURCE),
    )


def _capacity(view: DeploymentView | Missing) -> Measurement:
    if isinstance(view, Missing):
        return view
    if view.capacity is None:
        return Missing(reason="the deployment has no sku.capacity", source=view.source)
    return Fresh(value=float(view.capacity), at=view.read_at, source=view.source)


def _ready(view: DeploymentView | Missing, by_metric: Measurement) -> Measurement:
    """Instances that serve. Where a cluster reports none (assumption kubernetes.metrics), a change that Azure calls
    Succeeded is one whose instances serve.
    """
    if not isinstance(by_metric, Missing) or isinstance(view, Missing) or view.capacity is None:
        return by_metric
    if not view.on_kubernetes or view.provisioning_state != "Succeeded":
        return by_metric
    return Fresh(value=float(view.capacity), at=view.read_at, source="provisioningState, for want of a metric")


def _region(view: DeploymentView | Missing) -> str:
    return view.region if isinstance(view, DeploymentView) else ""


def _unread(graph_failure: str) -> Missing:
    budget = f"not read yet: {ENDPOINT_READS_PER_SWEEP} endpoints a sweep and subscription"
    return Missing(reason=f"{graph_failure or 'not listed by Resource Graph'}; {budget}", source="graph")


def _moves(snapshot: ScalingSnapshot) -> bool:
    """Messages came or went lately: its depth is worth a read in the next sweep."""
    rates = (snapshot.arrivals_per_s, snapshot.completions_per_s)
    return any(not isinstance(rate, Missing) and rate.value > 0 for rate in rates)
