"""The scaling decision: what one look at a queue and its deployment makes this loop want.

In order: what forbids a change at all; what more instances would not help; growth before users wait; shrinking, late
and only on complete data. Each wish says its rule, its numbers and a sentence for the person on call.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from shared.decisions.scaling import bottleneck, budget, freezes, giving_back, instances, numbers, words
from shared.decisions.scaling.load import Load, read_load
from shared.decisions.scaling.schedule import Scheduled, below_schedule, lead_s, scheduled, with_floor
from shared.decisions.scaling.sizing import (
    drain_s,
    is_at_risk,
    is_expected_late,
    kept_backlog,
    needed,
    through_freeze,
)
from shared.decisions.scaling.zero import idle, weighing
from shared.domain import (
    Decision,
    ExpectedEffect,
    Fresh,
    IdleSpells,
    Intent,
    IntentKind,
    ScalingMemory,
    ScalingSnapshot,
    aged,
)
from shared.domain.provisioning import is_settled

if TYPE_CHECKING:
    from shared.policy.scaling import Scaling

_LOAD_WORDS = {"messages": "queue depth", "requests": "number of requests", "busy instances": "utilization"}


def decide(
    snapshot: ScalingSnapshot, memory: ScalingMemory, policy: "Scaling", now: datetime
) -> tuple[tuple[Intent, ...], ScalingMemory]:
    """The loop's intent for this target (exactly one) and what it remembers. Pure."""
    seen = _as_of(snapshot, policy, now)
    hold = _forbidden(seen)
    if hold is not None:
        return (_intent(seen, now, "hold", *hold),), memory
    load, memory = read_load(seen, memory, policy, now)
    if policy.zero is not None:
        spells = idle.remember(memory.idle or IdleSpells(), seen, policy.zero.restore_s, now)
        memory = replace(memory, idle=spells)
    if bottleneck.growth_was_useless(memory, policy) is False:
        memory = bottleneck.forgotten(memory)
    limits = _limits(seen, load, policy)
    horizon_s = max(lead_s(load.cold_start_s), freezes.horizon_s(load.freeze, load.cold_start_s))
    known = scheduled(policy.schedule, now, horizon_s, above=policy.min)
    kept = with_floor(policy, scheduled(policy.schedule, now, max(horizon_s, giving_back.PATIENCE_S))).min
    policy = with_floor(policy, known)
    case = _Case(load=load, policy=policy, limits=limits, known=known, kept=kept, needed=needed(load, policy), now=now)
    enough_through_freeze = through_freeze(load, policy)
    told = numbers.of_load(load, policy, case.needed, limits) | numbers.of_freeze(load, enough_through_freeze)
    kind, value, rule, reason, memory = _wish(case, memory)
    reason += words.doubted(load, memory) + words.frozen(load, enough_through_freeze, now)
    if rule == "less_suffices" and value is not None and giving_back.may_be_weighed(load):
        sums = giving_back.weighed(load, policy, value)
        told |= numbers.of_giving_back(sums)
        reason += words.weighed(sums, seen.price_usd_per_hour)
    if rule.endswith("limited_by_budget") and seen.price_usd_per_hour is None:
        reason = f"{reason} {budget.PRICE_UNKNOWN}"
    if policy.zero is not None and memory.idle is not None:
        of_zero = weighing.weigh(policy, policy.zero, memory.idle, load, seen.price_usd_per_hour, now)
        if of_zero is not None:
            told, reason = told | of_zero.numbers, f"{reason} {of_zero.sentence}"
    return (_intent(seen, now, kind, rule, reason, value, told),), memory


def after_change(memory: ScalingMemory, decision: Decision) -> ScalingMemory:
    """The memory once `decision` was taken; in observe as well, so that cool-downs run as if it had happened."""
    if not decision.changes:
        return memory
    changed = replace(memory, changed_at=decision.at, less_needed_since=None, less_needed_peak=0)
    changed = replace(changed, effect=changed.wished_effect, wished_effect=None)
    changed = instances.ordered(changed, decision.at, decision.to - decision.current)
    if decision.to < decision.current:
        return replace(bottleneck.after_shrinking(changed, decision), grown_at=None)
    return bottleneck.after_growth(changed, decision)


_AGEING = ("depth", "arrivals_per_s", "completions_per_s", "capacity", "ready", "quota_headroom")


