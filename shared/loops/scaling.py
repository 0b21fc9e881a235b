"""Scaling: keep the promise that a queue is drained in time, with as few instances as that takes."""

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from shared.decisions import scaling
from shared.domain import (
    Decision,
    Dimension,
    Intent,
    Mode,
    ScalingSnapshot,
    Signal,
    TargetRecord,
    most_cautious,
)
from shared.estate.reader import EstateReader, WatchSpec
from shared.policy import Policy, Target

WAKING_KINDS = frozenset(
    {
        "servicebus.active_messages",
        "resource.written",
        "resource.acted_on",
        "resource.deleted",
        "alert.fired",
        "alert.resolved",
    }
)
"""Kinds of signals (see `shared.signals`) that are worth a look; any other wakes nobody."""

# A close look is a handful of reads; a signal about a namespace may wake every target of it.
CLOSE_LOOKS_AT_ONCE = 8


class ScalingLoop:
    """Woken by the sweep, by events on the queue, the endpoint or the deployment, and by alerts on them."""

    name = "scaling"
    dimensions: tuple[Dimension, ...] = ("capacity",)

    def __init__(self, reader: EstateReader) -> None:
        self._reader = reader

    def mode(self, policy: Policy, target: Target) -> Mode:
        return most_cautious(policy.loops.scaling.mode, target.mode)

    def policy_version(self, policy: Policy, target: Target) -> str:
        floors = [floor.model_dump(mode="json") for floor in policy.floors_of(target)]
        ground = [target.scaling.model_dump(mode="json"), floors, policy.limits.model_dump(mode="json")]
        return hashlib.sha256(json.dumps(ground, sort_keys=True).encode()).hexdigest()[:12]

    def woken_by(self, signal: Signal, targets: Sequence[Target]) -> Sequence[Target]:
        if signal.kind not in WAKING_KINDS:
            return []
        return [target for target in targets if _concerns(signal, target)]

    async def observe(
        self, policy: Policy, targets: Sequence[Target], *, closely: bool
    ) -> Mapping[str, ScalingSnapshot]:
        specs = [_spec(policy, target) for target in targets]
        if not closely:
            return await self._reader.observe(specs)
        slots = asyncio.Semaphore(CLOSE_LOOKS_AT_ONCE)

        async def look(spec: WatchSpec) -> ScalingSnapshot:
            async with slots:
                return await self._reader.observe_one(spec)

        snapshots = await asyncio.gather(*(look(spec) for spec in specs))
        return {snapshot.target: snapshot for snapshot in snapshots}

    def decide(
        self, snapshot: ScalingSnapshot, record: TargetRecord, target: Target, now: datetime
    ) -> tuple[tuple[Intent, ...], TargetRecord]:
        intents, memory = scaling.decide(snapshot, record.scaling, target.scaling, now)
        return intents, replace(record, scaling=memory)

    def after_change(self, record: TargetRecord, decision: Decision) -> TargetRecord:
        return replace(record, scaling=scaling.after_change(record.scaling, decision))


def make_loop(reader: EstateReader) -> ScalingLoop:
    return ScalingLoop(reader)


def _spec(policy: Policy, target: Target) -> WatchSpec:
    return WatchSpec(
        target_key=target.deployment_id.key,
        deployment=target.deployment_id,
        queue=target.queue_id,
        stale_after_s=target.scaling.stale_after_s,
        price_usd_per_hour=target.scaling.price_usd_per_hour,
        quota_reserve_pct=policy.limits.quota_reserve_pct,
    )


def _concerns(signal: Signal, target: Target) -> bool:
    """Whether one of the signal's subjects is the target's deployment, endpoint or queue, or the queue's namespace.

    A subject that is a namespace concerns its queue only if the signal names that queue or none.
    """
    queue = target.queue_id
    if {target.deployment_id.key, target.deployment_id.endpoint_key, queue.key} & set(signal.subjects):
        return True
    named = signal.fields.get("entity", "").lower()
    return queue.namespace_id.lower() in signal.subjects and named in ("", queue.queue.lower())
