"""What the measurements say about a queue and its instances, and how far they may be trusted."""

import math
from dataclasses import dataclass, replace
from datetime import datetime

from shared.domain import Fresh, Measurement, Missing, ScalingMemory, ScalingSnapshot
from shared.policy.models import LearnedRate, Scaling

# A difference of two depths is noisy: it is smoothed over this share of the promise, and no longer than this.
SLOPE_SMOOTHING_SHARE = 0.25
SLOPE_SMOOTHING_S = 30.0
# Between two looks further apart than this the depth tells nothing of a rate; a smaller rate than this is none.
SLOPE_FORGOTTEN_S = 120.0
SLOPE_NOISE_PER_S = 1e-3
# Completions of single minutes are smoothed over this share of the time after which growth must have shown in them.
COMPLETIONS_SMOOTHING_SHARE = 1 / 3
# A growth by less than this makes no difference that could be told from noise.
TELLING_GROWTH = 1.25
# How much one new observation counts: more instances' worth of speed is believed sooner than less.
FASTER_WEIGHT = 0.5
SLOWER_WEIGHT = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """The queue and its instances as numbers: messages, messages a second, instances.

    `arrivals_per_s` is never below what the rise of the depth shows. `doubts` are the reasons, in words, not to shrink.
    """

    depth: float
    arrivals_per_s: float
    completions_per_s: float | None
    service_rate_per_s: float
    capacity: int
    ready: int
    pending_in_s: float
    doubts: tuple[str, ...]


def read_load(
    snapshot: ScalingSnapshot, memory: ScalingMemory, policy: Scaling, now: datetime
) -> tuple[Load, ScalingMemory]:
    """The load as of `now` and the memory that has seen it. Depth and capacity must be Fresh."""
    depth, capacity = _fresh(snapshot.depth), int(_fresh(snapshot.capacity))
    if snapshot.ordered is not None:
        capacity = snapshot.ordered
    ready = _ready(snapshot, memory, policy, capacity, now)
    memory = _with_readiness(_with_depth(memory, policy, snapshot.depth, ready), ready, capacity, now)
    memory = _with_completions(memory, snapshot.completions_per_s, policy, ready, capacity)
    service_rate = service_rate_per_s(memory, policy)
    completions = snapshot.completions_per_s.value if isinstance(snapshot.completions_per_s, Fresh) else None
    return (
        Load(
            depth=depth,
            arrivals_per_s=_arrivals(snapshot.arrivals_per_s, memory, completions, service_rate * ready),
            completions_per_s=completions,
            service_rate_per_s=service_rate,
            capacity=capacity,
            ready=ready,
            pending_in_s=_pending_in_s(memory, policy, now) if ready < capacity else 0.0,
            doubts=tuple(_doubts(snapshot)),
        ),
        memory,
    )


def service_rate_per_s(memory: ScalingMemory, policy: Scaling) -> float:
    """What an instance serves: as the policy knows it, or as learned, or until then the policy's guess."""
    rate = policy.service_rate
    if not isinstance(rate, LearnedRate):
        return rate.per_instance_per_s
    return memory.service_rate_per_s or rate.prior_per_instance_per_s


def _fresh(measurement: Measurement) -> float:
    if not isinstance(measurement, Fresh):
        raise TypeError(f"a Fresh measurement is needed here, not {measurement}")
    return measurement.value


def _ready(snapshot: ScalingSnapshot, memory: ScalingMemory, policy: Scaling, capacity: int, now: datetime) -> int:
    """Instances that serve; without the metric, those of the last growth serve once its cold start is over."""
    if isinstance(snapshot.ready, Fresh):
        return min(int(snapshot.ready.value), capacity)
    if memory.grown_at is None or memory.grown_from is None:
        return capacity
    arrived = (now - memory.grown_at).total_seconds() >= policy.cold_start_s
    return capacity if arrived else min(memory.grown_from, capacity)


