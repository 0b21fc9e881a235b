"""The limit: what somebody could do who knows all arrivals beforehand.

Least late items first, then least instance-hours. Late least: to order all that is allowed at once starts every item
as early as anybody can, so what is late even then is late for everyone; the rest must be in time. Least hours: dynamic
programming over the instances that serve and the work that is served, tick by tick. What an instance costs besides (its
cold start and its release are billed) is paid where it is ordered and where it is given up, so one that is needed again
within a cold start is kept.

Work is counted in parts of what an instance does in a tick, rounded to the safe side for the schedule, and to the other
side for the bound: no schedule that is no later, and leaves no more undone at the end, needs fewer hours than
`fewest_hours`.
"""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.lib.stride_tricks import as_strided, sliding_window_view
from numpy.typing import NDArray

from bench.scaling.tube import Items, Tube, reaches, tube_of
from shared.simulation.play import Figures, figures, play
from shared.simulation.site import Seen, Site, Terms
from shared.simulation.workload import Ints, Workload

type Values = NDArray[np.float32]

KEPT = 128
"""Values are kept at each so-manieth tick, and reckoned again between two of them on the way forward."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Clairvoyant:
    """The schedule, `asked` for at each tick, and its figures in the simulator (one lane).

    `least_late_share`: of all items, late whatever is done. `fewest_hours`: no schedule that is so late needs fewer.
    """

    asked: Ints
    site: Site
    figures: Figures
    least_late_share: float
    fewest_hours: float


MENDS = 40
"""Times that a schedule is mended where rounding made something late; each time from a tick earlier on."""


class Planned:
    """A rule that asks for what was planned, in every lane."""

    def __init__(self, asked: Ints, tick_s: float) -> None:
        self._asked, self._tick_s = asked, tick_s

    def wanted(self, seen: Seen) -> Ints:
        tick = round(seen.now_s / self._tick_s)
        return np.full(len(seen.capacity), self._asked[tick], dtype=np.int64)


def certain(terms: Terms) -> Terms:
    """The same site without chance: each order takes the cold start, none fails."""
    return replace(terms, cold_start_sigma=0.0, fail_share=0.0, slow_share=0.0, lost_share=0.0, one_operation=False)


def clairvoyant(workload: Workload, terms: Terms, promise_s: float, *, bound: bool = False) -> Clairvoyant:
    """The best schedule for `promise_s`. Without `bound` (most of the time) `fewest_hours` is 0."""
    terms = certain(terms)
    tube, items = tube_of(workload, terms, promise_s, safe=True)
    ready = _Programme(tube, terms, workload, _enough(tube, terms.min)).schedule()
    asked, site = _mended(ready, tube, items, workload, terms)
    fewest = 0.0
    if bound:
        loose, _ = tube_of(workload, terms, promise_s, safe=False)
        fewest = _Programme(loose, terms, workload, loose.most).cost() * workload.tick_s / 3600
    total = items.weight.sum()
    return Clairvoyant(
        asked=asked,
        site=site,
        figures=figures(site, promise_s),
        least_late_share=float(items.weight[items.must_be_late].sum() / total) if total else 0.0,
        fewest_hours=fewest,
    )


def _mended(ready: Ints, tube: Tube, items: Items, workload: Workload, terms: Terms) -> tuple[Ints, Site]:
    """What to ask for, played. What rounding made late by seconds gets an instance more while it waits."""
    for before in range(MENDS + 1):
        asked = _asked(ready, tube.lead)
        site = play(workload, terms, Planned(asked, workload.tick_s), 1)
        late = items.late(site.served_s[:, 0] / workload.tick_s)
        if not late.any() or before == MENDS:
            break
        more = np.zeros(len(ready) + 1, dtype=np.int64)
        np.add.at(more, np.maximum(items.arrives[late].astype(np.int64) - before, 0), 1)
        np.add.at(more, np.minimum(items.by[late].astype(np.int64) + 1, len(ready)), -1)
        ready = np.minimum(ready + (np.cumsum(more)[:-1] > 0), tube.most)
    return asked, site


def _asked(ready: Ints, lead: int) -> Ints:
    """What is to be asked for, so that so many are ready: each a cold start (`lead` ticks) before it is needed."""
    ahead = np.concatenate((ready, np.full(lead, ready[-1])))
    return sliding_window_view(ahead, lead + 1).max(axis=1)


def _enough(tube: Tube, least: int) -> int:
    """So many instances as a good schedule uses at most: somewhat more than it cannot do without."""
    few, many = max(tube.at_start, least), tube.most
    while few < many:
        middle = (few + many) // 2
        if reaches(tube, middle):
            many = middle
        else:
            few = middle + 1
    return min(tube.most, many + 2 + many // 4)


class _Programme:
    """Costs are in instance-ticks. A value: the least cost from an edge on, by instances that served in the tick
    before (rows, from `least` on) and by work served so far (columns, from the tube's floor on). Values are kept less
    the least of them, so that they stay small."""

    def __init__(self, tube: Tube, terms: Terms, workload: Workload, most: int) -> None:
        self.tube, self.ticks = tube, workload.ticks
        self.least = min(terms.min, tube.at_start)
        self.counts = np.arange(self.least, most + 1)
        self.up = float(tube.lead)
        holding_s = workload.service_s / 2 if tube.safe else 0.0
        self.down = (terms.release_s + holding_s) / workload.tick_s
        self.serving = self.counts[:, None].astype(np.float32)
        self.rise = np.float32(self.up) * self.serving
        self.fall = np.float32(self.down) * self.serving
        self.forbidden = max(0, terms.min - self.least)

    def cost(self) -> float:
        value, total = self._end(), 0.0
        for tick in range(self.ticks - 1, -1, -1):
            value = self._before(tick, value)
            total += self._level(value)
        return total + float(value[self.tube.at_start - self.least, 0])

    def schedule(self) -> Ints:
        """Instances that serve in each tick."""
        value, kept = self._end(), {self.ticks: self._end()}
        for tick in range(self.ticks - 1, -1, -1):
            value = self._before(tick, value)
            self._level(value)
            if tick % KEPT == 0:
                kept[tick] = value
        ready = np.zeros(self.ticks, dtype=np.int64)
        row, served = self.tube.at_start - self.least, int(self.tube.low[0])
        for begin, end in pairwise(sorted(kept)):
            values = [kept[end]]
            for tick in range(end - 1, begin, -1):
                values.append(self._before(tick, values[-1]))
                self._level(values[-1])
            for tick in range(begin, end):
                row, served = self._forward(tick, values.pop(), row, served)
                ready[tick] = self.counts[row]
        return ready

    def _end(self) -> Values:
        width = int(self.tube.high[-1] - self.tube.low[-1]) + 1
        return np.zeros((len(self.counts), width), dtype=np.float32)

    @staticmethod
    def _level(value: Values) -> float:
        least = float(value.min())
        value -= np.float32(least)
        return least

    def _after(self, tick: int, value: Values, begin: int, width: int, shift: int) -> Values:
        """Cost from `tick` on, a row for each count that serves in it; in column j, work of `begin` + j and `shift`
        units for each that serves will be served at its end, if it has arrived."""
        low, counts = int(self.tube.low[tick + 1]), self.counts
        first = begin + shift * int(counts[0]) - low
        last = begin + width - 1 + shift * int(counts[-1]) - low
        before = max(0, -first)
        padded = np.empty((len(counts), before + max(last + 1, value.shape[1])), dtype=np.float32)
        padded[:, :before] = np.inf  # too little: something would be late
        padded[:, before : before + value.shape[1]] = value
        padded[:, before + value.shape[1] :] = value[:, -1:]  # no more can be served than has arrived
        cost: Values = _slanted(padded[:, before + first :], width, shift) + self.serving
        if tick >= self.tube.lead:
            cost[: self.forbidden] = np.inf
        return cost

    def _before(self, tick: int, value: Values) -> Values:
        """Values at the edge before `tick`, from those at the edge after it."""
        tube = self.tube
        begin = int(tube.low[tick])
        width = int(tube.high[tick]) - begin + 1
        stay = self._after(tick, value, begin, width, tube.unit)
        fewer: Values = np.minimum.accumulate(stay - self.fall, axis=0) + self.fall
        if tick < tube.lead:
            return fewer
        lost = tube.unit - tube.joining
        if lost:
            # Columns of what would be served if those that stay also lost a part, as those do that join in this tick:
            # that is the same however many join.
            span = lost * (len(self.counts) - 1)
            stay = self._after(tick, value, begin + lost * self.least, width + span, tube.joining)
        more = np.minimum.accumulate((stay + self.rise)[::-1], axis=0)[::-1] - self.rise
        return np.minimum(fewer, _slanted(more, width, lost))

    def _forward(self, tick: int, value: Values, row: int, served: int) -> tuple[int, int]:
        """The best number for `tick`, and the work served at its end."""
        tube, moved = self.tube, np.arange(len(self.counts)) - row
        joined = np.maximum(moved, 0)
        supply = tube.unit * (self.counts - joined) + tube.joining * joined
        low, high = int(tube.low[tick + 1]), int(tube.high[tick + 1])
        column = np.minimum(served + supply, high) - low
        cost = value[np.arange(len(column)), np.maximum(column, 0)] + self.counts
        cost = cost + self.up * joined + self.down * np.maximum(-moved, 0)
        cost[column < 0] = np.inf
        if tick < tube.lead:
            cost[joined > 0] = np.inf
        else:
            cost[: self.forbidden] = np.inf
        best = int(np.argmin(cost))
        return best, min(served + int(supply[best]), high)


def _slanted(rows: Values, width: int, shift: int) -> Values:
    """`width` columns of each row, from column 0 in the first row and `shift` columns further in each that follows."""
    down, right = rows.strides
    return as_strided(rows, (len(rows), width), (down + shift * right, right), writeable=False)
