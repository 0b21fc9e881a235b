"""How long a queue has nothing to do, learned from how long it had nothing to do before."""

from dataclasses import replace
from datetime import datetime
from itertools import pairwise

from shared.decisions.scaling.means import moved
from shared.domain import Fresh, IdleSpells, ScalingSnapshot

# A spell of less is none: nobody gives a deployment up for it.
SHORTEST_S = 300.0
# Lengths are told apart by factors of two; the last class has no upper bound (two weeks and more).
BOUNDS_S = tuple(SHORTEST_S * 2**power for power in range(13))
# A spell counts half after this time: seasons change.
HALF_LIFE_S = 14 * 86_400.0
# What is thought before anything was seen counts as one spell that has reached half of its length.
PRIOR_WEIGHT = 1.0
# How much the arrivals after one more spell count.
WAKE_WEIGHT = 0.3


def remember(spells: IdleSpells, seen: ScalingSnapshot, restore_s: float, now: datetime) -> IdleSpells:
    """The memory once `seen` was seen, its measurements aged to `now`; unchanged if nothing new was to be seen.

    After a spell it is watched for `restore_s` how much arrives: that is what would have to wait.
    """
    arrivals = seen.arrivals_per_s.value if isinstance(seen.arrivals_per_s, Fresh) else None
    spells = _waking(spells, arrivals, restore_s, now)
    if not isinstance(seen.depth, Fresh):
        return spells
    if seen.depth.value > 0 or (arrivals or 0) > 0:
        return _ended(spells, arrivals or 0.0, now)
    if spells.idle_since is None and arrivals == 0:
        return replace(spells, idle_since=now)
    return spells  # idle still; or nothing waits, and nobody knows whether anything comes: not idle for certain


def _waking(spells: IdleSpells, arrivals: float | None, restore_s: float, now: datetime) -> IdleSpells:
    if spells.woken_at is None:
        return spells
    if (now - spells.woken_at).total_seconds() <= restore_s:
        return replace(spells, waking_per_s=max(spells.waking_per_s, arrivals or 0.0))
    known, new = spells.wakes_per_s, spells.waking_per_s
    mean = new if known is None else moved(known, new, WAKE_WEIGHT)
    return replace(spells, woken_at=None, waking_per_s=0.0, wakes_per_s=mean)


def _ended(spells: IdleSpells, arrivals: float, now: datetime) -> IdleSpells:
    if spells.idle_since is None:
        return spells
    lasted_s = (now - spells.idle_since).total_seconds()
    if lasted_s < SHORTEST_S:
        return replace(spells, idle_since=None)
    elapsed_s = 0.0 if spells.ended_at is None else max(0.0, (now - spells.ended_at).total_seconds())
    fade = 0.5 ** (elapsed_s / HALF_LIFE_S)
    weights = [weight * fade for weight in spells.ended or (0.0,) * len(BOUNDS_S)]
    weights[sum(bound <= lasted_s for bound in BOUNDS_S) - 1] += 1.0
    return replace(spells, idle_since=None, ended=tuple(weights), ended_at=now, woken_at=now, waking_per_s=arrivals)


def expected_s(spells: IdleSpells, idle_s: float) -> float:
    """How many seconds more nothing will be to do, as expected after `idle_s` seconds of it.

    By the spells that lasted longer, and by what is thought without any: as long again as it has lasted.
    """
    total, weight = PRIOR_WEIGHT * idle_s, PRIOR_WEIGHT
    for counted, (low, high) in zip(spells.ended, pairwise((*BOUNDS_S, 2 * BOUNDS_S[-1])), strict=False):
        if counted <= 0 or high <= idle_s:
            continue
        longer = counted * min(1.0, (high - idle_s) / (high - low))  # spells of a class are spread evenly over it
        total += longer * ((max(low, idle_s) + high) / 2 - idle_s)
        weight += longer
    return total / weight
