"""The ways to say what will arrive, each judged by what then arrived, and mixed by how right it was.

*Quick*, *level* and *steady*: as now, followed within minutes, half an hour and an hour. *Trend*: as now, and rising or
falling on as lately. *Day* and *week*: as usual at this hour (of this weekday), times how today compares with usual;
once slot by slot, once smoothed over the neighbours.
Each is judged over days and over the last hours: what was right for weeks and is wrong since this morning counts little
from noon on.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from shared.decisions.scaling.forecast.profile import SLOT_S, SLOTS_A_DAY, SLOTS_A_WEEK, rate_in
from shared.decisions.scaling.means import moved
from shared.domain import ArrivalMemory, Forecaster

Source = Literal["level", "steady", "quick", "trend", "day", "smooth_day", "week", "smooth_week"]
SOURCES: tuple[Source, ...] = ("level", "steady", "quick", "trend", "day", "smooth_day", "week", "smooth_week")
LEVELS, SEASONS = SOURCES[:4], SOURCES[4:]
FLAT = LEVELS[:3]
"""Who says the same of every slot."""

# So slowly the levels follow. What rises steadily is ahead of each of them by what it rises in that time.
LEVEL_SMOOTHING_S, STEADY_SMOOTHING_S = 1200.0, 3000.0
# A trend fades: so much further it goes in all.
TREND_GOES_ON_S = 1800.0

ALONE = (1.0,) + (0.0,) * (len(SOURCES) - 1)
"""The weights with which the level is all there is."""

# So many forecasts of each must have been judged before it counts: half a day of those that know usual days.
JUDGED_ENOUGH = (1, 36, 36, 36, 72, 72, 72, 72)
# Errors of the last three days and of the last hour and a half, in slots.
ERROR_SLOTS, LATELY_SLOTS = 3 * SLOTS_A_DAY, 9
# Too little costs more than too much.
UNDER_WEIGHT = 2.0
# An error twice as large counts a sixteenth; one more than twice as large as the least, nothing.
SHARPNESS, MOST_WORSE = 4.0, 2.0
# Lately a forecaster may err by so much more than the best before it counts less.
LATELY_TOLERATED = 1.3
# That they are doubted is said once they had two days to be right, and are wrong by twice as much as before.
DOUBTED_AFTER, DOUBTED_ABOVE = 2 * SLOTS_A_DAY, 2.0
EXCESS_STEP = 0.3
# One surge is no rule: more than so many times of how far off it usually is, is not reckoned with.
MOST_SPREADS = 5.0
TOGETHER_WEIGHT = 0.5
# An hour is compared with the usual one as if this many average slots were in both: little traffic proves little.
COMPARED_SHARE = 0.3
MOST_UNUSUAL = 3.0
SMOOTHED = ((-2, 1.0), (-1, 2.0), (0, 3.0), (1, 2.0), (2, 1.0))

UNJUDGED = Forecaster()


def scale(rate_per_s: float, mean_per_s: float) -> float:
    """The unit in which errors are compared: busy hours err by more than quiet ones, but less than in proportion."""
    return math.sqrt(mean_per_s * (rate_per_s + 0.1 * mean_per_s))


def says(memory: ArrivalMemory, source: Source, slot: int) -> float | None:
    """The rate that a forecaster says for a slot since 1970; None while it has never seen such a slot."""
    if source == "level":
        return memory.level_per_s
    if source == "steady":
        return memory.steady_per_s
    if source == "quick":
        return memory.quick_per_s
    if source == "trend":
        return _trend(memory, slot)
    if source in ("day", "smooth_day"):
        usual = _usual(memory.day, SLOTS_A_DAY, slot, smooth=source == "smooth_day")
        return _as_today(memory, usual, memory.day_lately_per_s)
    usual = _usual(memory.week, SLOTS_A_WEEK, slot, smooth=source == "smooth_week")
    return _as_today(memory, usual, memory.week_lately_per_s)


def mixed(memory: ArrivalMemory, weights: Sequence[float], slots: Sequence[int]) -> list[float]:
    """What those say together that have weights, of each slot; who has nothing to say is left out."""
    counting = [(source, weight) for source, weight in zip(SOURCES, weights, strict=False) if weight > 0]
    same = sum(weight for source, weight in counting if source in FLAT)
    said_by_same = sum(weight * (says(memory, source, 0) or 0.0) for source, weight in counting if source in FLAT)
    varying = [(source, weight) for source, weight in counting if source not in FLAT]
    mixture = []
    for slot in slots:
        total, said = same, said_by_same
        for source, weight in varying:
            if (one := says(memory, source, slot)) is not None:
                total, said = total + weight, said + weight * one
        mixture.append(said / total if total > 0 else memory.level_per_s)
    return mixture


def now(memory: ArrivalMemory) -> float:
    """What the levels and the trend say of now, seasons apart."""
    return mixed(memory, weights(memory, seasons=False), [memory.slot or 0])[0]


def weights(memory: ArrivalMemory, *, seasons: bool) -> tuple[float, ...]:
    """How much each forecaster counts, by its errors over days and the last hours; of the levels only, or all."""
    pairs = zip(memory.forecasters[: len(SOURCES if seasons else LEVELS)], JUDGED_ENOUGH, strict=False)
    judged = [forecaster if forecaster.judged >= enough else None for forecaster, enough in pairs]
    known = [forecaster for forecaster in judged if forecaster is not None]
    if not known:
        return ALONE
    floor = 0.02 * memory.mean_per_s + 1e-9
    best = min(forecaster.error_per_s for forecaster in known) + floor
    lately = LATELY_TOLERATED * (min(forecaster.lately_per_s for forecaster in known) + 0.1 * memory.mean_per_s + floor)

    def weight(forecaster: Forecaster | None) -> float:
        if forecaster is None:
            return 0.0
        worse = (forecaster.error_per_s + floor) / best * max(1.0, forecaster.lately_per_s / lately)
        return worse**-SHARPNESS if worse < MOST_WORSE else 0.0

    found = tuple(weight(forecaster) for forecaster in judged)
    return found if any(found) else ALONE


def mixture(memory: ArrivalMemory, *, seasons: bool) -> Forecaster:
    """How right the mixture was: all, or the levels."""
    return memory.forecasters[-1 if seasons else -2] if memory.forecasters else UNJUDGED


def doubted(memory: ArrivalMemory) -> bool:
    """Whether usual days or weeks were lately much more wrong than they used to be, and than what is seen now."""
    if not memory.forecasters:
        return False
    now = min(one.lately_per_s for one in memory.forecasters[: len(LEVELS)])
    known = [one for one in memory.forecasters[len(LEVELS) : len(SOURCES)] if one.judged >= DOUBTED_AFTER]
    if not known:
        return False
    best = min(known, key=lambda one: one.lately_per_s)
    return best.lately_per_s > DOUBTED_ABOVE * max(best.error_per_s, now) + 0.1 * memory.mean_per_s


def all_say(memory: ArrivalMemory, slot: int, *, seasons: bool) -> tuple[float, ...]:
    """What each says for a slot, then the levels together, and all together; -1 where one has nothing to say."""
    said = [says(memory, source, slot) if seasons or source not in SEASONS else None for source in SOURCES]
    together = [mixed(memory, weights(memory, seasons=which), [slot])[0] for which in (False, True)]
    return (*(-1.0 if one is None else one for one in said), *together)


def judged(memory: ArrivalMemory, rate_per_s: float, exceeded_share: float) -> ArrivalMemory:
    """The memory once the next slot for which there were forecasts turned out to have this rate."""
    if not memory.made:
        return memory
    forecasters = memory.forecasters or (UNJUDGED,) * (len(SOURCES) + 2)
    pairs = zip(forecasters, memory.made[0], strict=True)
    after = tuple(_judged(one, said, rate_per_s, memory.mean_per_s, exceeded_share) for one, said in pairs)
    return replace(memory, forecasters=after, made=memory.made[1:])


def _judged(one: Forecaster, said: float, rate: float, mean: float, exceeded_share: float) -> Forecaster:
    if said < 0:
        return one
    count, off = one.judged + 1, rate - said
    loss = UNDER_WEIGHT * off if off > 0 else -off
    unit = scale(said, mean)
    # Errors of single slots cancel out over a cold start, unless something has really changed.
    relative = moved(one.off, off / unit if unit > 0 else 0.0, max(1 / count, TOGETHER_WEIGHT))
    spread = moved(one.spread, abs(relative), max(1 / count, 1 / SLOTS_A_DAY))
    # A step up where it was exceeded and a small one down where not: it comes to rest at that quantile.
    step = EXCESS_STEP * spread * ((1 - exceeded_share) if relative > one.excess else -exceeded_share)
    return Forecaster(
        error_per_s=moved(one.error_per_s, loss, max(1 / count, 1 / ERROR_SLOTS)),
        lately_per_s=moved(one.lately_per_s, loss, max(1 / count, 1 / LATELY_SLOTS)),
        off=relative,
        excess=min(max(0.0, one.excess + step), MOST_SPREADS * spread),
        spread=spread,
        judged=count,
    )


def _trend(memory: ArrivalMemory, slot: int) -> float:
    """The rate of a slot by the slope that shows between a level and a slower one (Brown's double smoothing)."""
    slope = (memory.level_per_s - memory.steady_per_s) / (STEADY_SMOOTHING_S - LEVEL_SMOOTHING_S)
    ahead_s = SLOT_S * max(0, slot - (memory.slot or slot))
    goes_on_s = TREND_GOES_ON_S * (1 - math.exp(-ahead_s / TREND_GOES_ON_S))
    return max(0.0, memory.level_per_s + slope * (LEVEL_SMOOTHING_S + goes_on_s))


def _usual(profile: str, slots: int, slot: int, *, smooth: bool) -> float | None:
    itself = rate_in(profile, slot % slots)
    if not smooth or itself is None:
        return itself
    total = said = 0.0
    for off, weight in SMOOTHED:
        if (rate := rate_in(profile, (slot + off) % slots)) is not None:
            total, said = total + weight, said + weight * rate
    return said / total


def _as_today(memory: ArrivalMemory, usual: float | None, usual_lately: float) -> float | None:
    same = COMPARED_SHARE * memory.mean_per_s
    if usual is None or same <= 0:
        return usual
    unusual = (memory.lately_per_s + same) / (usual_lately + same)
    return usual * min(MOST_UNUSUAL, max(1 / MOST_UNUSUAL, unusual))
