"""A queue of single items and single instances, exact to the event: what the fluid model is held against."""

import heapq
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from shared.simulation.site import Terms
from shared.simulation.workload import Floats, Workload


@dataclass(slots=True, kw_only=True)
class Queue:
    """First in, first out; an instance has one item at a time. What is started is finished, also by one that leaves.

    `ask` is called at the start of each tick with the items there (waiting or in service) and the instances asked for.
    """

    items: Sequence[tuple[float, float]]
    tick_s: float
    ticks: int
    terms: Terms
    ask: Callable[[int, int], int]
    delays_s: list[float] = field(default_factory=list)
    depth: list[int] = field(default_factory=list)
    served_s: float = 0.0
    instance_s: float = 0.0
    _idle: int = 0
    _leaving: int = 0
    _busy: list[tuple[float, float]] = field(default_factory=list)
    _joining: list[float] = field(default_factory=list)
    _waiting: deque[tuple[float, float]] = field(default_factory=deque)

    def run(self) -> None:
        self._idle, following = self.terms.at_start, 0
        for tick in range(self.ticks):
            begins_s = tick * self.tick_s
            self._scale(begins_s)
            while following < len(self.items) and self.items[following][0] < begins_s + self.tick_s:
                self._until(self.items[following][0])
                self._waiting.append(self.items[following])
                self._start(self.items[following][0])
                following += 1
            self._until(begins_s + self.tick_s)
            self.instance_s += self._asked * self.tick_s
            self.depth.append(len(self._waiting) + len(self._busy))

    @property
    def _asked(self) -> int:
        return self._idle + len(self._busy) - self._leaving + len(self._joining)

    def _scale(self, now_s: float) -> None:
        before = self._asked
        to = min(max(self.ask(len(self._waiting) + len(self._busy), before), self.terms.min), self.terms.max)
        self._joining += [now_s + self.terms.cold_start_s] * (to - before)
        for _ in range(before - to):
            self.instance_s += self.terms.release_s
            if self._joining:
                self._joining.remove(max(self._joining))
            elif self._idle:
                self._idle -= 1
            else:
                self._leaving += 1

    def _until(self, until_s: float) -> None:
        """Let instances join and items end, in the order in which they do."""
        while True:
            joins_s = min(self._joining, default=np.inf)
            ends_s = self._busy[0][0] if self._busy else np.inf
            now_s = min(joins_s, ends_s)
            if now_s > until_s:
                return
            if joins_s <= ends_s:
                self._joining.remove(joins_s)
                self._idle += 1
            else:
                heapq.heappop(self._busy)
                if self._leaving:
                    self._leaving -= 1
                    self.instance_s += now_s % self.tick_s
                else:
                    self._idle += 1
            self._start(now_s)

    def _start(self, now_s: float) -> None:
        while self._idle and self._waiting:
            self._idle -= 1
            arrived_s, service_s = self._waiting.popleft()
            heapq.heappush(self._busy, (now_s + service_s, arrived_s))
            self.delays_s.append(now_s + service_s - arrived_s)
            self.served_s += service_s


def single_items(workload: Workload, rng: np.random.Generator, deviation: float) -> list[tuple[float, float]]:
    """Arrival and service time of each: anywhere in its tick, and log-normal around the mean with this deviation."""
    arrived = [
        np.sort(rng.random(int(count)) + tick) * workload.tick_s for tick, count in enumerate(workload.items) if count
    ]
    at_s: Floats = np.concatenate(arrived)
    service_s = workload.service_s * np.exp(deviation * rng.standard_normal(len(at_s)) - deviation**2 / 2)
    return list(zip(at_s.tolist(), service_s.tolist(), strict=True))


def workload_of_items(items: Sequence[tuple[float, float]], tick_s: float, ticks: int) -> Workload:
    """The same items as the fluid model takes them."""
    at_s, service_s = np.array(items).T
    tick = (at_s / tick_s).astype(np.int64)
    return Workload(
        name="items",
        tick_s=tick_s,
        items=np.bincount(tick, minlength=ticks).astype(np.float64),
        work_s=np.bincount(tick, weights=service_s, minlength=ticks),
        service_s=float(service_s.mean()),
    )
