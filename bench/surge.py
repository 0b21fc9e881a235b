"""A surge into a queue in virtual time: the same arrivals, the same deployment, and whoever scales it.

One step is a second; messages are whole and each has its own service time; an instance serves one at a time, and only
once its cold start is over. Depth, rates and metrics are consequences of that. The scaling decision is the app's own,
unchanged, on snapshots as the estate reader would make them; the peer is `bench/scaling/peers/keda.py`, one lane of it.
"""

import heapq
import math
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

import numpy as np

from bench.scaling.peers import keda
from bench.scaling.peers.base import Bounds, looked_at
from bench.scaling.peers.hpa import SYNC_PERIOD_S
from shared.decisions import scaling
from shared.decisions.arbitration import Subject, fold
from shared.domain import Fresh, Intent, Measurement, Missing, ScalingMemory, ScalingSnapshot
from shared.policy import KnownRate, Scaling

SERVICE_S = 2.0
BASE_PER_S, SURGE_PER_S = 1.5, 7.5
MIN_INSTANCES, MAX_INSTANCES = 1, 40
SUFFICIENT = math.floor(SURGE_PER_S * SERVICE_S) + 1
"""The fewest instances with which the backlog of a surge gets smaller."""

SWEEP_S, MINUTE_S = 15, 60
ACT_S = 2
"""Seconds from our decision to the accepted PATCH; the other half of `bench/reaction.py` measures it."""
RELEASE_S = 60
"""An operation that gives instances back takes so long (assumed, for all)."""
# The rate is modulated by noise with this deviation (of its logarithm) and memory: real arrivals come in clumps.
CLUMP_SIGMA, CLUMP_MEMORY_S = 0.25, 60.0
WARM_UP_S = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A steady load, a surge of `surge_s` to five times as much, and the time afterwards."""

    cold_start_s: int
    promise_s: int
    surge_s: int
    after_s: int


class Site:
    """One queue and the deployment that serves it.

    `one_operation`: as Azure ML, it refuses a change while another runs, and a growth runs until its instances serve;
    else, as a Kubernetes Deployment, it takes any change at any time.
    """

    def __init__(self, cold_start_s: int, capacity: int, rng: random.Random, *, one_operation: bool) -> None:
        self.now_s = 0
        self.changes: list[tuple[int, int, int]] = []
        self.arrived = 0
        self.waits: list[tuple[float, float]] = []
        self.instance_s = 0
        self._cold_start_s, self._rng, self._one_operation = cold_start_s, rng, one_operation
        self._ready_at = [0] * capacity
        self._busy_until = 0
        self._waiting: deque[float] = deque()
        self._serving: list[tuple[float, float]] = []
        self._minute = [0, 0, 0]
        self._minutes: list[tuple[float, ...]] = []

    @property
    def capacity(self) -> int:
        return len(self._ready_at)

    @property
    def ready(self) -> int:
        return sum(at <= self.now_s for at in self._ready_at)

    @property
    def in_service(self) -> int:
        return len(self._serving)

    @property
    def depth(self) -> int:
        """Messages that wait or are being worked on: Service Bus's ActiveMessageCount."""
        return len(self._waiting) + len(self._serving)

    @property
    def updating(self) -> bool:
        return self.now_s < self._busy_until

    def metric(self, which: int, delay_s: int) -> tuple[float, int] | None:
        """Arrivals (0), completions (1) or ready instances (2) a second in the newest visible minute, and its end."""
        visible = (self.now_s - delay_s) // MINUTE_S
        return (self._minutes[visible - 1][which] / MINUTE_S, visible * MINUTE_S) if visible >= 1 else None

    def scale(self, to: int) -> bool:
        """Ask for `to` instances; whether that was taken."""
        if to == self.capacity or (self._one_operation and self.updating):
            return False
        self.changes.append((self.now_s, self.capacity, to))
        if to > self.capacity:
            self._ready_at += [self.now_s + self._cold_start_s] * (to - self.capacity)
            self._busy_until = self.now_s + self._cold_start_s
        else:
            self._ready_at = sorted(self._ready_at)[:to]  # those that do not serve yet go first
            self._busy_until = self.now_s + RELEASE_S
        return True

    def step(self, arriving: int) -> None:
        """Let a second pass in which so many messages arrive, at its start."""
        ready, self.arrived = self.ready, self.arrived + arriving
        self._waiting.extend([float(self.now_s)] * arriving)
        self._start(float(self.now_s), ready)
        completed = 0
        while self._serving and self._serving[0][0] <= self.now_s + 1:
            at, since = heapq.heappop(self._serving)
            self.waits.append((since, at))
            completed += 1
            self._start(at, ready)
        self.instance_s += self.capacity
        for index, count in enumerate((arriving, completed, ready)):
            self._minute[index] += count
        self.now_s += 1
        if self.now_s % MINUTE_S == 0:
            self._minutes.append(tuple(self._minute))
            self._minute = [0, 0, 0]

    def late_share(self, promise_s: float) -> float:
        """Share of all messages that were, or already are, in the queue for longer than that."""
        open_since = [*self._waiting, *(since for _, since in self._serving)]
        waited = [at - since for since, at in self.waits] + [self.now_s - since for since in open_since]
        return sum(wait > promise_s for wait in waited) / max(1, self.arrived)

    def _start(self, at: float, ready: int) -> None:
        while self._waiting and len(self._serving) < ready:
            service_s = SERVICE_S * self._rng.uniform(0.5, 1.5)
            heapq.heappush(self._serving, (at + service_s, self._waiting.popleft()))


