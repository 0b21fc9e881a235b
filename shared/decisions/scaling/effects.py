"""What our changes were to do, and what they did: a target whose predictions are off falls back to what it sees."""

from dataclasses import replace
from datetime import datetime

from shared.decisions.scaling.means import moved
from shared.domain import ScalingMemory

WEIGHT = 0.3
# Off by as much as the whole promise, over a few changes.
OFF_TOO_MUCH, JUDGED_ENOUGH = 1.0, 3


def judged(
    memory: ScalingMemory, depth: float, rate_per_s: float, drain_within_s: float, now: datetime
) -> ScalingMemory:
    """The memory that has compared what the last change was to do with what is, once its time has come."""
    if memory.effect is None or now < memory.effect.at:
        return memory
    count = memory.effects_judged + 1
    wait_s = depth / rate_per_s if rate_per_s > 0 else drain_within_s
    off = min(10.0, abs(wait_s - memory.effect.wait_s) / drain_within_s)
    off = moved(memory.effects_off, off, max(1 / count, WEIGHT))
    return replace(memory, effect=None, effects_off=off, effects_judged=count)


def are_off(memory: ScalingMemory) -> bool:
    """Whether changes lately did something else than was expected of them: forecasts are not believed then."""
    return memory.effects_judged >= JUDGED_ENOUGH and memory.effects_off > OFF_TOO_MUCH
