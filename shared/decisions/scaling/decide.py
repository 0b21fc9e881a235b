"""The scaling decision: what one look at a queue and its deployment makes this loop want.

In order: what forbids a change at all; what more instances would not help; growth before users wait; shrinking, late
and only on complete data. Each wish says its rule, its numbers and a sentence for the person on call.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from shared.decisions.scaling import words
from shared.decisions.scaling.load import Load, read_load
from shared.decisions.scaling.sizing import drain_s, is_at_risk, needed, wait_after
from shared.domain import Decision, Fresh, Intent, IntentKind, ScalingMemory, ScalingSnapshot, aged
from shared.domain.provisioning import is_settled

if TYPE_CHECKING:
    from shared.policy.models import Scaling

# Completions that rise by less than this share of what the new instances should add mean: something else is the limit.
HELPED_SHARE = 0.25
# So many completions must be overdue before none at all means that nothing is taken from the queue.
OVERDUE_COMPLETIONS = 3


def decide(
    snapshot: ScalingSnapshot, memory: ScalingMemory, policy: "Scaling", now: datetime
) -> tuple[tuple[Intent, ...], ScalingMemory]:
    """The loop's intent for this target (exactly one) and what it remembers. Pure."""
    seen = _as_of(snapshot, policy, now)
    hold = _forbidden(seen)
    if hold is not None:
        return (_intent(seen, now, "hold", *hold),), memory
    load, memory = read_load(seen, memory, policy, now)
    if _growth_helped(memory, policy):
        memory = _growth_forgotten(memory)
    limits = _limits(seen, load, policy)
    numbers = _numbers(load, policy, limits)
    kind, value, rule, reason, memory = _wish(load, memory, policy, limits, now)
    return (_intent(seen, now, kind, rule, reason, value, numbers),), memory


def after_change(memory: ScalingMemory, decision: Decision) -> ScalingMemory:
    """The memory once `decision` was taken; in observe as well, so that cool-downs run as if it had happened."""
    if not decision.changes:
        return memory
    changed = replace(memory, changed_at=decision.at, less_needed_since=None, less_needed_peak=0)
    if decision.to < decision.current:
        return replace(_growth_forgotten(changed), grown_at=None)
    if memory.grown_from is not None and memory.completions_before_growth_per_s is not None:
        return replace(changed, grown_at=decision.at)  # on top of one that is not judged yet: one growth
    return replace(
        _growth_forgotten(changed),
        grown_at=decision.at,
        grown_from=max(1, decision.current if memory.ready is None else memory.ready),
        completions_before_growth_per_s=memory.completions_per_s if memory.busy_since else None,
    )


def _growth_forgotten(memory: ScalingMemory) -> ScalingMemory:
    return replace(memory, grown_from=None, grown_to=None, ready_since=None, completions_before_growth_per_s=None)


def _as_of(snapshot: ScalingSnapshot, policy: "Scaling", now: datetime) -> ScalingSnapshot:
    """The snapshot with every measurement aged to `now`."""
    stale_s = policy.stale_after_s
    return replace(
        snapshot,
        depth=aged(snapshot.depth, now, stale_s),
        arrivals_per_s=aged(snapshot.arrivals_per_s, now, stale_s),
        completions_per_s=aged(snapshot.completions_per_s, now, stale_s),
        capacity=aged(snapshot.capacity, now, stale_s),
        ready=aged(snapshot.ready, now, stale_s),
        quota_headroom=aged(snapshot.quota_headroom, now, stale_s),
    )


def _forbidden(snapshot: ScalingSnapshot) -> tuple[str, str] | None:
    """The rule and reason for which nothing may be changed on what is seen, or None."""
    if not isinstance(snapshot.depth, Fresh):
        return "depth_unknown", words.unknown("queue depth", snapshot.depth)
    if not isinstance(snapshot.capacity, Fresh):
        return "capacity_unknown", words.unknown("capacity", snapshot.capacity)
    if snapshot.autoscale_setting:
        return "azure_autoscale_present", words.azure_autoscale(snapshot.autoscale_setting)
    if snapshot.autoscale_unknown:
        return "autoscale_unknown", words.autoscale_unknown(snapshot.autoscale_unknown)
    if snapshot.scaled_by_cluster:
        return "scaled_by_cluster", words.SCALED_BY_CLUSTER
    state = snapshot.provisioning_state  # "": not read, which the act will do
    if state and not is_settled(state) and snapshot.ordered is None:
        return "deployment_busy", words.busy(snapshot.provisioning_state)
    return None


