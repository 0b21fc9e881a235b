"""What arrives at a queue, tick by tick."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

type Floats = NDArray[np.float64]
type Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Workload:
    """Arrivals of `ticks` ticks of `tick_s` seconds each, the first of which starts at `starts_at`.

    `items` arrive in each tick, spread evenly over it, and carry `work_s` seconds of one instance's time together.
    `service_s` is the mean time that an instance takes for one item, over all of the workload.
    """

    name: str
    tick_s: float
    items: Floats
    work_s: Floats
    service_s: float
    starts_at: datetime = datetime(2026, 1, 5, tzinfo=UTC)

    def __post_init__(self) -> None:
        if self.items.shape != self.work_s.shape or self.items.ndim != 1:
            raise ValueError(
                f"workload {self.name!r}: items {self.items.shape} and work {self.work_s.shape} must match"
            )

    @property
    def ticks(self) -> int:
        return len(self.items)

    @property
    def days(self) -> float:
        return self.ticks * self.tick_s / 86_400
