"""What the peers' rules are made of. Their sources are named in each module; a lane is one point of a peer's grid.

In all of them counts are whole (the simulator's depth is a mean, so it is rounded), and whatever a peer does more
often than once a tick, it does on the values that it sees at the tick's start.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.simulation.play import Rule
from shared.simulation.site import Seen
from shared.simulation.workload import Floats, Ints

type Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Limits in instances, and the seconds from one look to the next."""

    tick_s: float
    min: int
    max: int

    def ticks(self, duration_s: float) -> int:
        """Looks that a window of this length holds; at least the current one."""
        return max(1, round(duration_s / self.tick_s))


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting(Bounds):
    """Where a peer is put: also what it starts with, and the times in seconds that its targets are chosen by."""

    at_start: int
    service_s: float
    promise_s: float

    @property
    def per_promise(self) -> float:
        """Items that an instance completes within the promise: the scale on which queue targets are chosen."""
        return self.promise_s / self.service_s


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Peer:
    """A rule and its grid. `make` makes a new rule over all points; `queue_per_target`: it wants depth / target."""

    name: str
    points: tuple[str, ...]
    make: Callable[[], Rule]
    queue_per_target: bool = False

    @property
    def lanes(self) -> int:
        return len(self.points)


LEAST_TARGET = 0.7
"""Items per instance. Below, a target is a utilisation: some capacity is spare for each item that is in service."""


def queue_targets(setting: Setting, points: int) -> tuple[float, ...]:
    """Items per instance, from 0.7 to a quarter more than what it completes within the promise.

    Where that is far, two thirds of the points are in the last one and a half decades, where a target keeps the promise
    with few instances. Some peers take whole numbers only; that they get fractions is in their favour.
    """
    high = max(1.25 * setting.per_promise, 8 * LEAST_TARGET)
    knee = high / 50
    few = points // 3
    if knee < 4 * LEAST_TARGET or few == 0:
        return spaced(LEAST_TARGET, high, points)
    return (*spaced(LEAST_TARGET, knee, few + 1)[:-1], *spaced(knee, high, points - few))


def spaced(low: float, high: float, points: int) -> tuple[float, ...]:
    """Evenly on a logarithmic scale, of three digits."""
    return tuple(float(f"{value:.3g}") for value in np.geomspace(low, high, points))


def ceil(values: Floats) -> Ints:
    """Up to whole numbers; what is above one by rounding errors only is that number."""
    return np.ceil(values - 1e-9).astype(np.int64)


def floor(values: Floats) -> Ints:
    """Down to whole numbers; what is below one by rounding errors only is that number."""
    return np.floor(values + 1e-9).astype(np.int64)


def looked_at(now_s: float, *, depth: Floats, capacity: Ints, ready: Ints, in_service: Floats) -> Seen:
    """What somebody sees who has no metrics."""
    nothing = np.full(len(depth), np.nan)
    return Seen(
        now_s=now_s,
        depth=depth,
        in_service=in_service,
        capacity=capacity,
        ready=ready,
        metric_at_s=now_s,
        metric_depth=nothing,
        arrivals_per_s=nothing,
        completions_per_s=nothing,
        metric_ready=nothing,
        busy_share=nothing,
    )


def within(bounds: Bounds, wish: Ints) -> Ints:
    """Within the limits. (`np.clip` takes three times as long on so few values.)"""
    return np.minimum(np.maximum(wish, bounds.min), bounds.max)


class Highest:
    """The highest of the last values of each lane, of as many ticks as the lane says."""

    def __init__(self, ticks: Ints) -> None:
        self._ticks, self._lanes, self._count = ticks, np.arange(len(ticks)), 0
        self._ring = np.full((int(ticks.max()), len(ticks)), -np.inf)

    def add(self, values: Ints | Floats) -> Floats:
        self._ring[self._count % self._ticks, self._lanes] = values
        self._count += 1
        return np.asarray(np.maximum.reduce(self._ring))


class Mean:
    """The mean of the last values, without those that are missing (NaN); missing if all of them are."""

    def __init__(self, ticks: int, lanes: int) -> None:
        self._ring, self._count = np.full((ticks, lanes), np.nan), 0

    def add(self, values: Floats) -> Floats:
        self._ring[self._count % len(self._ring)] = values
        self._count += 1
        if len(self._ring) == 1:
            return values
        total = np.add.reduce(self._ring)
        if not np.isnan(total).any():
            return np.asarray(total / len(self._ring))
        known = ~np.isnan(self._ring)
        count = known.sum(axis=0)
        total = np.where(known, self._ring, 0.0).sum(axis=0)
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def lanes(values: Sequence[float] | float, count: int) -> Floats:
    """One value a lane."""
    return np.broadcast_to(np.asarray(values, dtype=np.float64), (count,)).copy()
