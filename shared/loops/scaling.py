"""Scaling: keep the promise that messages or requests are served in time, with as few instances as that takes."""

import asyncio
import hashlib
import json
from collections import defaultdict
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
)
from shared.estate.reader import EstateReader, WatchSpec
from shared.policy import Policy, Target
from shared.safety.freezes import concerning, freeze_ahead

WAKING_KINDS = frozenset(
    {
        "servicebus.active_messages",
        "resource.written",
        "resource.acted_on",
        "resource.deleted",
        "alert.metric",
        "alert.log",
        "alert.prometheus",
        "alert.administrative",
        "alert.autoscale",
        "alert.resource_health",
    }
)
"""Kinds of signals (see `shared.signals`) that are worth a look; any other wakes nobody."""

LIMITS = {"quota_reserve_pct", "max_instances"}
"""The limits that a decision rests on; the others are gates of the act."""

# A close look is a handful of reads; a signal about a namespace may wake every target of it.
CLOSE_LOOKS_AT_ONCE = 8


class ScalingLoop:
    """Woken by the sweep, by events on the queue, the endpoint or the deployment, and by alerts on them."""

    name = "scaling"
    dimensions: tuple[Dimension, ...] = ("capacity",)
    waking_kinds = WAKING_KINDS

    def __init__(self, reader: EstateReader) -> None:
        self._reader = reader
        self._concerned: _Concerned | None = None

    def mode(self, policy: Policy, target: Target) -> Mode:
        return policy.scaling_mode(target)

    def policy_version(self, policy: Policy, target: Target) -> str:
        floors = [floor.model_dump(mode="json") for floor in policy.floors_of(target)]
        limits = policy.limits_of(target).model_dump(mode="json", include=LIMITS)
        ground = [target.rules.model_dump(mode="json"), floors, limits]
        if target.load is not None:
            ground.append(target.load.model_dump(mode="json"))
        return hashlib.sha256(json.dumps(ground, sort_keys=True).encode()).hexdigest()[:12]

    def woken_by(self, signal: Signal, targets: Sequence[Target]) -> Sequence[Target]:
        if signal.kind not in WAKING_KINDS:
            return []
        if self._concerned is None or self._concerned.targets is not targets:
            self._concerned = _Concerned(targets)
        return self._concerned.by(signal)

    async def observe(
        self, policy: Policy, targets: Sequence[Target], *, closely: bool
    ) -> Mapping[str, ScalingSnapshot]:
        seen = await self._look([_spec(policy, target) for target in targets], closely=closely)
        by_key = {target.deployment_id.key: target for target in targets}
        return {key: self._with_freeze(snapshot, policy, by_key[key]) for key, snapshot in seen.items()}

    def _with_freeze(self, snapshot: ScalingSnapshot, policy: Policy, target: Target) -> ScalingSnapshot:
        """The snapshot with the freeze that stops growth now, or will next."""
        freezes = policy.of(target).freezes
        concerned = concerning(freezes, target.place(self.name), "growth") if freezes else ()
        ahead = freeze_ahead(concerned, snapshot.taken_at)
        return replace(snapshot, freeze_begins_at=ahead[0], freeze_ends_at=ahead[1]) if ahead else snapshot

    async def _look(self, specs: Sequence[WatchSpec], *, closely: bool) -> Mapping[str, ScalingSnapshot]:
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
        intents, memory = scaling.decide(snapshot, record.scaling, target.rules, now)
        return intents, replace(record, scaling=memory)

    def after_change(self, record: TargetRecord, decision: Decision) -> TargetRecord:
        return replace(record, scaling=scaling.after_change(record.scaling, decision))

    def after_look(
        self, record: TargetRecord, snapshot: ScalingSnapshot, target: Target, wanted: int | None, now: datetime
    ) -> TargetRecord:
        shadow = scaling.watched(record.shadow, snapshot, record.scaling, target.rules, wanted, now)
        return replace(record, shadow=shadow)


def make_loop(reader: EstateReader) -> ScalingLoop:
    return ScalingLoop(reader)


def _spec(policy: Policy, target: Target) -> WatchSpec:
    return WatchSpec(
        target_key=target.deployment_id.key,
        deployment=target.deployment_id,
        queue=target.queue_id,
        load=target.load,
        promise_s=target.scaling.drain_within_s,
        stale_after_s=target.scaling.stale_after_s,
        price_usd_per_hour=target.scaling.price_usd_per_hour,
        quota_reserve_pct=policy.limits_of(target).quota_reserve_pct,
    )


class _Concerned:
    """Which of these targets a signal concerns, looked up: in a storm, reading every target for every signal is dear.

    A signal concerns a target if one of its subjects is the target's deployment, endpoint or queue, if it has one, or
    the queue's namespace; a subject that is a namespace concerns its queue only if the signal names that queue or none.
    """

    def __init__(self, targets: Sequence[Target]) -> None:
        self.targets = targets
        self._by_resource: dict[str, list[int]] = defaultdict(list)
        self._by_namespace: dict[str, list[tuple[str, int]]] = defaultdict(list)
        for number, target in enumerate(targets):
            deployment, queue = target.deployment_id, target.queue_id
            for key in (deployment.key, deployment.endpoint_key):
                self._by_resource[key].append(number)
            if queue is not None:
                self._by_resource[queue.key].append(number)
                self._by_namespace[queue.namespace_id.lower()].append((queue.queue.lower(), number))

    def by(self, signal: Signal) -> list[Target]:
        """In the order of the policy."""
        named = signal.fields.get("entity", "").lower()
        found: set[int] = set()
        for subject in signal.subjects:
            found.update(self._by_resource.get(subject, ()))
            queues = self._by_namespace.get(subject, ())
            found.update(number for queue, number in queues if named in ("", queue))
        return [self.targets[number] for number in sorted(found)]