def _limits(snapshot: ScalingSnapshot, load: Load, policy: "Scaling") -> Mapping[str, int]:
    """What caps growth: the policy's max, the step, and quota where it is known (the act reads it again)."""
    limits = {"max": policy.max}
    if policy.max_step_out is not None:
        limits["step"] = load.capacity + policy.max_step_out
    if isinstance(snapshot.quota_headroom, Fresh):
        limits["quota"] = load.capacity + max(0, int(snapshot.quota_headroom.value))
    return limits


Wish = tuple[IntentKind, int | None, str, str, ScalingMemory]


def _wish(load: Load, memory: ScalingMemory, policy: "Scaling", limits: Mapping[str, int], now: datetime) -> Wish:
    if load.capacity > policy.max:
        return _down_to_max(load, memory, policy, now)
    if is_at_risk(load, policy.drain_within_s, policy.cold_start_s):
        wish = _growth(load, memory, policy, limits, now)
        if load.capacity >= policy.min or (wish[1] or 0) >= policy.min:
            return wish
    if load.capacity < policy.min:
        return _up_to_min(load, memory, policy, limits)
    return _shrink(load, memory, policy, now)


def _down_to_max(load: Load, memory: ScalingMemory, policy: "Scaling", now: datetime) -> Wish:
    """The policy's max is a limit on cost, whatever the load; but nothing shrinks blindly, or twice in a hurry."""
    if load.doubts:
        return "hold", None, "data_incomplete", words.doubts(load), memory
    to = _step_in(load, policy, policy.max)
    if _changed_lately(memory, policy, now):
        return "hold", None, "waiting_to_shrink", words.above_max(load, policy, to), memory
    return "wish", to, "above_max", words.above_max(load, policy, to), memory


def _up_to_min(load: Load, memory: ScalingMemory, policy: "Scaling", limits: Mapping[str, int]) -> Wish:
    limit_name, limit = min(limits.items(), key=lambda named: named[1])
    to = min(policy.min, limit)
    reason = words.below_min(load, policy, to, limits)
    if to <= load.capacity:
        return "hold", None, f"limited_by_{limit_name}", reason, memory
    return "wish", to, "below_min", reason, memory


def _growth(load: Load, memory: ScalingMemory, policy: "Scaling", limits: Mapping[str, int], now: datetime) -> Wish:
    memory = replace(memory, less_needed_since=None, less_needed_peak=0)
    wanted = max(policy.min, needed(load, policy.drain_within_s, policy.cold_start_s, policy.headroom_pct))
    if _not_capacity_bound(load, memory, policy):
        return "hold", None, "not_capacity_bound", words.not_capacity_bound(load, memory), memory
    limit_name, limit = min(limits.items(), key=lambda named: named[1])
    to = min(wanted, limit)
    if to <= load.capacity:
        return "hold", None, f"limited_by_{limit_name}", words.promise_broken(load, policy, wanted, limits), memory
    if _within(memory.changed_at, policy.scale_out_cooldown_s, now):
        return "hold", None, "scale_out_cooldown", words.cooldown(load, policy, memory, wanted), memory
    rule = "promise_at_risk" if to == wanted else f"promise_at_risk_limited_by_{limit_name}"
    return "wish", to, rule, words.growth(load, policy, to, wanted, limits), memory


