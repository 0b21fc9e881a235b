"""The sentences of the scaling loop: what a person on call needs to understand it at night."""

import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.decisions.scaling import effects
from shared.decisions.scaling.giving_back import GivingBack
from shared.decisions.scaling.load import LONGEST_SEEN_S, Load
from shared.decisions.scaling.sizing import drain_s, wait_after
from shared.domain import Measurement, Missing, ScalingMemory

if TYPE_CHECKING:
    from shared.policy.scaling import Scaling

NO_END_IN_SIGHT_S = 366 * 86_400.0
SCALED_BY_CLUSTER = (
    "This Kubernetes deployment scales by TargetUtilization, the default there: its cluster owns the number of "
    "instances. To let Watchkeeper scale it, set its scaleSettings to Default."
)


def unknown(what: str, measurement: Measurement) -> str:
    if isinstance(measurement, Missing):
        return f"The {what} could not be read: {measurement.reason}. Nothing is changed on missing data."
    return f"The {what} is from {measurement.at:%H:%M:%S} UTC, too old to act on. Nothing is changed on stale data."


def azure_autoscale(setting: str) -> str:
    return (
        f"The Azure autoscale setting {setting!r} is enabled on this deployment and writes the same capacity. "
        "Disable or delete it, or set this target's mode to off: two writers would undo each other."
    )


def autoscale_unknown(reason: str) -> str:
    return (
        f"The Azure autoscale settings could not be read: {reason.rstrip('.')}. Nothing is changed, because another "
        "writer of the same capacity cannot be ruled out."
    )


def busy(state: str) -> str:
    return f"The deployment is {state} by an operation that is not ours; it is looked at again when that has ended."


def below_min(load: Load, policy: "Scaling", to: int, limits: Mapping[str, int]) -> str:
    limited = f", but {limit(limits, policy)} allows {to}" if to < policy.min else ""
    return f"{_instances(load.capacity)} is below the policy's minimum of {policy.min}{limited}."


def above(rule: str, load: Load, policy: "Scaling", to: int) -> str:
    most = f"the policy's max of {policy.max}"
    if rule == "above_budget":
        most = f"what the budget of {policy.budget_usd_per_hour or 0:g} USD an hour pays for"
    return (
        f"{_instances(load.capacity)} are above {most}: {to} will be left. "
        f"Between two changes lie at least {_time(policy.cooldown_s)}."
    )


def growth(load: Load, policy: "Scaling", to: int, wanted: int, limits: Mapping[str, int]) -> str:
    sentence = (
        f"{_situation(load)}: drained in {_time(drain_s(load))}, and what comes in {_time(load.cold_start_s)} would "
        f"wait {_time(wait_after(load, load.cold_start_s))}; promised {_time(policy.drain_within_s)}. "
        f"{_instances(to)} would keep up; a new one serves after about {_time(load.cold_start_s)}."
    )
    if to < wanted:
        sentence += f" {wanted} are needed, but {limit(limits, policy)} allows {to}: the promise will not be kept."
    elif drain_s(load, to, load.cold_start_s) > policy.drain_within_s:
        sentence += f" The {_things(load)} that wait now will be late: no instance can arrive in time for them."
    return sentence


def promise_broken(load: Load, policy: "Scaling", wanted: int, limits: Mapping[str, int]) -> str:
    return (
        f"{_situation(load)}: drained in {_time(drain_s(load))}, promised {_time(policy.drain_within_s)}. The promise "
        f"cannot be kept: {_instances(wanted)} would be needed, {limit(limits, policy)} allows {min(limits.values())}."
    )


def cooldown(load: Load, policy: "Scaling", memory: ScalingMemory, wanted: int) -> str:
    since = f"{memory.changed_at:%H:%M:%S} UTC" if memory.changed_at else "just now"
    return (
        f"{_situation(load)}; {_instances(wanted)} would be needed, but the last change was at {since} and the "
        f"cool-down of {_time(policy.scale_out_cooldown_s)} still runs."
    )


def not_capacity_bound(load: Load, memory: ScalingMemory) -> str:
    if load.completions_per_s == 0:
        return (
            f"{_waiting(load)} and nothing is completed, although {_instances(load.ready)} are ready: more instances "
            f"would not help. Look at {'the dispatcher that takes them, and at ' if load.piles_up else ''}the "
            "endpoint's errors."
        )
    return (
        f"{_waiting(load)}, but completions stayed at {memory.completions_per_s or 0:.2f}/s when "
        f"instances rose from {memory.grown_from} to {memory.grown_to}: more would not help. Look at "
        f"{"the dispatcher's concurrency and " if load.piles_up else ''}the endpoint's limits."
    )


