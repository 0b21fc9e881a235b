"""When more instances would not help: nothing is completed at all, or the last growth brought no more completions."""

import math
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from shared.decisions.scaling.load import COMPLETIONS_SMOOTHING_SHARE, Load
from shared.domain import Decision, ScalingMemory

if TYPE_CHECKING:
    from shared.policy.scaling import Scaling

# Completions that rise by less than this share of what the new instances should add mean: something else is the limit.
HELPED_SHARE = 0.25
# What completions lack must be so many standard deviations of their counts.
TELLING_NOISE = 3.0
# So many completions must be overdue before none at all means that nothing is taken from the queue.
OVERDUE_COMPLETIONS = 3


def after_growth(memory: ScalingMemory, decision: Decision) -> ScalingMemory:
    """The memory that will judge this growth; one on top of a growth that is not judged yet is judged with it."""
    if memory.grown_from is not None and memory.completions_before_growth_per_s is not None:
        return replace(memory, grown_at=decision.at)
    return replace(
        forgotten(memory),
        grown_at=decision.at,
        grown_from=max(1, decision.current if memory.ready is None else memory.ready),
        completions_before_growth_per_s=memory.completions_per_s if memory.busy_since else None,
    )


def after_shrinking(memory: ScalingMemory, decision: Decision) -> ScalingMemory:
    """The memory without a growth to judge. What is given back completes no more: the next growth is not to be held
    against minutes of more instances.
    """
    left = memory.completions_per_s
    if left is not None:
        left *= decision.to / decision.current
    return replace(forgotten(memory), completions_per_s=left)


def forgotten(memory: ScalingMemory) -> ScalingMemory:
    """The memory without a growth to judge."""
    return replace(memory, grown_from=None, grown_to=None, ready_since=None, completions_before_growth_per_s=None)


def is_elsewhere(load: Load, memory: ScalingMemory, policy: "Scaling") -> bool:
    """Whether work waits and instances are not what it waits for."""
    if load.completions_per_s is None or memory.busy_since is None or memory.completions_at is None or load.ready < 1:
        return False
    return _frozen(load, memory, policy) or bool(growth_was_useless(memory, policy))


def growth_was_useless(memory: ScalingMemory, policy: "Scaling") -> bool | None:
    """Whether completions did not rise with the instances, though all had work; None while it is too early to say.

    A growth that is small beside the noise of completions proves nothing: it is not held against the next one.
    """
    before, after = memory.completions_before_growth_per_s, memory.completions_per_s
    if before is None or after is None or memory.grown_from is None or memory.grown_to is None:
        return None
    grace_s = policy.not_capacity_bound_after_s
    if not all(_older(since, memory.completions_at, grace_s) for since in (memory.busy_since, memory.ready_since)):
        return None
    should_add = before * (memory.grown_to / memory.grown_from - 1)
    noise = math.sqrt((before + after) / (2 * COMPLETIONS_SMOOTHING_SHARE * grace_s)) if grace_s > 0 else 0.0
    lacks = before + should_add - after
    return lacks > (1 - HELPED_SHARE) * should_add and lacks >= TELLING_NOISE * noise


def _frozen(load: Load, memory: ScalingMemory, policy: "Scaling") -> bool:
    """Nothing was completed for so long that several completions are overdue."""
    overdue_s = OVERDUE_COMPLETIONS / (load.service_rate_per_s * load.ready)
    grace_s = max(policy.not_capacity_bound_after_s, overdue_s)
    return load.completions_per_s == 0 and all(
        _older(since, memory.completions_at, grace_s) for since in (memory.busy_since, memory.completing_at) if since
    )


def _older(since: datetime | None, at: datetime | None, period_s: float) -> bool:
    return since is not None and at is not None and (at - since).total_seconds() >= period_s
