"""What will arrive from now on, as the decision uses it: pieces of time with a mean and an upper bound."""

import math
from dataclasses import dataclass
from datetime import datetime

from shared.decisions.scaling.forecast.forecasters import SOURCES, Source, doubted, mixed, mixture, scale, weights
from shared.decisions.scaling.forecast.profile import SLOT_S
from shared.domain import ArrivalMemory

# Of what comes now beyond what was forecast, so much is expected to stay for each slot further ahead.
KEPT = 0.5
NOW_S = 120.0
# More than ever came lately is expected only of a mean that is itself near it.
MORE_THAN_EVER = 1.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Arrivals ahead, in pieces of time from now on: (until_s, mean_per_s, high_per_s), the last one without end.

    `high_per_s` is exceeded as rarely as the policy asks, by experience; `judged` forecasts have been compared with
    what came, `error_per_s` is their mean error over days (too little counts twice). `source` counts most in it.
    `stays_per_s`: what arrives now and is more than noise.
    `doubted`: usual days and weeks were right for days and are wrong lately; they count little now.
    """

    source: Source
    stays_per_s: float
    pieces: tuple[tuple[float, float, float], ...]
    error_per_s: float
    judged: int
    doubted: bool

    def at(self, in_s: float) -> tuple[float, float]:
        """The mean and the upper bound for what arrives in `in_s` seconds."""
        return next((mean, high) for until_s, mean, high in self.pieces if until_s > in_s)


def forecast(
    memory: ArrivalMemory, now_per_s: float, stays_per_s: float, now: datetime, ahead_s: float, *, seasons: bool
) -> Forecast:
    """What arrives from `now` until `ahead_s` seconds later, and beyond.

    For a moment it is `now_per_s`; `stays_per_s` is what of that is more than noise. Without `seasons` the levels and
    the trend alone say what comes then, and are judged alone; no less is expected than what stays.
    """
    found, judge = weights(memory, seasons=seasons), mixture(memory, seasons=seasons)
    since_1970_s = now.timestamp()
    first, last = int(since_1970_s // SLOT_S), int((since_1970_s + ahead_s) // SLOT_S)
    pieces = [(NOW_S, now_per_s, now_per_s)]
    slots = range(first, last + 1)
    for slot, said in zip(slots, mixed(memory, found, slots), strict=True):
        kept = KEPT ** (slot - first) if seasons else 1.0
        mean = max(said, kept * stays_per_s + (1 - kept) * said)
        until_s = math.inf if slot == last else (slot + 1) * SLOT_S - since_1970_s
        if until_s <= NOW_S:
            continue
        high = min(mean + judge.excess * scale(mean, memory.mean_per_s), max(memory.peak_per_s, MORE_THAN_EVER * mean))
        pieces.append((until_s, mean, max(mean, high)))
    return Forecast(
        source=SOURCES[found.index(max(found))],
        stays_per_s=stays_per_s,
        pieces=tuple(pieces),
        error_per_s=judge.error_per_s,
        judged=judge.judged,
        doubted=seasons and doubted(memory),
    )