class Scaler(Protocol):
    """Looks at the site every second and changes its capacity when it wants to."""

    def look(self, site: Site) -> None: ...


Decide = Callable[[ScalingSnapshot, ScalingMemory, Scaling, datetime], tuple[tuple[Intent, ...], ScalingMemory]]
TARGET = "a-deployment"
_EPOCH = datetime(2026, 1, 5, tzinfo=UTC)


def policy_of(scenario: Scenario) -> Scaling:
    """What our side is told; the rest are the policy's defaults."""
    return Scaling(
        min=MIN_INSTANCES,
        max=MAX_INSTANCES,
        drain_within_s=scenario.promise_s,
        service_rate=KnownRate(per_instance_per_s=1 / SERVICE_S),
        cold_start_s=scenario.cold_start_s,
    )


@dataclass(slots=True)
class Watchkeeper:
    """Sweep, decision, arbitration and act, in the order and with the delays of the app, on an Azure ML deployment."""

    policy: Scaling
    metric_delay_s: int
    decide: Decide = scaling.decide
    _memory: ScalingMemory = field(default_factory=ScalingMemory)
    _ordered: tuple[int, int] | None = None

    def look(self, site: Site) -> None:
        if self._ordered is not None and site.now_s >= self._ordered[0]:
            site.scale(self._ordered[1])
            self._ordered = None
        if site.now_s % SWEEP_S == 0:
            self._sweep(site)

    def _sweep(self, site: Site) -> None:
        now = _EPOCH + timedelta(seconds=site.now_s)
        in_flight = site.updating or self._ordered is not None
        seen = self._snapshot(site, now, in_flight=in_flight)
        intents, self._memory = self.decide(seen, self._memory, self.policy, now)
        if in_flight:  # as in the app: the next look after its end knows better
            return
        decision = fold(TARGET, "capacity", Subject(current=site.capacity, policy_version="bench"), intents, now)
        if decision.changes:
            self._memory = scaling.after_change(self._memory, decision)
            self._ordered = (site.now_s + ACT_S, decision.to)

    def _snapshot(self, site: Site, now: datetime, *, in_flight: bool) -> ScalingSnapshot:
        def fresh(value: float) -> Fresh:
            return Fresh(value=float(value), at=now, source="bench")

        ordered = self._ordered[1] if self._ordered else site.capacity
        return ScalingSnapshot(
            target=TARGET,
            taken_at=now,
            depth=fresh(site.depth),
            arrivals_per_s=self._metric(site, 0),
            completions_per_s=self._metric(site, 1),
            capacity=fresh(site.capacity),
            ready=self._metric(site, 2),
            quota_headroom=fresh(MAX_INSTANCES),
            dead_letters=fresh(0),
            ordered=ordered if in_flight else None,
            provisioning_state="Updating" if site.updating else "Succeeded",
        )

    def _metric(self, site: Site, which: int) -> Measurement:
        seen = site.metric(which, self.metric_delay_s)
        if seen is None:
            return Missing(reason="no complete interval yet", source="bench")
        value, at_s = seen
        return Fresh(value=value, at=_EPOCH + timedelta(seconds=at_s), source="bench")


