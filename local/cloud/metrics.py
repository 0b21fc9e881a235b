"""Azure Monitor's memory: measured values, gathered into grains of time, shown only after the delay that Azure has.

A value is known as total, count, minimum and maximum of its grain. Missing is not zero: a grain without values has no
cell.
"""

import bisect
import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from local.clock import Clock
from local.cloud.metric_filter import MetricFilter

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Azure keeps 93 days; a simulator that runs for weeks must not grow without end.
CELLS_PER_SERIES = 3_000


@dataclass(slots=True)
class Cell:
    """The values of one grain (or of several, merged)."""

    total: float = 0.0
    count: int = 0
    minimum: float = math.inf
    maximum: float = -math.inf

    def add(self, value: float) -> None:
        self.merge(Cell(value, 1, value, value))

    def merge(self, other: "Cell") -> None:
        self.total += other.total
        self.count += other.count
        self.minimum = min(self.minimum, other.minimum)
        self.maximum = max(self.maximum, other.maximum)

    @property
    def average(self) -> float:
        return self.total / self.count


@dataclass(frozen=True, slots=True)
class Series:
    """Cells by the start of their interval, for one combination of the dimensions asked for (lower-case names)."""

    dimensions: Mapping[str, str]
    cells: Mapping[datetime, Cell]


Dimensions = tuple[tuple[str, str], ...]


class MetricStore:
    """Values by resource, metric and dimensions.

    `grain_s` is 60 as in Azure, or less (a documented deviation: answers say their interval). `delay_s` is asked at
    each query.
    """

    def __init__(self, clock: Clock, delay_s: Callable[[], float], grain_s: float = 60) -> None:
        if not 0 < grain_s <= 60 or 60 % grain_s:
            raise ValueError(f"metric_grain_s must divide 60 and be at most 60, not {grain_s}")
        self.grain_s = grain_s
        self._clock = clock
        self._delay_s = delay_s
        self._lock = threading.Lock()
        self._series: dict[tuple[str, str], dict[Dimensions, dict[int, Cell]]] = {}

    def add(
        self, resource_id: str, metric: str, value: float, at: datetime, dimensions: Mapping[str, str] | None = None
    ) -> None:
        """Record one value. Names and ids are compared without regard to letter case. Safe from any thread."""
        key = tuple(sorted((name.lower(), text) for name, text in (dimensions or {}).items()))
        grain = math.floor((at - EPOCH).total_seconds() / self.grain_s)
        with self._lock:
            cells = self._series.setdefault((resource_id.lower(), metric.lower()), {}).setdefault(key, {})
            cells.setdefault(grain, Cell()).add(value)
            if len(cells) > CELLS_PER_SERIES:
                del cells[min(cells)]

    def query(
        self,
        resource_id: str,
        metric: str,
        times: Sequence[datetime],
        end: datetime,
        wanted: MetricFilter,
        rolled_up: frozenset[str] = frozenset(),
    ) -> list[Series]:
        """Visible series, a cell for each interval that starts at one of `times` and ends at the next or at `end`.

        Split by the dimensions that `wanted` names and `rolled_up` does not. Series without a visible value are left
        out.
        """
        split: dict[Dimensions, dict[datetime, Cell]] = {}
        with self._lock:
            for dimensions, cells in self._series.get((resource_id.lower(), metric.lower()), {}).items():
                if not wanted.accepts(dict(dimensions)):
                    continue
                shown = tuple(item for item in dimensions if item[0] in wanted.values and item[0] not in rolled_up)
                for at, cell in self._visible(cells, times, end):
                    interval_start = times[bisect.bisect_right(times, at) - 1]
                    split.setdefault(shown, {}).setdefault(interval_start, Cell()).merge(cell)
        return [Series(dict(dimensions), cells) for dimensions, cells in sorted(split.items())]

    def _visible(
        self, cells: Mapping[int, Cell], times: Sequence[datetime], end: datetime
    ) -> Iterator[tuple[datetime, Cell]]:
        newest = self._clock.now() - timedelta(seconds=self._delay_s() + self.grain_s)
        for grain, cell in cells.items():
            at = EPOCH + timedelta(seconds=grain * self.grain_s)
            if times and times[0] <= at < end and at <= newest:
                yield at, cell


def floored(at: datetime, interval_s: float) -> datetime:
    """The start of the interval that `at` lies in."""
    return EPOCH + timedelta(seconds=math.floor((at - EPOCH).total_seconds() / interval_s) * interval_s)