def _as_of(snapshot: ScalingSnapshot, policy: "Scaling", now: datetime) -> ScalingSnapshot:
    """The snapshot with every measurement aged to `now`."""
    stale: dict[str, Any] = {}
    for name in _AGEING:
        measured = getattr(snapshot, name)
        if (then := aged(measured, now, policy.stale_after_s)) is not measured:
            stale[name] = then
    return replace(snapshot, **stale) if stale else snapshot


def _forbidden(snapshot: ScalingSnapshot) -> tuple[str, str] | None:
    """The rule and reason for which nothing may be changed on what is seen, or None."""
    if not isinstance(snapshot.depth, Fresh):
        return "depth_unknown", words.unknown(_LOAD_WORDS[snapshot.counted_in], snapshot.depth)
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
    """What caps growth: the policy's max, step and budget, and quota where it is known (the act reads it again)."""
    limits = {"max": policy.max}
    if policy.max_step_out is not None:
        limits["step"] = load.capacity + policy.max_step_out
    affordable = budget.allowed(policy, snapshot.price_usd_per_hour, load.capacity)
    if affordable is not None:
        limits["budget"] = affordable
    if isinstance(snapshot.quota_headroom, Fresh):
        limits["quota"] = load.capacity + max(0, int(snapshot.quota_headroom.value))
    return limits


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """What one wish rests on. `limits` cap growth, `known` is a scheduled load to order for, `kept` are not given
    back for one within the hour, `needed` keep the promise.
    """

    load: Load
    policy: "Scaling"
    limits: Mapping[str, int]
    known: Scheduled | None
    kept: int
    needed: int
    now: datetime

    @property
    def wanted(self) -> int:
        return max(self.policy.min, self.needed)

    @property
    def tightest(self) -> tuple[str, int]:
        """The limit that allows the fewest."""
        return min(self.limits.items(), key=lambda named: named[1])


type Wish = tuple[IntentKind, int | None, str, str, ScalingMemory]


def _wish(case: _Case, memory: ScalingMemory) -> Wish:
    load, policy = case.load, case.policy
    if load.capacity > min(policy.max, case.limits.get("budget", policy.max)):
        return _down_to_max(case, memory)
    if load.capacity == 0 and policy.zero is not None:
        return _at_zero(case, memory)
    if case.wanted > load.capacity and is_at_risk(load, policy):
        wish = _growth(case, memory)
        as_feared = wish[1] is None and wish[2].startswith("limited_by") and not is_expected_late(load, policy)
        if not as_feared and (load.capacity >= policy.min or (wish[1] or 0) >= policy.min):
            return wish
    if load.capacity < policy.min:
        return _up_to_min(case, memory)
    # What instances seem to serve says little then.
    if load.depth > load.ready and bottleneck.is_elsewhere(load, memory, policy):
        return "hold", None, "not_capacity_bound", words.not_capacity_bound(load, memory), memory
    return _shrink(case, memory)


def _at_zero(case: _Case, memory: ScalingMemory) -> Wish:
    """Where there is no instance, and the policy allows that: the first message brings them back, without delay."""
    load, policy, limits = case.load, case.policy, case.limits
    if case.known is None and not weighing.waits(load):
        return "hold", None, "at_zero", words.at_zero(load), memory
    limit_name, limit = case.tightest
    to = min(case.wanted, limit)
    if to < 1:
        return "hold", None, f"limited_by_{limit_name}", words.promise_broken(load, policy, case.needed, limits), memory
    return "wish", to, "back_from_zero", words.growth(load, policy, to, case.wanted, limits), memory


def _down_to_max(case: _Case, memory: ScalingMemory) -> Wish:
    """Max and budget are limits on cost, whatever the load; but nothing shrinks blindly, or twice in a hurry."""
    load, policy = case.load, case.policy
    if load.doubts:
        return "hold", None, "data_incomplete", words.doubts(load), memory
    most = min(policy.max, case.limits.get("budget", policy.max))
    to = _step_in(load, policy, most)
    rule = "above_max" if most == policy.max else "above_budget"
    if _changed_lately(memory, policy, case.now):
        return "hold", None, "waiting_to_shrink", words.above(rule, load, policy, to), memory
    return "wish", to, rule, words.above(rule, load, policy, to), memory


