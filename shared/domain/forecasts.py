"""What is remembered of a queue's arrivals, to say what will arrive."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecaster:
    """How well one way of forecasting did: its errors against what then arrived, in messages a second.

    `error_per_s` is over days, `lately_per_s` over hours. `off` is by how much the last slots together exceeded what
    was forecast, `spread` how far off that usually is, and `excess` what it exceeds as rarely as the policy asks, all
    in units of `forecasters.scale`. `judged` slots were compared.
    """

    error_per_s: float = 0.0
    lately_per_s: float = 0.0
    off: float = 0.0
    excess: float = 0.0
    spread: float = 0.0
    judged: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrivalMemory:
    """Arrivals a second as they were, in slots: the one in progress, what is usual, and what was forecast.

    `slot` counts slots since 1970 and holds `slot_samples` samples that add up to `slot_sum`; `sampled_at` is the
    newest. `quick_per_s` follows the samples within minutes; `level_per_s` and `steady_per_s` are slower, but jump to
    it when they are farther off than `noise` explains. `mean_per_s` is of days, `peak_per_s` the most of a slot, slowly
    forgotten, `lately_per_s` of an hour, and `day_lately_per_s` and `week_lately_per_s` are what usual days and weeks
    said for that hour. `day` and `week` are profiles (`shared/decisions/scaling/forecast/profile.py`). `made` are the
    forecasts for the slots ahead, the nearest first, one number a forecaster (-1: it had none), the last two those of
    the levels and the trend together and of all together; `forecasters` are in the same order.
    """

    slot: int | None = None
    slot_sum: float = 0.0
    slot_samples: int = 0
    sampled_at: datetime | None = None
    quick_per_s: float = 0.0
    level_per_s: float = 0.0
    steady_per_s: float = 0.0
    noise: float = 0.0
    mean_per_s: float = 0.0
    peak_per_s: float = 0.0
    lately_per_s: float = 0.0
    day_lately_per_s: float = 0.0
    week_lately_per_s: float = 0.0
    slots_seen: int = 0
    day: str = ""
    week: str = ""
    made: tuple[tuple[float, ...], ...] = ()
    forecasters: tuple[Forecaster, ...] = ()
