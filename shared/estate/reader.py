"""One look at the estate: everything that the scaling loop wants to know of its targets, read in bulk.

A sweep of n targets costs about one Resource Graph query per 1,000 deployments, one metrics call per 50 resources of a
region and type, and the queue reads of `queues.py`; quota and autoscale settings come from caches. The sources are read
side by side, and one that fails makes its own measurements Missing, with the reason, and nothing else.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from shared.domain import DeploymentId, Fresh, Measurement, Missing, QueueId, ScalingSnapshot, aged
from shared.estate import deployments
from shared.estate.arm import Arm
from shared.estate.autoscale import AutoscaleReader
from shared.estate.deployments import DeploymentView
from shared.estate.failures import ArmFailure
from shared.estate.idle import bridged
from shared.estate.metrics import Metrics, QueueRates
from shared.estate.queues import SOURCE as QUEUE_SOURCE
from shared.estate.queues import QueueCounts, QueueReader
from shared.estate.quota import QuotaReader

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential

ENDPOINT_READS_PER_SWEEP = 50
"""Per subscription, where Resource Graph does not tell: the longest unread first, so all are read over some sweeps."""

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchSpec:
    """What to read for one target: a queue and the deployment that serves it.

    `target_key` names the snapshot. Measurements older than `stale_after_s` become Stale. `price_usd_per_hour`
    overrides Azure's list price. `quota_reserve_pct` is what an update of the deployment needs on top (Azure ML: 20).
    """

    target_key: str
    deployment: DeploymentId
    queue: QueueId
    stale_after_s: float
    price_usd_per_hour: float | None
    quota_reserve_pct: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Limits:
    """What bounds the capacity of one target, or writes it too, and what an instance costs."""

    headroom: Measurement
    autoscale_setting: str
    autoscale_unknown: str
    price_usd_per_hour: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What the sources said of one target, before it is aged and put together."""

    view: DeploymentView | Missing
    counts: QueueCounts | Missing
    rates: QueueRates
    ready: Measurement
    limits: _Limits


class EstateReader:
    """Keeps what the sources taught (caches, last counts, last views) from one look to the next; one per process.

    `quota` and `autoscale` are public for the gates of an act, which ask them for fresh values.
    """

    def __init__(self, arm: Arm, metrics: Metrics, now: Callable[[], datetime]) -> None:
        self.quota = QuotaReader(arm, now)
        self.autoscale = AutoscaleReader(arm, now)
        self._arm = arm
        self._metrics = metrics
        self._now = now
        self._queues = QueueReader(arm, now)
        self._views: dict[str, DeploymentView] = {}
        self._moving: set[str] = set()

    async def close(self) -> None:
        await self._metrics.close()

    async def observe(self, specs: Sequence[WatchSpec]) -> dict[str, ScalingSnapshot]:
        """Snapshots by `target_key`, however many of the sources failed."""
        ids = list({spec.deployment.key: spec.deployment for spec in specs}.values())
        queues = list({spec.queue.key: spec.queue for spec in specs}.values())
        views, counts = await asyncio.gather(self._read_views(ids), self._queues.sweep(queues, self._moving))
        snapshots = await self._look(specs, views, counts, fresh=False)
        self._moving = {spec.queue.key for spec in specs if _moves(snapshots[spec.target_key])}
        return snapshots

    async def observe_one(self, spec: WatchSpec, *, fresh: bool = False) -> ScalingSnapshot:
        """One target, from single GETs of its deployment and its queue.

        `fresh`: quota and autoscale settings are read now too, as an act must.
        """
        view, counts = await asyncio.gather(self._read_view(spec.deployment), self._read_counts(spec.queue))
        views = {spec.deployment.key: view}
        return (await self._look([spec], views, {spec.queue.key: counts}, fresh=fresh))[spec.target_key]

    async def _look(
        self,
        specs: Sequence[WatchSpec],
        views: Mapping[str, DeploymentView | Missing],
        counts: Mapping[str, QueueCounts | Missing],
        *,
        fresh: bool,
    ) -> dict[str, ScalingSnapshot]:
        """Add rates, ready instances and limits to what is known of deployments and queues."""
        regions = {spec.deployment: _region(views[spec.deployment.key]) for spec in specs}
        queue_regions = {spec.queue: self._queues.region_of(spec.queue) or regions[spec.deployment] for spec in specs}
        rates, ready, limits = await asyncio.gather(
            self._metrics.queue_rates(queue_regions),
            self._metrics.ready_instances(regions),
            asyncio.gather(*(self._limits(spec, views[spec.deployment.key], fresh=fresh) for spec in specs)),
        )
        now = self._now()
        return {
            spec.target_key: _snapshot(
                spec,
                _Seen(
                    view=views[spec.deployment.key],
                    counts=counts[spec.queue.key],
                    rates=bridged(rates[spec.queue.key], self._queues.empty_spell(spec.queue)),
                    ready=ready[spec.deployment.key],
                    limits=own_limits,
                ),
                now,
            )
            for spec, own_limits in zip(specs, limits, strict=True)
        }

    async def _read_counts(self, queue: QueueId) -> QueueCounts | Missing:
        try:
            return await self._queues.read(queue)
        except ArmFailure as failure:
            return Missing(reason=str(failure), source=QUEUE_SOURCE)

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
        await asyncio.gather(*(self._read_endpoint(each, ids, failures) for each in chosen.values()))
        return failures

    async def _read_endpoint(self, member: DeploymentId, ids: Sequence[DeploymentId], failures: dict[str, str]) -> None:
        own = [each for each in ids if each.endpoint_key == member.endpoint_key]
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