def frozen(load: Load, enough: int, now: datetime) -> str:
    """What a freeze that counts now asks for, for which `enough` instances would do; "" without one."""
    if load.freeze is None:
        return ""
    begins = "is frozen"
    if load.freeze.begins_in_s > 0:
        begins = f"will be frozen from {now + timedelta(seconds=load.freeze.begins_in_s):%Y-%m-%d %H:%M} UTC"
    ends = ", with no end in sight"
    if load.freeze.ends_in_s < NO_END_IN_SIGHT_S:
        ends = f" until {now + timedelta(seconds=load.freeze.ends_in_s):%Y-%m-%d %H:%M} UTC"
    seen = "the first day of it" if load.freeze.ends_in_s > LONGEST_SEEN_S else "it"
    return f" Growth {begins}{ends}: {_instances(enough)} would do for the most that may come in {seen}."


def at_zero(load: Load) -> str:
    doubts = f" ({'; '.join(load.doubts)})" if load.doubts else ""
    return f"No instance is there and nothing waits{doubts}: the first message brings them back."


def kept(load: Load, policy: "Scaling") -> str:
    return f"{_situation(load)}: drained in {_time(drain_s(load))}, promised {_time(policy.drain_within_s)}."


def late_but_draining(load: Load, policy: "Scaling") -> str:
    return (
        f"{_situation(load)}: drained in {_time(drain_s(load))}, promised {_time(policy.drain_within_s)}. The promise "
        f"cannot be kept for the {_things(load)} that wait now: more instances would serve only in "
        f"{_time(load.cold_start_s)}, and are not needed for what comes then."
    )


def doubts(load: Load) -> str:
    return f"Fewer instances might do, but nothing shrinks on incomplete data: {'; '.join(load.doubts)}."


def waiting_to_shrink(load: Load, policy: "Scaling", memory: ScalingMemory) -> str:
    since = f"{memory.less_needed_since:%H:%M:%S} UTC" if memory.less_needed_since else "just now"
    return (
        f"{_situation(load)}; {_instances(memory.less_needed_peak)} would do since {since}. Given up only when that "
        f"has lasted {_time(policy.hold_s)}, and {_time(policy.cooldown_s)} after the last change."
    )


def less_suffices(load: Load, policy: "Scaling", to: int) -> str:
    return (
        f"{_situation(load)}: for {_time(policy.hold_s)} {_instances(to)} would have kept "
        f"the promise of {_time(policy.drain_within_s)}."
    )


def weighed(sums: GivingBack, price_usd_per_hour: float | None) -> str:
    """What giving back was weighed against."""
    if price_usd_per_hour is None:
        saves, harms = f"{sums.saves_s / 3600:.1f} instance-hours", f"{sums.harms_s / 3600:.1f}"
    else:
        per_s = price_usd_per_hour / 3600
        saves, harms = f"{sums.saves_s * per_s:.2f} USD", f"{sums.harms_s * per_s:.2f}"
    return f" That is expected to save {saves} within the hour; needing it back within a cold start weighs {harms}."


def doubted(load: Load, memory: ScalingMemory) -> str:
    """What is said in addition while forecasts are not believed."""
    if effects.are_off(memory):
        return (
            f" The last changes did not what was expected of them (off by {memory.effects_off:.1f} times the promise): "
            "until they do, usual days are not believed, only what arrives now and its trend."
        )
    if load.forecast.doubted:
        return " Usual days were right until lately, and are wrong now: they count little until they are right again."
    return ""


def _situation(load: Load) -> str:
    pending = load.capacity - load.ready
    coming = f" (and {pending} pending, expected in {_time(load.pending_in_s)})" if pending > 0 else ""
    if load.counted_in == "busy instances":
        return f"{_waiting(load)}, work for {load.arrivals_per_s:.1f} arrives, {_instances(load.ready)}{coming} serve"
    return (
        f"{_waiting(load)}, {load.arrivals_per_s:.2f}/s arrive, {_instances(load.ready)}{coming} can "
        f"serve {load.service_rate_per_s * load.ready:.2f}/s"
    )


def _waiting(load: Load) -> str:
    if load.counted_in == "busy instances":
        return "Instances are saturated" if load.depth > 0 else "Instances are not saturated"
    return f"{load.depth:.0f} {load.counted_in} wait"


def _things(load: Load) -> str:
    return "messages" if load.piles_up else "requests"


def limit(limits: Mapping[str, int], policy: "Scaling") -> str:
    """What allows the fewest, as the beginning of "... allows 4"."""
    name = min(limits, key=lambda key: limits[key])
    return {
        "max": "the policy's max",
        "step": "the policy's max_step_out",
        "budget": f"the budget of {policy.budget_usd_per_hour or 0:g} USD an hour",
        "quota": "the quota of the VM family",
    }[name]


def _instances(count: int) -> str:
    return f"{count} instance" if count == 1 else f"{count} instances"


def _time(seconds: float) -> str:
    if math.isinf(seconds):
        return "never"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
