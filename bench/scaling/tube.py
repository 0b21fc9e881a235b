"""Between which bounds the work served must run, so that no more is late than must be."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.simulation.play import PARTS
from shared.simulation.site import Terms
from shared.simulation.workload import Floats, Ints, Workload

SLACK_PARTS = 12
"""So many parts, at least, has the time that an item may wait; work is counted so finely."""
FINEST = 8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tube:
    """Work served at each edge of a tick lies in `low` to `high`, in `unit`-ths of an instance's work of a tick.

    An order brings its instance `lead` ticks later; in the tick in which it joins it serves `joining` units.
    `most` instances are allowed.
    """

    low: Ints
    high: Ints
    unit: int
    joining: int
    lead: int
    at_start: int
    most: int
    safe: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Items:
    """Parts of the arrivals of each tick, as the figures judge them. Work (from the start, in instance-ticks) that is
    done before each is started; when it arrives and by when it must be started, in ticks; weight in items; whether
    it is started in time, and whether at all, if all that is allowed is ordered at once. `undecided`: it cannot be
    started before the end, and has not waited too long by then."""

    work: Floats
    arrives: Floats
    by: Floats
    weight: Floats
    in_time: NDArray[np.bool_]
    startable: NDArray[np.bool_]
    undecided: NDArray[np.bool_]

    @property
    def must_be_late(self) -> NDArray[np.bool_]:
        return ~self.in_time & ~self.undecided

    def late(self, served: Floats) -> NDArray[np.bool_]:
        """Those that could be in time and are not, where so much work was served at the edges (in instance-ticks)."""
        started = np.interp(self.work, served, np.arange(len(served)), right=np.inf)
        return self.in_time & (started > self.by)


def items_of(workload: Workload, arrived: Floats, soonest: Floats, promise_s: float) -> Items:
    ticks, tick_s = workload.ticks, workload.tick_s
    shares = (np.arange(PARTS) + 0.5) / PARTS
    work = (arrived[:-1, None] + np.diff(arrived)[:, None] * shares).ravel()
    own_s = np.divide(workload.work_s, workload.items, out=np.zeros(ticks), where=workload.items > 0)
    spare = np.repeat((promise_s - own_s) / tick_s, PARTS)
    arrives = (np.arange(ticks)[:, None] + shares).ravel()
    by = arrives + spare + 1e-9
    earliest = np.interp(work, soonest, np.arange(ticks + 1), right=np.inf)
    weight = np.repeat(workload.items / PARTS, PARTS)
    in_time = (earliest <= by) & (spare >= 0) & (weight > 0)
    startable = np.isfinite(earliest)
    return Items(
        work=work,
        arrives=arrives,
        by=by,
        weight=weight,
        in_time=in_time,
        startable=startable,
        undecided=~startable & ((ticks - arrives) * tick_s <= promise_s),
    )


def tube_of(workload: Workload, terms: Terms, promise_s: float, *, safe: bool) -> tuple[Tube, Items]:
    """The tube, and the items that are or are not in time whatever is done.

    `safe`: rounded so that a course within it is possible and in time; else so that each course that is so lies in it.
    """
    tick_s = workload.tick_s
    unit = int(np.clip(np.ceil(SLACK_PARTS * tick_s / max(promise_s - workload.service_s, 1.0)), 1, FINEST))
    whole, rest_s = divmod(max(terms.cold_start_s, 1.0), tick_s)
    lead, joins = int(whole), 1 - rest_s / tick_s
    if rest_s and unit % 2:
        unit += 1
    most = max(terms.min, min(terms.max, max(terms.quota, terms.min)))
    at_start = min(terms.at_start, most)
    supply = _all_at_once(workload.ticks, at_start, most, lead, joins)
    arrived = np.concatenate(([0.0], np.cumsum(workload.work_s))) / tick_s
    soonest = _served(arrived, supply)
    items = items_of(workload, arrived, soonest, promise_s)
    due = _due(items, soonest, safe=safe)
    round_down, round_up = (np.floor, np.ceil) if safe else (np.ceil, np.floor)
    joining = int(round_down(unit * joins - (1e-9 if not safe else -1e-9)))
    whole_supply = np.full(workload.ticks, unit * most)
    whole_supply[:lead] = unit * at_start
    if lead < workload.ticks:
        whole_supply[lead] = unit * at_start + joining * (most - at_start)
    high = _served(round_down(arrived * unit + (1e-7 if safe else -1e-7)), whole_supply)
    needed = np.minimum(round_up(due * unit - (1e-7 if safe else -1e-7)), high)
    low = np.maximum(_latest(needed, whole_supply), 0)
    tube = Tube(
        low=low.astype(np.int64),
        high=high.astype(np.int64),
        unit=unit,
        joining=joining,
        lead=lead,
        at_start=at_start,
        most=most,
        safe=safe,
    )
    return tube, items


def reaches(tube: Tube, most: int) -> bool:
    """Whether `most` instances, ordered at once, would do."""
    joins = tube.joining / tube.unit
    supply = tube.unit * _all_at_once(len(tube.low) - 1, tube.at_start, most, tube.lead, joins)
    return bool((_served(tube.high.astype(np.float64), supply) >= tube.low).all())


def _all_at_once(ticks: int, at_start: int, most: int, lead: int, joins: float) -> Floats:
    supply = np.full(ticks, float(most))
    supply[:lead] = at_start
    if lead < ticks:
        supply[lead] = at_start + (most - at_start) * joins
    return supply


def _served(arrived: Floats, supply: Floats) -> Floats:
    """Work served at each edge, where all of the supply of each tick is used that can be."""
    served = np.zeros(len(arrived))
    for tick in range(len(supply)):
        served[tick + 1] = min(arrived[tick + 1], served[tick] + supply[tick])
    return served


def _latest(needed: Floats, supply: Floats) -> Floats:
    """The least work served at each edge from which what is needed later can still be reached."""
    low = needed.copy()
    for tick in range(len(supply) - 1, -1, -1):
        low[tick] = max(low[tick], low[tick + 1] - supply[tick])
    return low


def _due(items: Items, soonest: Floats, *, safe: bool) -> Floats:
    """Work that must be started by each edge. All that can be started at all must be by the end: what is late is not
    left for ever."""
    ticks = len(soonest) - 1
    work, by = items.work[items.in_time], items.by[items.in_time]
    before = np.minimum(np.floor(by), ticks).astype(np.int64)
    after = np.minimum(before + 1, ticks)
    due = np.zeros(ticks + 1)
    if safe:
        np.maximum.at(due, before, work)
        # Those that nobody can start by the edge before: by their moment, if the tick goes on as it begins.
        late = work > soonest[before]
        part = np.maximum(by[late] - before[late], 1e-9)
        begun = soonest[before[late]]
        np.maximum.at(due, after[late], begun + (work[late] - begun) / part)
    else:
        np.maximum.at(due, after, work)
    due[-1] = max(due[-1], items.work[items.startable].max(initial=0.0))
    return np.maximum.accumulate(due)
