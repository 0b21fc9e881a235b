"""What the measurements say about a queue and its instances, and how far they may be trusted."""

import math
from dataclasses import dataclass, replace
from datetime import datetime

from shared.domain import Fresh, Missing, ScalingMemory, ScalingSnapshot
from shared.policy.models import LearnedRate, Scaling

# A difference of two depths is noisy: it is smoothed over this share of the promise, and no longer than this.
SLOPE_SMOOTHING_SHARE = 0.25
SLOPE_SMOOTHING_S = 30.0
# Between two looks further apart than this the depth tells nothing of a rate; a smaller rate than this is none.
SLOPE_FORGOTTEN_S = 120.0
SLOPE_NOISE_PER_S = 1e-3
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
    memory = _with_readiness(_with_depth(memory, policy, depth, snapshot.taken_at), ready, capacity, now)
    memory = _with_service_rate(memory, snapshot, policy, depth, ready, capacity)
    service_rate = memory.service_rate_per_s or prior_service_rate(policy)
    completions = snapshot.completions_per_s.value if isinstance(snapshot.completions_per_s, Fresh) else None
    return (
        Load(
            depth=depth,
            arrivals_per_s=_arrivals(snapshot, memory, completions, service_rate * ready),
            completions_per_s=completions,
            service_rate_per_s=service_rate,
            capacity=capacity,
            ready=ready,
            pending_in_s=_pending_in_s(memory, policy, now) if ready < capacity else 0.0,
            doubts=tuple(_doubts(snapshot)),
        ),
        memory,
    )


def prior_service_rate(policy: Scaling) -> float:
    """What an instance serves a second before anything was learned."""
    rate = policy.service_rate
    return rate.prior_per_instance_per_s if isinstance(rate, LearnedRate) else rate.per_instance_per_s


def _fresh(measurement: object) -> float:
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


def _with_depth(memory: ScalingMemory, policy: Scaling, depth: float, at: datetime) -> ScalingMemory:
    if depth == 0 and memory.depth == 0 and memory.depth_slope_per_s == 0:
        return memory  # idle: nothing to learn, so nothing to write
    slope = memory.depth_slope_per_s
    elapsed_s = (at - memory.depth_at).total_seconds() if memory.depth_at else math.inf
    if memory.depth is None or elapsed_s > SLOPE_FORGOTTEN_S:
        slope = 0.0
    elif elapsed_s > 0:
        smoothing_s = min(SLOPE_SMOOTHING_S, SLOPE_SMOOTHING_SHARE * policy.drain_within_s)
        weight = elapsed_s / (elapsed_s + smoothing_s)
        slope += weight * ((depth - memory.depth) / elapsed_s - slope)
    if abs(slope) < SLOPE_NOISE_PER_S:
        slope = 0.0
    busy_since = None if depth <= 0 else memory.busy_since or at
    return replace(memory, depth=depth, depth_at=at, depth_slope_per_s=slope, busy_since=busy_since)


def _with_readiness(memory: ScalingMemory, ready: int, capacity: int, now: datetime) -> ScalingMemory:
    """Remember when the last growth had arrived in full."""
    arrived = memory.grown_at is not None and memory.ready_since is None and ready >= capacity
    return replace(memory, ready=ready, ready_since=now if arrived else memory.ready_since)


def _with_service_rate(
    memory: ScalingMemory, snapshot: ScalingSnapshot, policy: Scaling, depth: float, ready: int, capacity: int
) -> ScalingMemory:
    """Learn from a minute of completions in which all instances had work and were as many as in the one before."""
    sample = snapshot.completions_per_s
    idle = memory.busy_since is None
    if idle or not isinstance(sample, Fresh) or sample.at == memory.completions_at:
        return memory
    seen = replace(memory, completions_at=sample.at, ready_at_sample=ready)
    steady = ready == capacity == memory.ready_at_sample
    saturated = steady and memory.busy_since is not None and memory.busy_since < sample.at and depth > ready
    if not isinstance(policy.service_rate, LearnedRate) or not saturated or sample.value <= 0 or ready < 1:
        return seen
    observed = sample.value / ready
    known = memory.service_rate_per_s or prior_service_rate(policy)
    weight = FASTER_WEIGHT if observed > known else SLOWER_WEIGHT
    return replace(seen, service_rate_per_s=known + weight * (observed - known))


def _arrivals(snapshot: ScalingSnapshot, memory: ScalingMemory, completions: float | None, throughput: float) -> float:
    """The greater of the metric (minutes late) and what the depth shows: its slope plus what is completed meanwhile."""
    served = min(completions, throughput) if completions is not None else throughput if memory.busy_since else 0.0
    by_depth = max(0.0, memory.depth_slope_per_s + served)
    by_metric = 0.0 if isinstance(snapshot.arrivals_per_s, Missing) else snapshot.arrivals_per_s.value
    return max(by_depth, by_metric)


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
