"""What a rule sees of a site."""

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from shared.simulation.workload import Floats, Ints

if TYPE_CHECKING:
    from shared.simulation.site import Site

type Bools = NDArray[np.bool_]


def _none() -> Bools:
    return np.zeros(1, dtype=np.bool_)


@dataclass(frozen=True, kw_only=True, eq=False)
class Seen:
    """What a rule may see at the start of a tick; arrays have a value a lane, NaN is missing.

    `depth` (waiting and in service), `in_service`, `capacity` (asked for), `ready` (serving) and `in_operation` (an
    order or a release is not over) are current. The rest are metrics of the minute (or tick) that ended at
    `metric_at_s`: the depth at its end, rates in items a second, the ready instances and their busy share.
    """

    now_s: float
    depth: Floats
    in_service: Floats
    capacity: Ints
    ready: Ints
    metric_at_s: float
    metric_depth: Floats
    arrivals_per_s: Floats
    completions_per_s: Floats
    metric_ready: Floats
    busy_share: Floats
    in_operation: Bools = field(default_factory=_none)


class Look(Seen):
    """What is seen, reckoned when it is asked for: most rules ask for little."""

    _site: "Site"
    _tick: int
    _begin: int
    _end: int
    _told: bool
    _capacity: Ints
    _ready: Ints

    def __init__(self, site: "Site") -> None:
        tick = site.tick
        end = max(0, tick - site.metric_delay_ticks)
        begin = max(0, end - site.metric_ticks)
        told = end > 0 and not site.lost[min(tick, len(site.lost) - 1)]
        # At once, because a frozen object's attributes are set slowly.
        self.__dict__.update(
            _site=site, _tick=tick, _begin=begin, _end=end, _told=told, _capacity=site.capacity, _ready=site.ready
        )

    @property
    def now_s(self) -> float:
        return self._tick * self._site.workload.tick_s

    @property
    def depth(self) -> Floats:
        depth: Floats = self._site.depth[self._tick]
        return depth

    @property
    def in_service(self) -> Floats:
        in_service: Floats = self._site.in_service[self._tick]
        return in_service

    @property
    def capacity(self) -> Ints:
        return self._capacity

    @property
    def ready(self) -> Ints:
        return self._ready

    @property
    def in_operation(self) -> Bools:
        return self._site.in_operation

    @property
    def metric_at_s(self) -> float:
        return self._end * self._site.workload.tick_s

    @cached_property
    def metric_depth(self) -> Floats:
        return self._site.depth[self._end] if self._told else self._site.unseen

    @cached_property
    def arrivals_per_s(self) -> Floats:
        rate = self._site.arrived_between(self._begin, self._end) / self._span_s if self._told else math.nan
        return np.full(self._site.lanes, rate)

    @cached_property
    def completions_per_s(self) -> Floats:
        site = self._site
        return site.completed_between(self._begin, self._end) / self._span_s if self._told else site.unseen

    @cached_property
    def metric_ready(self) -> Floats:
        site = self._site
        return np.minimum.reduce(site.serving[self._begin : self._end]) if self._told else site.unseen

    @cached_property
    def busy_share(self) -> Floats:
        return self._site.busy_between(self._begin, self._end) if self._told else self._site.unseen

    @property
    def _span_s(self) -> float:
        return (self._end - self._begin) * self._site.workload.tick_s


class Lanes(Seen):
    """Some lanes of what is seen."""

    _whole: Seen
    _lanes: slice

    def __init__(self, whole: Seen, lanes: slice) -> None:
        self.__dict__.update(_whole=whole, _lanes=lanes, now_s=whole.now_s, metric_at_s=whole.metric_at_s)

    @property
    def depth(self) -> Floats:
        return self._whole.depth[self._lanes]

    @property
    def in_service(self) -> Floats:
        return self._whole.in_service[self._lanes]

    @property
    def capacity(self) -> Ints:
        return self._whole.capacity[self._lanes]

    @property
    def ready(self) -> Ints:
        return self._whole.ready[self._lanes]

    @property
    def metric_depth(self) -> Floats:
        return self._whole.metric_depth[self._lanes]

    @property
    def arrivals_per_s(self) -> Floats:
        return self._whole.arrivals_per_s[self._lanes]

    @property
    def completions_per_s(self) -> Floats:
        return self._whole.completions_per_s[self._lanes]

    @property
    def metric_ready(self) -> Floats:
        return self._whole.metric_ready[self._lanes]

    @property
    def busy_share(self) -> Floats:
        return self._whole.busy_share[self._lanes]

    @property
    def in_operation(self) -> Bools:
        return self._whole.in_operation[self._lanes]