def _shrink(load: Load, memory: ScalingMemory, policy: "Scaling", now: datetime) -> Wish:
    """Less is asked for only on complete data, once it has sufficed for a while: the most needed in it."""
    enough = max(policy.min, needed(load, policy.drain_within_s, 0, policy.headroom_pct))
    if enough >= load.capacity:
        memory = replace(memory, less_needed_since=None, less_needed_peak=0)
        late = drain_s(load) > policy.drain_within_s
        if late:
            return "wish", load.capacity, "late_but_draining", words.late_but_draining(load, policy), memory
        return "wish", load.capacity, "promise_kept", words.kept(load, policy), memory
    if load.doubts:
        return "hold", None, "data_incomplete", words.doubts(load), memory
    if memory.less_needed_peak >= load.capacity:  # what was needed at another size, before somebody else shrank it
        memory = replace(memory, less_needed_since=None, less_needed_peak=0)
    memory = replace(
        memory,
        less_needed_since=memory.less_needed_since or now,
        less_needed_peak=max(memory.less_needed_peak, enough),
    )
    lasts = not _within(memory.less_needed_since, policy.scale_in_hold_s, now)
    if load.ready < load.capacity or not lasts or _changed_lately(memory, policy, now):
        return "hold", None, "waiting_to_shrink", words.waiting_to_shrink(load, policy, memory), memory
    to = _step_in(load, policy, memory.less_needed_peak)
    return "wish", to, "less_suffices", words.less_suffices(load, policy, to), memory


def _step_in(load: Load, policy: "Scaling", to: int) -> int:
    return to if policy.max_step_in is None else max(to, load.capacity - policy.max_step_in)


def _changed_lately(memory: ScalingMemory, policy: "Scaling", now: datetime) -> bool:
    return _within(memory.changed_at, policy.scale_in_cooldown_s, now)


def _not_capacity_bound(load: Load, memory: ScalingMemory, policy: "Scaling") -> bool:
    """Work waits, and either nothing is completed at all or the last growth brought no more completions."""
    if load.completions_per_s is None or memory.busy_since is None or memory.completions_at is None or load.ready < 1:
        return False
    return _frozen(load, memory, policy) or _growth_helped(memory, policy) is False


def _frozen(load: Load, memory: ScalingMemory, policy: "Scaling") -> bool:
    """Nothing was completed for so long that several completions are overdue."""
    overdue_s = OVERDUE_COMPLETIONS / (load.service_rate_per_s * load.ready)
    grace_s = max(policy.not_capacity_bound_after_s, overdue_s)
    return load.completions_per_s == 0 and all(
        _older(since, memory.completions_at, grace_s) for since in (memory.busy_since, memory.completing_at) if since
    )


def _growth_helped(memory: ScalingMemory, policy: "Scaling") -> bool | None:
    """Whether completions rose with the instances, once there was work for all of them long enough; else None."""
    before, after = memory.completions_before_growth_per_s, memory.completions_per_s
    if before is None or after is None or memory.grown_from is None or memory.grown_to is None:
        return None
    grace_s = policy.not_capacity_bound_after_s
    if not all(_older(since, memory.completions_at, grace_s) for since in (memory.busy_since, memory.ready_since)):
        return None
    should_add = before * (memory.grown_to / memory.grown_from - 1)
    return after >= before + HELPED_SHARE * should_add


def _within(since: datetime | None, period_s: float, now: datetime) -> bool:
    return since is not None and (now - since).total_seconds() < period_s


def _older(since: datetime | None, at: datetime | None, period_s: float) -> bool:
    return since is not None and at is not None and (at - since).total_seconds() >= period_s


def _numbers(load: Load, policy: "Scaling", limits: Mapping[str, int]) -> dict[str, float]:
    numbers = {
        "depth": load.depth,
        "arrivals_per_s": load.arrivals_per_s,
        "service_rate_per_s": load.service_rate_per_s,
        "capacity": load.capacity,
        "ready": load.ready,
        "pending_in_s": load.pending_in_s,
        "drain_s": drain_s(load),
        "wait_at_cold_start_s": wait_after(load, policy.cold_start_s),
        "needed": needed(load, policy.drain_within_s, policy.cold_start_s, policy.headroom_pct),
        "drain_within_s": policy.drain_within_s,
        **({} if load.completions_per_s is None else {"completions_per_s": load.completions_per_s}),
        **{f"limit_{name}": limit for name, limit in limits.items()},
    }
    return {name: number for name, number in numbers.items() if math.isfinite(number)}  # "never" is no number


def _intent(
    snapshot: ScalingSnapshot,
    now: datetime,
    kind: IntentKind,
    rule: str,
    reason: str,
    value: int | None = None,
    numbers: Mapping[str, float] | None = None,
) -> Intent:
    return Intent(
        target=snapshot.target,
        dimension="capacity",
        kind=kind,
        source="scaling",
        rule=rule,
        reason=reason,
        at=now,
        value=value,
        numbers=numbers or {},
    )