def _with_depth(memory: ScalingMemory, policy: Scaling, measured: Measurement, ready: int) -> ScalingMemory:
    """Remember the depth and how fast it moves. A depth may be told again by later looks: it is of its own time."""
    if not isinstance(measured, Fresh) or (memory.depth_at is not None and measured.at <= memory.depth_at):
        return memory
    depth, at = measured.value, measured.at
    if depth == 0 and memory.depth == 0 and memory.depth_slope_per_s == 0:
        return memory  # idle: nothing to learn, so nothing to write
    slope = memory.depth_slope_per_s
    elapsed_s = (at - memory.depth_at).total_seconds() if memory.depth_at else math.inf
    if memory.depth is None or elapsed_s > SLOPE_FORGOTTEN_S:
        slope = 0.0
    else:
        smoothing_s = min(SLOPE_SMOOTHING_S, SLOPE_SMOOTHING_SHARE * policy.drain_within_s)
        weight = elapsed_s / (elapsed_s + smoothing_s)
        slope += weight * ((depth - memory.depth) / elapsed_s - slope)
    if abs(slope) < SLOPE_NOISE_PER_S:
        slope = 0.0
    busy_since = memory.busy_since or at if depth > ready else None
    return replace(memory, depth=depth, depth_at=at, depth_slope_per_s=slope, busy_since=busy_since)


def _with_readiness(memory: ScalingMemory, ready: int, capacity: int, now: datetime) -> ScalingMemory:
    """Remember since when enough more instances serve to tell whether that helps, and when the last change was over."""
    memory = replace(memory, ready=ready)
    if memory.grown_from is None or ready <= memory.grown_from:
        return memory
    if memory.grown_to is None and ready >= TELLING_GROWTH * memory.grown_from:
        memory = replace(memory, grown_to=ready, ready_since=now)
    if ready >= capacity and memory.changed_at == memory.grown_at:
        memory = replace(memory, changed_at=now)
    return memory


def _with_completions(
    memory: ScalingMemory, sample: Measurement, policy: Scaling, ready: int, capacity: int
) -> ScalingMemory:
    """Remember a minute of completions in which there was work for all; nothing is learned from the others."""
    if memory.busy_since is None or not isinstance(sample, Fresh) or sample.at == memory.completions_at:
        return memory
    known = memory.completions_per_s
    if known is None or memory.completions_at is None:
        smoothed = sample.value
    else:
        elapsed_s = max(0.0, (sample.at - memory.completions_at).total_seconds())
        smoothing_s = COMPLETIONS_SMOOTHING_SHARE * policy.not_capacity_bound_after_s
        smoothed = known + elapsed_s / (elapsed_s + smoothing_s) * (sample.value - known)
    return replace(
        memory,
        completions_at=sample.at,
        completions_per_s=smoothed,
        completing_at=sample.at if sample.value > 0 else memory.completing_at,
        ready_at_sample=ready,
        service_rate_per_s=_learned_rate(memory, sample, policy, ready, capacity),
    )


def _learned_rate(memory: ScalingMemory, sample: Fresh, policy: Scaling, ready: int, capacity: int) -> float | None:
    """Learn from a minute in which all instances had work and were as many as in the one before."""
    steady = ready == capacity == memory.ready_at_sample
    saturated = memory.busy_since is not None and memory.busy_since < sample.at
    if not isinstance(policy.service_rate, LearnedRate) or not (steady and saturated) or sample.value <= 0 or ready < 1:
        return memory.service_rate_per_s
    observed = sample.value / ready
    known = service_rate_per_s(memory, policy)
    weight = FASTER_WEIGHT if observed > known else SLOWER_WEIGHT
    return known + weight * (observed - known)


def _arrivals(metric: Measurement, memory: ScalingMemory, completions: float | None, throughput: float) -> float:
    """The greater of the metric (minutes late) and what the depth shows: its slope plus what is completed meanwhile.

    While nothing waits for an instance the metric knows better: a few messages more or less are no trend, and late
    completions are those of a backlog that is gone.
    """
    by_metric = 0.0 if isinstance(metric, Missing) else metric.value
    waiting = memory.busy_since is not None
    if not waiting and not isinstance(metric, Missing):
        return by_metric
    served = throughput if completions is None and waiting else min(completions or 0.0, throughput)
    return max(by_metric, memory.depth_slope_per_s + served, 0.0)


def _pending_in_s(memory: ScalingMemory, policy: Scaling, now: datetime) -> float:
    """When the instances that were ordered but do not serve yet are expected."""
    if memory.grown_at is None:
        return policy.cold_start_s
    return max(0.0, policy.cold_start_s - (now - memory.grown_at).total_seconds())


def _doubts(snapshot: ScalingSnapshot) -> list[str]:
    measured = {
        "arrivals": snapshot.arrivals_per_s,
        "completions": snapshot.completions_per_s,
        "ready instances": snapshot.ready,
    }
    doubts = []
    for name, measurement in measured.items():
        if isinstance(measurement, Missing):
            doubts.append(f"{name} missing ({measurement.reason})")
        elif not isinstance(measurement, Fresh):
            doubts.append(f"{name} stale (of {measurement.at:%H:%M:%S} UTC)")
    return doubts
