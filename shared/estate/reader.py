"""One look at the estate: everything that the scaling loop wants to know of its targets, read in bulk.

A sweep of n targets costs about one Resource Graph query per 1,000 deployments, one metrics call per 50 resources of a
region and type, and the queue reads of `queues.py`; quota and autoscale settings come from caches. The sources are read
side by side, and one that fails makes its own measurements Missing, with the reason, and nothing else.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from shared.domain import DeploymentId, Fresh, Measurement, Missing, QueueId, ScalingSnapshot, aged
from shared.estate import deployments
from shared.estate.arm import Arm
from shared.estate.autoscale import AutoscaleReader
from shared.estate.deployments import DeploymentView
from shared.estate.failures import ArmFailure
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
class _Seen:
    """What the sources said of one target, before it is aged and put together."""

    view: DeploymentView | Missing
    counts: QueueCounts | Missing
    rates: QueueRates
    ready: Measurement
    headroom: Measurement
    autoscale_setting: str
    price_usd_per_hour: float | None


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

    async def close(self) -> None:
        await self._metrics.close()

    async def observe(self, specs: Sequence[WatchSpec]) -> dict[str, ScalingSnapshot]:
        """Snapshots by `target_key`, however many of the sources failed."""
        ids = list({spec.deployment.key: spec.deployment for spec in specs}.values())
        views = await self._read_views(ids)
        return await self._look(specs, views, self._sweep_queues)

    async def observe_one(self, spec: WatchSpec, *, fresh: bool = False) -> ScalingSnapshot:
        """One target, from single GETs of its deployment and its queue.

        `fresh`: quota and autoscale settings are read now too, as an act must.
        """
        view = await self._read_view(spec.deployment)
        snapshots = await self._look([spec], {spec.deployment.key: view}, self._read_queues, fresh=fresh)
        return snapshots[spec.target_key]

    async def _look(
        self,
        specs: Sequence[WatchSpec],
        views: Mapping[str, DeploymentView | Missing],
        read_counts: Callable[[Sequence[QueueId], Iterable[str]], Awaitable[Mapping[str, QueueCounts | Missing]]],
        *,
        fresh: bool = False,
    ) -> dict[str, ScalingSnapshot]:
        regions = {spec.deployment: _region(views[spec.deployment.key]) for spec in specs}
        queues = {spec.queue.key: spec.queue for spec in specs}
        queue_regions = {s.queue: self._queues.region_of(s.queue) or regions[s.deployment] for s in specs}
        rates, ready, limits = await asyncio.gather(
            self._metrics.queue_rates(queue_regions),
            self._metrics.ready_instances(regions),
            asyncio.gather(*(self._limits(spec, views[spec.deployment.key], fresh=fresh) for spec in specs)),
        )
        counts = await read_counts(list(queues.values()), [key for key, rate in rates.items() if _moved(rate)])
        snapshots = {}
        for spec, (headroom, setting, price) in zip(specs, limits, strict=True):
            seen = _Seen(
                view=views[spec.deployment.key],
                counts=counts[spec.queue.key],
                rates=rates[spec.queue.key],
                ready=ready[spec.deployment.key],
                headroom=headroom,
                autoscale_setting=setting,
                price_usd_per_hour=price,
            )
            snapshots[spec.target_key] = _snapshot(spec, seen, self._now())
        return snapshots

    async def _read_view(self, deployment: DeploymentId) -> DeploymentView | Missing:
        try:
            view = await deployments.read(self._arm, deployment, self._now())
        except ArmFailure as failure:
            return Missing(reason=str(failure), source="arm")
        self._views[deployment.key] = view
        return view

    async def _read_views(self, ids: Sequence[DeploymentId]) -> Mapping[str, DeploymentView | Missing]:
        """From Resource Graph; what it does not give with a capacity, from lists per endpoint, some in each sweep."""
        failures: dict[str, str] = {}
        listed: dict[str, DeploymentView] = {}
        try:
            subscriptions = sorted({each.subscription.lower() for each in ids})
            listed = await deployments.list_by_graph(self._arm, subscriptions, self._now())
        except ArmFailure as failure:
            failures = {each.key: str(failure) for each in ids}
        known = {each.key for each in ids if each.key in listed and listed[each.key].capacity is not None}
        self._views.update((key, listed[key]) for key in known)
        await self._read_endpoints([each for each in ids if each.key not in known], failures)
        return {each.key: self._views.get(each.key) or _unlisted(failures.get(each.key, "")) for each in ids}

    async def _read_endpoints(self, ids: Sequence[DeploymentId], failures: dict[str, str]) -> None:
        chosen: dict[str, DeploymentId] = {}
        spent: dict[str, int] = {}
        for each in sorted(ids, key=self._read_at):
            subscription = each.subscription.lower()
            if each.endpoint_key not in chosen and spent.get(subscription, 0) < ENDPOINT_READS_PER_SWEEP:
                chosen[each.endpoint_key] = each
                spent[subscription] = spent.get(subscription, 0) + 1
        await asyncio.gather(*(self._read_endpoint(each, ids, failures) for each in chosen.values()))

    async def _read_endpoint(self, member: DeploymentId, ids: Sequence[DeploymentId], failures: dict[str, str]) -> None:
        own = [each for each in ids if each.endpoint_key == member.endpoint_key]
        try:
            listed = await deployments.list_by_endpoint(self._arm, member, self._now())
        except ArmFailure as failure:
            failures.update((each.key, str(failure)) for each in own)
            return
        for each in own:
            if each.key in listed:
                self._views[each.key] = listed[each.key]
            else:
                self._views.pop(each.key, None)
                failures[each.key] = (
                    f"{each.endpoint_id} has no deployment {each.deployment!r}: it was deleted or never made"
                )

    def _read_at(self, deployment: DeploymentId) -> datetime:
        view = self._views.get(deployment.key)
        return view.read_at if view else _NEVER

    async def _sweep_queues(
        self, queues: Sequence[QueueId], active: Iterable[str]
    ) -> Mapping[str, QueueCounts | Missing]:
        return await self._queues.sweep(queues, set(active))

    async def _read_queues(self, queues: Sequence[QueueId], _: Iterable[str]) -> Mapping[str, QueueCounts | Missing]:
        counts: dict[str, QueueCounts | Missing] = {}
        for queue in queues:
            try:
                counts[queue.key] = await self._queues.read(queue)
            except ArmFailure as failure:
                counts[queue.key] = Missing(reason=str(failure), source=QUEUE_SOURCE)
        return counts

    async def _limits(
        self, spec: WatchSpec, view: DeploymentView | Missing, *, fresh: bool
    ) -> tuple[Measurement, str, float | None]:
        """Headroom, the autoscale setting in the way, the price an hour."""
        try:
            setting = await self.autoscale.setting_for(spec.deployment, fresh=fresh)
        except ArmFailure as failure:
            # No setting and no knowledge are not the same: what is unknown stands in the way like a setting.
            setting = f"unknown, because the autoscale settings could not be read ({failure})"
        if isinstance(view, Missing):
            return view, setting, spec.price_usd_per_hour
        headroom = await self.quota.headroom(view, spec.quota_reserve_pct, fresh=fresh)
        price = spec.price_usd_per_hour
        return headroom, setting, price if price is not None else await self.quota.price_usd_per_hour(view)


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
        quota_headroom=at_its_age(seen.headroom),
        dead_letters=at_its_age(dead_letters),
        provisioning_state=view.provisioning_state if view else "",
        autoscale_setting=seen.autoscale_setting,
        scaled_by_cluster=view.scaled_by_cluster if view else False,
        vm_size=view.instance_type if view else "",
        price_usd_per_hour=seen.price_usd_per_hour,
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


def _unlisted(reason: str) -> Missing:
    waiting = (
        f"not listed by Resource Graph, and not read yet: {ENDPOINT_READS_PER_SWEEP} endpoints a sweep and subscription"
    )
    return Missing(reason=reason or waiting, source="graph")


def _moved(rates: QueueRates) -> bool:
    return any(isinstance(rate, Fresh) and rate.value > 0 for rate in (rates.arrivals_per_s, rates.completions_per_s))
