"""The sentences of the scaling loop: what a person on call needs to understand it at night."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from shared.decisions.scaling.load import Load
from shared.decisions.scaling.sizing import drain_s, wait_after
from shared.domain import Measurement, Missing, ScalingMemory

if TYPE_CHECKING:
    from shared.policy.models import Scaling

SCALED_BY_CLUSTER = (
    "This Kubernetes deployment scales by TargetUtilization: its cluster owns the number of instances. To let "
    "Watchkeeper scale it, set its scaleSettings to Default."
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
    limited = f", but {_limit_words(limits)} allows {to}" if to < policy.min else ""
    return f"{_instances(load.capacity)} is below the policy's minimum of {policy.min}{limited}."


def above_max(load: Load, policy: "Scaling", to: int) -> str:
    return (
        f"{_instances(load.capacity)} are above the policy's max of {policy.max}: {to} will be left. "
        f"Between two changes lie at least {_time(policy.scale_in_cooldown_s)}."
    )


def growth(load: Load, policy: "Scaling", to: int, wanted: int, limits: Mapping[str, int]) -> str:
    sentence = (
        f"{_situation(load)}: drained in {_time(drain_s(load))}, and what comes in {_time(policy.cold_start_s)} would "
        f"wait {_time(wait_after(load, policy.cold_start_s))}; promised {_time(policy.drain_within_s)}. "
        f"{_instances(to)} would keep up; a new one serves after about {_time(policy.cold_start_s)}."
    )
    if to < wanted:
        sentence += f" {wanted} are needed, but {_limit_words(limits)} allows {to}: the promise will not be kept."
    elif drain_s(load, to, policy.cold_start_s) > policy.drain_within_s:
        sentence += " The messages that wait now will be late: no instance can arrive in time for them."
    return sentence


def promise_broken(load: Load, policy: "Scaling", wanted: int, limits: Mapping[str, int]) -> str:
    return (
        f"{_situation(load)}: drained in {_time(drain_s(load))}, promised {_time(policy.drain_within_s)}. The promise "
        f"cannot be kept: {_instances(wanted)} would be needed, {_limit_words(limits)} allows {min(limits.values())}."
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
            f"{load.depth:.0f} messages wait and nothing is completed, although {_instances(load.ready)} are ready: "
            "more instances would not help. Look at the dispatcher that takes them, and at the endpoint's errors."
        )
    return (
        f"{load.depth:.0f} messages wait, but completions stayed at {memory.completions_per_s or 0:.2f}/s when "
        f"instances rose from {memory.grown_from} to {memory.grown_to}: more would not help. Look at the dispatcher's "
        "concurrency and the endpoint's limits."
    )


def kept(load: Load, policy: "Scaling") -> str:
    return f"{_situation(load)}: drained in {_time(drain_s(load))}, promised {_time(policy.drain_within_s)}."


def late_but_draining(load: Load, policy: "Scaling") -> str:
    return (
        f"{_situation(load)}: drained in {_time(drain_s(load))}, promised {_time(policy.drain_within_s)}. The promise "
        "cannot be kept for the messages that wait now: more instances would serve only in "
        f"{_time(policy.cold_start_s)}, and are not needed for what comes then."
    )


def doubts(load: Load) -> str:
    return f"Fewer instances might do, but nothing shrinks on incomplete data: {'; '.join(load.doubts)}."


def waiting_to_shrink(load: Load, policy: "Scaling", memory: ScalingMemory) -> str:
    since = f"{memory.less_needed_since:%H:%M:%S} UTC" if memory.less_needed_since else "just now"
    return (
        f"{_situation(load)}; {_instances(memory.less_needed_peak)} would do since {since}. Given up only when that "
        f"has lasted {_time(policy.scale_in_hold_s)}, and {_time(policy.scale_in_cooldown_s)} after the last change."
    )


def less_suffices(load: Load, policy: "Scaling", to: int) -> str:
    return (
        f"{_situation(load)}: for {_time(policy.scale_in_hold_s)} {_instances(to)} would have kept "
        f"the promise of {_time(policy.drain_within_s)}."
    )


def _situation(load: Load) -> str:
    pending = load.capacity - load.ready
    coming = f" (and {pending} pending, expected in {_time(load.pending_in_s)})" if pending > 0 else ""
    return (
        f"{load.depth:.0f} messages wait, {load.arrivals_per_s:.2f}/s arrive, {_instances(load.ready)}{coming} can "
        f"serve {load.service_rate_per_s * load.ready:.2f}/s"
    )


def _limit_words(limits: Mapping[str, int]) -> str:
    name = min(limits, key=lambda key: limits[key])
    return {"max": "the policy's max", "step": "the policy's max_step_out", "quota": "the quota of the VM family"}[name]


def _instances(count: int) -> str:
    return f"{count} instance" if count == 1 else f"{count} instances"


def _time(seconds: float) -> str:
    if math.isinf(seconds):
        return "never"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