def _up_to_min(case: _Case, memory: ScalingMemory) -> Wish:
    load, policy, known = case.load, case.policy, case.known
    limit_name, limit = case.tightest
    to = min(policy.min, limit)
    reason = words.below_min(load, policy, to, case.limits)
    if known is not None:
        reason = below_schedule(known, load.capacity, to, case.now, words.limit(case.limits, policy))
    if to <= load.capacity:
        return "hold", None, f"limited_by_{limit_name}", reason, memory
    return "wish", to, "below_min" if known is None else "scheduled_load", reason, memory


def _growth(case: _Case, memory: ScalingMemory) -> Wish:
    load, policy, wanted = case.load, case.policy, case.wanted
    memory = _all_needed(memory)
    if bottleneck.is_elsewhere(load, memory, policy):
        return "hold", None, "not_capacity_bound", words.not_capacity_bound(load, memory), memory
    limit_name, limit = case.tightest
    to = min(wanted, limit)
    if to <= load.capacity:
        reason = words.promise_broken(load, policy, wanted, case.limits)
        return "hold", None, f"limited_by_{limit_name}", reason, memory
    if _within(memory.changed_at, policy.scale_out_cooldown_s, case.now):
        return "hold", None, "scale_out_cooldown", words.cooldown(load, policy, memory, wanted), memory
    rule = "promise_at_risk" if to == wanted else f"promise_at_risk_limited_by_{limit_name}"
    memory = _expecting(case, memory, to, kept_backlog(load, load.cold_start_s))
    return "wish", to, rule, words.growth(load, policy, to, wanted, case.limits), memory


def _shrink(case: _Case, memory: ScalingMemory) -> Wish:
    """Less is asked for only on complete data, once it has sufficed for a while: the most needed in it."""
    load, policy, now = case.load, case.policy, case.now
    enough = max(case.kept, giving_back.sufficient(load, policy))
    if enough >= load.capacity:
        memory = _all_needed(memory)
        late = drain_s(load) > policy.drain_within_s
        if late:
            return "wish", load.capacity, "late_but_draining", words.late_but_draining(load, policy), memory
        return "wish", load.capacity, "promise_kept", words.kept(load, policy), memory
    if load.doubts:
        return "hold", None, "data_incomplete", words.doubts(load), memory
    if memory.less_needed_peak >= load.capacity:  # what was needed at another size, before somebody else shrank it
        memory = _all_needed(memory)
    if memory.less_needed_since is None or enough > memory.less_needed_peak:
        since, peak = memory.less_needed_since or now, max(memory.less_needed_peak, enough)
        memory = replace(memory, less_needed_since=since, less_needed_peak=peak)
    lasts = not _within(memory.less_needed_since, policy.hold_s, now)
    if load.ready < load.capacity or not lasts or _changed_lately(memory, policy, now):
        return "hold", None, "waiting_to_shrink", words.waiting_to_shrink(load, policy, memory), memory
    to = _step_in(load, policy, memory.less_needed_peak)
    left = replace(load, capacity=to, ready=to)
    memory = _expecting(case, memory, to, kept_backlog(left, load.cold_start_s))
    return "wish", to, "less_suffices", words.less_suffices(load, policy, to), memory


def _expecting(case: _Case, memory: ScalingMemory, to: int, backlog: float) -> ScalingMemory:
    """The memory with what a change to `to` is to come to: the wait with this backlog a cold start later."""
    at, rate = case.now + timedelta(seconds=case.load.cold_start_s), case.load.service_rate_per_s * to
    return replace(memory, wished_effect=ExpectedEffect(at=at, wait_s=backlog / rate))


def _all_needed(memory: ScalingMemory) -> ScalingMemory:
    if memory.less_needed_since is None and memory.less_needed_peak == 0:
        return memory
    return replace(memory, less_needed_since=None, less_needed_peak=0)


def _step_in(load: Load, policy: "Scaling", to: int) -> int:
    return to if policy.max_step_in is None else max(to, load.capacity - policy.max_step_in)


def _changed_lately(memory: ScalingMemory, policy: "Scaling", now: datetime) -> bool:
    return _within(memory.changed_at, policy.cooldown_s, now)


def _within(since: datetime | None, period_s: float, now: datetime) -> bool:
    return since is not None and (now - since).total_seconds() < period_s


def _intent(
    snapshot: ScalingSnapshot,
    now: datetime,
    kind: IntentKind,
    rule: str,
    reason: str,
    value: int | None = None,
    told: Mapping[str, float] | None = None,
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
        numbers=told or {},
    )
