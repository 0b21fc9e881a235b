"""The site that is scaled: a queue and instances, many variants (lanes) of it side by side on the same arrivals.

A fluid model in ticks. Work is served first in, first out, by the instances that are ready; an item that is started is
finished, also by an instance that is given up. Instances are billed from the request until they are gone.
`tests/simulation/test_against_events.py` holds it against a simulation of single items.
"""

import math
from dataclasses import dataclass

import numpy as np

from shared.simulation.seen import Bools, Look, Seen
from shared.simulation.workload import Floats, Ints, Workload

__all__ = ["Seen", "Site", "Terms"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Under which the site runs. Times in seconds, shares of 1.

    An order's cold start is log-normal around `cold_start_s` with deviation `cold_start_sigma` of its logarithm;
    `slow_share` of them take three times as long and `fail_share` bring nothing, but are billed until they fail.
    `one_operation`: as Azure ML, which refuses a change until the one before it is over.
    """

    cold_start_s: float
    cold_start_sigma: float = 0.15
    min: int = 1
    max: int = 40
    quota: int = 1000
    at_start: int = 1
    release_s: float = 60.0
    metric_delay_s: float = 60.0
    lost_share: float = 0.0
    fail_share: float = 0.0
    slow_share: float = 0.0
    one_operation: bool = False


SLOW_FACTOR = 3.0
# Azure's metrics are of whole minutes.
METRIC_S = 60.0
# Less than half an item is none: a fluid never gets quite empty.
NOTHING = 0.5


class Site:
    """Steps through a workload; what happened is in its public arrays, a row a tick and a column a lane."""

    def __init__(self, workload: Workload, terms: Terms, lanes: int, seed: int = 0) -> None:
        self.workload, self.terms, self.lanes = workload, terms, lanes
        ticks, tick_s = workload.ticks, workload.tick_s
        self.tick = 0
        self.metric_ticks = max(1, round(METRIC_S / tick_s))
        self.metric_delay_ticks = round(terms.metric_delay_s / tick_s)
        self.served_s = np.zeros((ticks + 1, lanes))
        self.depth = np.zeros((ticks + 1, lanes))
        self.in_service = np.zeros((ticks + 1, lanes))
        self.asked = np.zeros((ticks, lanes), dtype=np.int64)
        self.serving = np.zeros((ticks, lanes))
        self.billed = np.zeros((ticks, lanes))
        self.cancelled = np.zeros(lanes)
        self.capacity: Ints = np.full(lanes, terms.at_start, dtype=np.int64)
        """Instances asked for and not cancelled, ready or not."""
        self.ready: Ints = self.capacity
        self.unseen: Floats = np.full(lanes, np.nan)
        self._most = min(terms.max, max(terms.quota, terms.min))
        self._arrived_s = np.concatenate(([0.0], np.cumsum(workload.work_s)))
        self._arrived = np.concatenate(([0.0], np.cumsum(workload.items)))
        # Single numbers are read faster from lists.
        self._arrived_list_s: list[float] = self._arrived_s.tolist()
        self._arrived_list: list[float] = self._arrived.tolist()
        self._started = np.zeros((ticks + 1, lanes))
        self._supply_s = np.zeros((ticks, lanes))
        self._stays = math.exp(-tick_s / workload.service_s)
        self._begun_stays = (1 - self._stays) * workload.service_s / tick_s
        self._busy_until_s = np.zeros(lanes)
        self._draw(seed)

    def _draw(self, seed: int) -> None:
        """All chance is drawn at the start and is the same in every lane."""
        terms, ticks, tick_s = self.terms, self.workload.ticks, self.workload.tick_s
        rng = np.random.default_rng(seed)
        cold = terms.cold_start_s * np.exp(terms.cold_start_sigma * rng.standard_normal(ticks))
        cold = np.where(rng.random(ticks) < terms.slow_share, SLOW_FACTOR * cold, cold)
        self._cold_s = np.maximum(cold, 1.0)
        self._fails = rng.random(ticks) < terms.fail_share
        self.lost: list[bool] = (rng.random(ticks) < terms.lost_share).tolist()
        # Rings: the row of a tick is the tick modulo their length, and is emptied once it is past.
        self._ahead = int(np.ceil(self._cold_s.max(initial=1.0) / tick_s)) + 2
        self._pending = np.zeros((self._ahead, self.lanes), dtype=np.int64)
        self._missing_s = np.zeros((self._ahead, self.lanes))
        self._doomed = np.zeros((self._ahead, self.lanes), dtype=np.int64)
        self._is_due = [False] * self._ahead
        span_s = terms.release_s + self.workload.service_s / 2
        self._leaving_ticks = max(1, int(np.ceil(span_s / tick_s)))
        self._leaving = np.zeros((self._leaving_ticks, self.lanes))
        self._leaving_until = 0

    @property
    def now_s(self) -> float:
        return self.tick * self.workload.tick_s

    @property
    def in_operation(self) -> Bools:
        return self.now_s < self._busy_until_s

    def arrived_between(self, begin: int, end: int) -> float:
        """Items that arrived from tick `begin` to before tick `end`."""
        return self._arrived_list[end] - self._arrived_list[begin]

    def completed_between(self, begin: int, end: int) -> Floats:
        done = self._started[end] - self.in_service[end]
        completed: Floats = np.maximum(done - self._started[begin] + self.in_service[begin], 0.0)
        return completed

    def busy_between(self, begin: int, end: int) -> Floats:
        """Mean share of the ready instances' time in which they worked."""
        supply_s, served_s = self._supply_s[begin:end], np.diff(self.served_s[begin : end + 1], axis=0)
        shares: Floats = np.divide(served_s, supply_s, out=np.zeros_like(supply_s), where=supply_s > 0)
        mean: Floats = np.add.reduce(shares) / len(shares)
        return mean

    def see(self) -> Seen:
        """What can be seen now, before this tick's arrivals."""
        return Look(self)

    def scale(self, wanted: Ints) -> Ints:
        """Ask for so many instances in each lane, within the limits; what is asked for afterwards."""
        before = self.capacity
        to = np.minimum(np.maximum(wanted, self.terms.min), self._most)
        if self.terms.one_operation:
            to = np.where(self.in_operation, before, to)
        change = to - before
        if change.any():
            self._order(np.maximum(change, 0))
            self._give_up(np.maximum(-change, 0))
            self.capacity = to
        return to

    def _order(self, more: Ints) -> None:
        if not more.any():
            return
        cold_s = float(self._cold_s[self.tick])
        after, rest_s = divmod(cold_s, self.workload.tick_s)
        row = (self.tick + int(after)) % self._ahead
        self._is_due[row] = True
        if self._fails[self.tick]:
            self._doomed[row] += more
        else:
            self._pending[row] += more
            self._missing_s[row] += more * rest_s
        self._busy_until_s = np.where(more > 0, self.now_s + cold_s, self._busy_until_s)

    def _give_up(self, fewer: Ints) -> None:
        """Those that are not ready go first, the last due first; a ready one finishes what it holds."""
        if not fewer.any():
            return
        unready = np.minimum(fewer, self.capacity - self.ready)
        if unready.any():
            self._cancel(unready)
        leaving = fewer - unready
        holding = np.minimum(self.in_service[self.tick] / np.maximum(self.ready, 1), 1.0) * leaving
        self.ready = self.ready - leaving
        instance_s = fewer * self.terms.release_s + holding * (self.workload.service_s / 2)
        self._leaving += instance_s / (self._leaving_ticks * self.workload.tick_s)
        self._leaving_until = self.tick + self._leaving_ticks
        self._busy_until_s = np.where(fewer > 0, self.now_s + self.terms.release_s, self._busy_until_s)

    def _cancel(self, unready: Ints) -> None:
        """So many instances in each lane that were ordered and are not ready."""
        (lanes,) = unready.nonzero()
        latest_first = ((self.tick + after) % self._ahead for after in range(self._ahead - 1, -1, -1))
        rows = np.array([row for row in latest_first if self._is_due[row]])[:, None]
        pending, doomed = self._pending[rows, lanes], self._doomed[rows, lanes]
        waiting = pending + doomed
        later = np.add.accumulate(waiting) - waiting
        gone = np.minimum(np.maximum(unready[lanes] - later, 0), waiting)
        of_doomed = np.minimum(gone, doomed)
        of_pending = gone - of_doomed
        self._doomed[rows, lanes] = doomed - of_doomed
        self._pending[rows, lanes] = pending - of_pending
        self._missing_s[rows, lanes] *= 1 - of_pending / np.maximum(pending, 1)
        self.cancelled += unready

    def step(self) -> None:
        """Let a tick pass."""
        tick, tick_s = self.tick, self.workload.tick_s
        self.asked[tick] = self.capacity
        row = tick % self._ahead
        if self._is_due[row]:
            joining = self._pending[row]
            self.serving[tick] = self.ready  # those that join in a tick do not serve all of it
            self.ready = self.ready + joining
            supply_s = self._supply_s[tick] = self.ready * tick_s - self._missing_s[row]
            self.capacity = self.capacity - self._doomed[row]
            for ring in (self._pending, self._missing_s, self._doomed):
                ring[row] = 0
            self._is_due[row] = False
        else:
            self.serving[tick] = self.ready
            supply_s = self._supply_s[tick] = self.ready * tick_s
        before_s = self.served_s[tick]
        backlog_s = self._arrived_list_s[tick + 1] - before_s
        self.served_s[tick + 1] = before_s + np.minimum(supply_s, backlog_s)
        self.billed[tick] = self.asked[tick]
        if tick < self._leaving_until:
            row = tick % self._leaving_ticks
            self.billed[tick] += self._leaving[row]
            self._leaving[row] = 0
        self._count(tick)
        self.tick += 1

    def _count(self, tick: int) -> None:
        """Items started and in service, from the work served: each is in service for the mean time."""
        upto = tick + 2
        started = np.interp(self.served_s[tick + 1], self._arrived_s[:upto], self._arrived[:upto])
        begun = started - self._started[tick]
        in_service = self.in_service[tick] * self._stays + begun * self._begun_stays
        self._started[tick + 1], self.in_service[tick + 1] = started, in_service
        depth = self._arrived_list[tick + 1] - started + in_service
        depth[depth < NOTHING] = 0.0
        self.depth[tick + 1] = depth