def make_reader(arm: Arm, credential: "AsyncTokenCredential", now: Callable[[], datetime]) -> EstateReader:
    """A reader with a metrics client of its own; close it."""
    return EstateReader(arm, Metrics(credential, now), now)


def _snapshot(spec: WatchSpec, seen: _Seen, now: datetime) -> ScalingSnapshot:
    def at_its_age(measurement: Measurement) -> Measurement:
        return aged(measurement, now, spec.stale_after_s)

    depth, dead_letters = _depths(seen.counts)
    view = seen.view if isinstance(seen.view, DeploymentView) else None
    return ScalingSnapshot(
        target=spec.target_key,
        taken_at=now,
        depth=at_its_age(depth),
        arrivals_per_s=at_its_age(seen.rates.arrivals_per_s),
        completions_per_s=at_its_age(seen.rates.completions_per_s),
        capacity=at_its_age(_capacity(seen.view)),
        ready=at_its_age(seen.ready),
        quota_headroom=at_its_age(seen.limits.headroom),
        dead_letters=at_its_age(dead_letters),
        provisioning_state=view.provisioning_state if view else "",
        autoscale_setting=seen.limits.autoscale_setting,
        autoscale_unknown=seen.limits.autoscale_unknown,
        scaled_by_cluster=view.scaled_by_cluster if view else False,
        vm_size=view.instance_type if view else "",
        price_usd_per_hour=seen.limits.price_usd_per_hour,
    )


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


def _region(view: DeploymentView | Missing) -> str:
    return view.region if isinstance(view, DeploymentView) else ""


def _unread(graph_failure: str) -> Missing:
    budget = f"not read yet: {ENDPOINT_READS_PER_SWEEP} endpoints a sweep and subscription"
    return Missing(reason=f"{graph_failure or 'not listed by Resource Graph'}; {budget}", source="graph")


def _moves(snapshot: ScalingSnapshot) -> bool:
    """Messages came or went lately: its depth is worth a read in the next sweep."""
    rates = (snapshot.arrivals_per_s, snapshot.completions_per_s)
    return any(not isinstance(rate, Missing) and rate.value > 0 for rate in rates)
