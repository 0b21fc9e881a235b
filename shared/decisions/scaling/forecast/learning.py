"""What is learned from arrivals: levels within minutes, usual days and weeks, and how right the forecasts were."""

import math
from dataclasses import replace

from shared.decisions.scaling.forecast.forecasters import LEVEL_SMOOTHING_S, STEADY_SMOOTHING_S, all_say, judged, scale
from shared.decisions.scaling.forecast.profile import SLOT_S, SLOTS_A_DAY, SLOTS_A_WEEK, rate_in, with_rate
from shared.decisions.scaling.means import moved
from shared.domain import ArrivalMemory, Fresh, Measurement

QUICK_SMOOTHING_S, NOISE_SMOOTHING_S = 120.0, 14_400.0
# A level jumps to the quick one when that is off by so many times of what it usually is off.
JUMP, STEADY_JUMP = 3.5, 7.0
# Arrivals that show in the depth alone are noisier.
DEPTH_JUMP = 8.0
SLOTS_LATELY = 6
# The weight of the newest day or week in what is usual.
DAY_WEIGHT, WEEK_WEIGHT = 0.3, 0.5
MEAN_SLOTS, PEAK_SLOTS = 7 * SLOTS_A_DAY, 3 * SLOTS_A_DAY


def learned(
    memory: ArrivalMemory, sample: Measurement, ahead_s: float, exceeded_share: float, *, seasons: bool
) -> ArrivalMemory:
    """The memory that has seen a sample of arrivals.

    Forecasts are made for `ahead_s` seconds after a slot, with usual days and weeks if `seasons`; their upper bound
    aims to be exceeded in `exceeded_share` of all slots.
    """
    if not isinstance(sample, Fresh) or (memory.sampled_at is not None and sample.at <= memory.sampled_at):
        return memory
    if sample.value == 0 and memory.slot is None:
        return memory  # nothing ever came: nothing to learn, so nothing to write
    slot = int((sample.at.timestamp() - 1) // SLOT_S)  # a sample tells of the time before it
    if memory.slot is not None and slot > memory.slot:
        memory = _slot_over(memory, slot, ahead_s, exceeded_share, seasons=seasons)
    quick, level, steady, noise = _followed(memory, sample)
    return replace(
        memory,
        slot=slot,
        slot_sum=memory.slot_sum + sample.value,
        slot_samples=memory.slot_samples + 1,
        sampled_at=sample.at,
        quick_per_s=quick,
        level_per_s=level,
        steady_per_s=steady,
        noise=noise,
    )


def is_surprising(memory: ArrivalMemory, rate_per_s: float) -> bool:
    """Whether so many arrivals, seen through the depth, are more than noise explains."""
    unit = scale(memory.level_per_s, memory.mean_per_s or memory.level_per_s)
    return rate_per_s - memory.level_per_s > DEPTH_JUMP * memory.noise * unit


def _followed(memory: ArrivalMemory, sample: Fresh) -> tuple[float, float, float, float]:
    """The quick, the usual and the steady level that have seen the sample, and the noise."""
    if memory.sampled_at is None:
        return sample.value, sample.value, sample.value, 0.0
    elapsed_s = (sample.at - memory.sampled_at).total_seconds()

    def follow(known: float, value: float, smoothing_s: float) -> float:
        return moved(known, value, elapsed_s / (elapsed_s + smoothing_s))

    quick = follow(memory.quick_per_s, sample.value, QUICK_SMOOTHING_S)
    level = follow(memory.level_per_s, sample.value, LEVEL_SMOOTHING_S)
    steady = follow(memory.steady_per_s, sample.value, STEADY_SMOOTHING_S)
    off, steady_off = _off(memory, quick, level), _off(memory, quick, steady)
    usual_off = min(off, JUMP * memory.noise) if memory.noise > 0 else off  # a jump is no noise
    return (
        quick,
        quick if off > JUMP * memory.noise else level,
        quick if steady_off > STEADY_JUMP * memory.noise else steady,
        follow(memory.noise, usual_off, NOISE_SMOOTHING_S),
    )


def _off(memory: ArrivalMemory, quick: float, level: float) -> float:
    unit = scale(level, memory.mean_per_s or level)
    return abs(quick - level) / unit if unit > 0 else 0.0


def _slot_over(
    memory: ArrivalMemory, next_slot: int, ahead_s: float, exceeded_share: float, *, seasons: bool
) -> ArrivalMemory:
    """Judge what was forecast for the slot that is over, learn from it, and forecast further ahead."""
    slot, rate = memory.slot or 0, memory.slot_sum / max(1, memory.slot_samples)
    memory = _with_usual(judged(memory, rate, exceeded_share), slot, rate)
    passed, ahead = next_slot - slot, max(1, math.ceil(ahead_s / SLOT_S))
    kept = memory.made[passed - 1 :] if len(memory.made) >= passed - 1 and len(memory.made) < ahead else ()
    wanting = range(next_slot + len(kept), next_slot + ahead)
    return replace(memory, made=(*kept, *(all_say(memory, at, seasons=seasons) for at in wanting)))


def _with_usual(memory: ArrivalMemory, slot: int, rate: float) -> ArrivalMemory:
    day_slot, week_slot = slot % SLOTS_A_DAY, slot % SLOTS_A_WEEK
    day, week = rate_in(memory.day, day_slot), rate_in(memory.week, week_slot)
    seen = memory.slots_seen + 1

    def usual(known: float | None, weight: float) -> float:
        return rate if known is None else moved(known, rate, weight)

    return replace(
        memory,
        slot_sum=0.0,
        slot_samples=0,
        slots_seen=seen,
        mean_per_s=moved(memory.mean_per_s, rate, max(1 / seen, 1 / MEAN_SLOTS)),
        peak_per_s=max(rate, moved(memory.peak_per_s, rate, 1 / PEAK_SLOTS)),
        lately_per_s=moved(memory.lately_per_s, rate, 1 / SLOTS_LATELY),
        day_lately_per_s=moved(memory.day_lately_per_s, rate if day is None else day, 1 / SLOTS_LATELY),
        week_lately_per_s=moved(memory.week_lately_per_s, rate if week is None else week, 1 / SLOTS_LATELY),
        day=with_rate(memory.day, SLOTS_A_DAY, day_slot, usual(day, DAY_WEIGHT)),
        week=with_rate(memory.week, SLOTS_A_WEEK, week_slot, usual(week, WEEK_WEIGHT)),
    )
