"""The instances: which serve, which are still to come and when, and how long a cold start takes here."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from shared.decisions.scaling.means import moved
from shared.domain import Fresh, PendingOrder, ScalingMemory, ScalingSnapshot
from shared.policy.scaling import Scaling

# A growth by less than this makes no difference that could be told from noise.
TELLING_GROWTH = 1.25
# A metric of whole minutes shows at the end of one what served in all of it.
SHOWN_LATE_S = 60.0
# How much the newest cold start counts, and how far experience may be from the policy's word.
COLD_START_WEIGHT = 0.3
# It is reckoned with so many times of how far off it usually is: nine of ten are over by then.
COLD_START_CARE = 1.6
MOST_UNLIKE_POLICY = 3.0


def ready(snapshot: ScalingSnapshot, memory: ScalingMemory, policy: Scaling, capacity: int, now: datetime) -> int:
    """Instances that serve; without the metric, those of the last growth serve once its cold start is over."""
    if isinstance(snapshot.ready, Fresh):
        return min(int(snapshot.ready.value), capacity)
    if memory.grown_at is None or memory.grown_from is None:
        return capacity
    arrived = (now - memory.grown_at).total_seconds() >= policy.cold_start_s
    return capacity if arrived else min(memory.grown_from, capacity)


def remembered(
    memory: ScalingMemory, snapshot: ScalingSnapshot, ready: int, capacity: int, now: datetime
) -> ScalingMemory:
    """Remember since when enough more instances serve to tell whether that helps, and when the last change was over.

    It was over when the metric shows it, not when that is seen: cool-downs are not to wait for Azure Monitor.
    """
    memory = _with_arrived(memory, snapshot, ready, capacity)
    memory = memory if memory.ready == ready else replace(memory, ready=ready)
    if memory.grown_from is None or ready <= memory.grown_from:
        return memory
    if memory.grown_to is None and ready >= TELLING_GROWTH * memory.grown_from:
        memory = replace(memory, grown_to=ready, ready_since=now)
    if ready >= capacity and memory.changed_at == memory.grown_at:
        shown_at = snapshot.ready.at if isinstance(snapshot.ready, Fresh) else now
        memory = replace(memory, changed_at=max(shown_at, memory.changed_at or shown_at))
    return memory


def ordered(memory: ScalingMemory, at: datetime, more: int) -> ScalingMemory:
    """The memory once so many instances were ordered; given up, if negative: the newest first."""
    if more > 0:
        return replace(memory, pending=(*memory.pending, PendingOrder(at=at, instances=more)))
    return replace(memory, pending=given_up(memory.pending, -more))


def given_up(pending: Sequence[PendingOrder], fewer: int) -> tuple[PendingOrder, ...]:
    """What is still to come once so many instances less are wanted: the newest orders go first."""
    left = list(pending)
    while left and fewer > 0:
        newest = left.pop()
        if newest.instances > fewer:
            left.append(replace(newest, instances=newest.instances - fewer))
        fewer -= newest.instances
    return tuple(left)


def _with_arrived(memory: ScalingMemory, snapshot: ScalingSnapshot, ready: int, capacity: int) -> ScalingMemory:
    """Forget the orders that are ready, the oldest first; one that was seen to come tells how long it took."""
    pending, waiting = memory.pending, capacity - ready
    seen = snapshot.ready if isinstance(snapshot.ready, Fresh) and ready > (memory.ready or ready) else None
    while pending and sum(order.instances for order in pending) > waiting:
        oldest, rest = pending[0], pending[1:]
        left = waiting - sum(order.instances for order in rest)
        if left > 0:
            return replace(memory, pending=(replace(oldest, instances=min(left, oldest.instances)), *rest))
        if seen is not None and seen.at > oldest.at:
            late_s = 0.0 if _is_told_at_once(snapshot) else SHOWN_LATE_S
            memory = _with_cold_start(memory, max(0.0, (seen.at - oldest.at).total_seconds() - late_s))
        pending = rest
    return memory if pending == memory.pending else replace(memory, pending=pending)


def _is_told_at_once(snapshot: ScalingSnapshot) -> bool:
    """Whether the ready instances are no metric, but what the deployment itself says (a cluster's)."""
    ready, capacity = snapshot.ready, snapshot.capacity
    return isinstance(ready, Fresh) and isinstance(capacity, Fresh) and ready.at == capacity.at


def _with_cold_start(memory: ScalingMemory, took_s: float) -> ScalingMemory:
    known = memory.cold_start_s
    if known is None:
        return replace(memory, cold_start_s=took_s)
    off_s = moved(memory.cold_start_off_s, abs(took_s - known), COLD_START_WEIGHT)
    return replace(memory, cold_start_s=moved(known, took_s, COLD_START_WEIGHT), cold_start_off_s=off_s)


def cold_start_s(memory: ScalingMemory, policy: Scaling) -> float:
    """What to reckon with: usual, with care for how far off that usually is; until one was seen, the policy's word."""
    if memory.cold_start_s is None:
        return policy.cold_start_s
    least_s, most_s = policy.cold_start_s / MOST_UNLIKE_POLICY, policy.cold_start_s * MOST_UNLIKE_POLICY
    return min(most_s, max(least_s, memory.cold_start_s + COLD_START_CARE * memory.cold_start_off_s))


def expected(memory: ScalingMemory, cold_start_s: float, waiting: int, now: datetime) -> tuple[tuple[float, int], ...]:
    """When so many instances that do not serve yet will: (in seconds, instances), the next first."""
    if waiting <= 0:
        return ()
    ours = [(max(0.0, cold_start_s - (now - one.at).total_seconds()), one.instances) for one in memory.pending]
    unknown = waiting - sum(count for _, count in ours)
    return (*ours, (cold_start_s, unknown)) if unknown > 0 else tuple(ours)
