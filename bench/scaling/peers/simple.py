"""A fixed size, and the rule of the tutorials: many messages, 10 instances; few, 2."""

from collections.abc import Sequence

import numpy as np

from bench.scaling.peers.base import Peer, Setting, spaced
from shared.simulation.site import Seen
from shared.simulation.workload import Floats, Ints


class Fixed:
    """Always as many."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self._sizes = np.array(sizes, dtype=np.int64)

    def wanted(self, seen: Seen) -> Ints:  # noqa: ARG002 - sees nothing
        return self._sizes


class TwoSizes:
    """More than `high` messages: `large`; fewer than `low`: `small`; else as it is."""

    def __init__(self, high: Floats, low: Floats, large: Ints, small: Ints) -> None:
        self._high, self._low, self._large, self._small = high, low, large, small

    def wanted(self, seen: Seen) -> Ints:
        depth = np.rint(seen.depth)
        fewer = np.where(depth < self._low, self._small, seen.capacity)
        return np.where(depth > self._high, self._large, fewer)


def peers(setting: Setting) -> list[Peer]:
    return [_fixed(setting), _naive(setting)]


def _fixed(setting: Setting) -> Peer:
    low = max(1, setting.min)
    large = {round(size) for size in np.geomspace(min(low + 8, setting.max), setting.max, 6)}
    sizes = sorted({*range(low, min(low + 8, setting.max)), *large})
    return Peer(name="fixed size", points=tuple(f"{size} instances" for size in sizes), make=lambda: Fixed(sizes))


def _naive(setting: Setting) -> Peer:
    """The tutorials' numbers as they are, and other numbers in their place."""
    grid = [(100.0, 10.0, 10, 2)]
    for high in spaced(max(1.0, setting.per_promise / 4), 40 * max(1.0, setting.per_promise), 5):
        grid += [(high, high / 10, 10, 2), (high, high / 10, max(1, setting.max // 2), 5)]
    highs, lows = (np.array([point[column] for point in grid]) for column in (0, 1))
    large, small = (np.array([point[column] for point in grid], dtype=np.int64) for column in (2, 3))
    return Peer(
        name="tutorial",
        points=tuple(f">{up:g}: {more}, <{down:g}: {less}" for up, down, more, less in grid),
        make=lambda: TwoSizes(highs, lows, large, small),
    )