class KedaWithHpa:
    """The peer on one Service Bus queue, looking every 15 s as the HPA does; `phase_s` is when."""

    def __init__(self, message_count: int, phase_s: int) -> None:
        bounds = Bounds(tick_s=SYNC_PERIOD_S, min=MIN_INSTANCES, max=MAX_INSTANCES)
        self._rule, self._phase_s = keda.KedaWithHpa(bounds, [message_count]), phase_s

    def look(self, site: Site) -> None:
        if (site.now_s - self._phase_s) % SYNC_PERIOD_S == 0:
            seen = looked_at(
                site.now_s,
                depth=np.array([float(site.depth)]),
                capacity=np.array([site.capacity]),
                ready=np.array([site.ready]),
                in_service=np.array([float(site.in_service)]),
            )
            site.scale(int(self._rule.wanted(seen)[0]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One run. Seconds count from the start of the surge; 0: had enough instances by then; inf: never."""

    first_growth_s: float
    sufficient_s: float
    late_pct: float
    instance_hours: float
    changes: float


def arrivals(scenario: Scenario, rng: random.Random) -> tuple[list[int], int]:
    """Messages of each second, and the second in which the surge starts (anywhere in a minute)."""
    starts_s = WARM_UP_S + rng.randrange(MINUTE_S)
    ends_s = starts_s + scenario.surge_s
    keep, clump, counts = math.exp(-1 / CLUMP_MEMORY_S), 0.0, []
    for t in range(ends_s + scenario.after_s):
        clump = keep * clump + rng.gauss(0, CLUMP_SIGMA * math.sqrt(1 - keep * keep))
        mean = SURGE_PER_S if starts_s <= t < ends_s else BASE_PER_S
        counts.append(_poisson(mean * math.exp(clump - CLUMP_SIGMA**2 / 2), rng))
    return counts, starts_s


def play(scenario: Scenario, scaler: Scaler, seed: int, *, one_operation: bool) -> tuple[Site, Figures]:
    """The site after the scenario, and the run's figures. All scalers get the arrivals of the seed."""
    counts, starts_s = arrivals(scenario, random.Random(f"arrivals {seed}"))
    capacity = math.ceil(BASE_PER_S * SERVICE_S * 1.2)
    site = Site(scenario.cold_start_s, capacity, random.Random(f"service {seed}"), one_operation=one_operation)
    at_start = capacity
    for count in counts:
        if site.now_s == starts_s:
            at_start = site.capacity
        scaler.look(site)
        site.step(count)
    return site, _figures(site, scenario, starts_s, at_start)


def _figures(site: Site, scenario: Scenario, starts_s: int, at_start: int) -> Figures:
    changes = [(at_s - starts_s, before, after) for at_s, before, after in site.changes if at_s >= starts_s]
    growths: Sequence[int] = [at_s for at_s, before, after in changes if after > before]
    reached = [at_s for at_s, _, after in changes if after >= SUFFICIENT]
    had_enough = at_start >= SUFFICIENT
    return Figures(
        first_growth_s=0 if had_enough else min(growths, default=math.inf),
        sufficient_s=0 if had_enough else min(reached, default=math.inf),
        late_pct=100 * site.late_share(scenario.promise_s),
        instance_hours=site.instance_s / 3600,
        changes=len(site.changes),
    )


def _poisson(mean: float, rng: random.Random) -> int:
    """Knuth's method; fine for small means."""
    limit, count, product = math.exp(-mean), 0, rng.random()
    while product > limit:
        count += 1
        product *= rng.random()
    return count
