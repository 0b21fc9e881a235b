"""A queue, its instances and Azure's delays as a few lines of arithmetic: the scaling decision in a closed loop.

Arrivals are rates, messages are a fluid, one step is a second. Instances serve after their cold start, metrics are sums
of a whole minute and appear late, and nothing is decided while an operation runs (`one_by_one`). Depth and rates are
consequences of that, never scripted.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

from shared.decisions.arbitration import Subject, fold
from shared.decisions.scaling import after_change, decide
from shared.domain import Decision, Measurement, ScalingMemory
from shared.policy import Scaling
from tests.decisions.builders import TARGET, fresh, later, missing, snapshot

SWEEP_S = 15


@dataclass(slots=True)
class Plant:
    """The world, and the loop that watches it.

    `arrivals` gives messages a second at a second; `noise` makes them random with that rate as mean; `dispatcher_limit`
    bounds the messages a second that are taken from the queue. `one_by_one`: Azure takes no change during another.
    `in_whole_messages`: a message counts as completed when all of it is. No metric appears after `metrics_until`.
    `price_usd_per_hour` is what Azure says of one instance.
    """

    rules: Scaling
    arrivals: Callable[[float], float]
    cold_start_s: int
    metric_delay_s: int = 60
    service_rate_per_s: float = 1.0
    capacity: int = 1
    noise: random.Random | None = None
    dispatcher_limit: Callable[[float], float] = lambda _: float("inf")
    one_by_one: bool = True
    in_whole_messages: bool = False
    metrics_until: int = 10**9
    price_usd_per_hour: float | None = None

    t: int = 0
    depth: float = 0.0
    memory: ScalingMemory = field(default_factory=ScalingMemory)
    decisions: list[Decision] = field(default_factory=list)
    rules_seen: list[str] = field(default_factory=list)
    depths: list[float] = field(default_factory=list)
    capacities: list[int] = field(default_factory=list)
    came: list[float] = field(default_factory=list)
    done: list[float] = field(default_factory=list)
    _ready_at: list[int] = field(default_factory=list)
    _busy_until: int = 0
    _desired: Decision | None = None
    _minute: tuple[float, float, float] = (0.0, 0.0, 0.0)
    _minutes: list[tuple[float, float, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """As many instances as `capacity` says, all serving."""
        self._ready_at = [0] * self.capacity

    def run(self, seconds: int) -> "Plant":
        for _ in range(seconds):
            if self.t % SWEEP_S == 0:
                self._look()
            self._carry_out()
            self._step()
        return self

    @property
    def now(self) -> datetime:
        return later(self.t)

    @property
    def ready(self) -> int:
        return sum(at <= self.t for at in self._ready_at)

    @property
    def sizes(self) -> list[int]:
        """The capacity after each decision, the first one before it."""
        return [self.decisions[0].current, *(d.to for d in self.decisions)] if self.decisions else []

    @property
    def reversals(self) -> int:
        """How often growth turned to shrinking or back."""
        directions = [decision.to > decision.current for decision in self.decisions]
        return sum(a != b for a, b in pairwise(directions))

    def longest_wait_s(self) -> int:
        """Of all messages that came, first in first out; those that still wait have waited until now."""
        served_at, longest = 0, 0
        for came_at in range(0, self.t, 15):
            while served_at < self.t and self.done[served_at] < self.came[came_at] - 1e-6:
                served_at += 1
            longest = max(longest, served_at - came_at)
        return longest

    def _step(self) -> None:
        rate = self.arrivals(self.t)
        came = float(_poisson(rate, self.noise)) if self.noise else rate
        able = min(self.ready * self.service_rate_per_s, self.dispatcher_limit(self.t))
        done = min(self.depth + came, able)
        self.depth += came - done
        self.came.append((self.came[-1] if self.came else 0.0) + came)
        self.done.append((self.done[-1] if self.done else 0.0) + done)
        if self.in_whole_messages:
            done = int(self.done[-1]) - int(self.done[-1] - done)
        sums = self._minute
        self._minute = (sums[0] + came, sums[1] + done, sums[2] + self.ready)
        self.t += 1
        if self.t % 60 == 0:
            self._minutes.append(self._minute)
            self._minute = (0.0, 0.0, 0.0)
        self.depths.append(self.depth)
        self.capacities.append(self.capacity)

    def _metric(self, which: int) -> Measurement:
        visible = (self.t - self.metric_delay_s) // 60
        if visible < 1 or self.t > self.metrics_until:
            return missing("no complete interval yet")
        return fresh(self._minutes[visible - 1][which] / 60, later(visible * 60))

    def _look(self) -> None:
        running = self.t < self._busy_until
        seen = snapshot(
            self.now,
            depth=round(self.depth),
            arrivals_per_s=self._metric(0),
            completions_per_s=self._metric(1),
            capacity=self.capacity,
            ready=self._metric(2),
            ordered=self.capacity if running else None,
            provisioning_state="Updating" if running else "Succeeded",
            price_usd_per_hour=self.price_usd_per_hour,
        )
        intents, self.memory = decide(seen, self.memory, self.rules, self.now)
        if running and self.one_by_one:
            return
        decision = fold(TARGET, "capacity", Subject(current=self.capacity, policy_version="v"), intents, self.now)
        self.rules_seen.append(decision.rule)
        if not decision.changes:
            if intents[0].kind != "hold":
                self._desired = None
        elif self._desired is None or decision.plan_hash != self._desired.plan_hash:
            self.memory = after_change(self.memory, decision)
            self.decisions.append(decision)
            self._desired = decision

    def _carry_out(self) -> None:
        if self._desired is None or (self.one_by_one and self.t < self._busy_until):
            return
        to, self._desired = self._desired.to, None
        if to > self.capacity:
            self._ready_at += [self.t + self.cold_start_s] * (to - self.capacity)
            self._busy_until = self.t + self.cold_start_s
        else:
            self._ready_at = sorted(self._ready_at)[:to]
            self._busy_until = self.t + 30
        self.capacity = to


def _poisson(mean: float, random_: random.Random) -> int:
    """Knuth's method; fine for small means."""
    limit, count, product = 2.718281828459045**-mean, 0, random_.random()
    while product > limit:
        count += 1
        product *= random_.random()
    return count


def surge(base: float, top: float, start_s: float, end_s: float) -> Callable[[float], float]:
    return lambda t: top if start_s <= t < end_s else base
