"""Our own decision as a rule of the simulator: the function of production, on snapshots as the app makes them."""

import math
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np

from shared.decisions import scaling
from shared.decisions.arbitration import Subject, fold
from shared.domain import Decision, Fresh, Intent, Measurement, Missing, ScalingMemory, ScalingSnapshot
from shared.policy.scaling import Scaling
from shared.simulation.site import Seen, Terms
from shared.simulation.workload import Ints

TARGET = "a-deployment"
SOURCE = "simulation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What one look came to: what the loop wanted, and what arbitration made of it."""

    at_s: float
    intents: tuple[Intent, ...]
    decision: Decision

    @property
    def numbers(self) -> dict[str, float]:
        return {name: number for intent in self.intents for name, number in intent.numbers.items()}


@dataclass(slots=True)
class Ours:
    """One lane. Decides at every tick; where a change is refused until the one before is over, it acts when it may.

    `decide` and `after_change` are looked up in `shared.decisions.scaling` at each call. `decided` has every look if
    `keep` is set, else the changes only.
    """

    policy: Scaling
    terms: Terms
    starts_at: datetime
    keep: bool = False
    memory: ScalingMemory = field(default_factory=ScalingMemory)
    decided: list[Decided] = field(default_factory=list)
    _count: int = 0

    def wanted(self, seen: Seen) -> Ints:
        now = self.starts_at + timedelta(seconds=seen.now_s)
        capacity = int(seen.capacity[0])
        busy = self.terms.one_operation and bool(seen.in_operation[0])
        intents, self.memory = scaling.decide(self._snapshot(seen, now, busy=busy), self.memory, self.policy, now)
        subject = Subject(current=capacity, policy_version=SOURCE, decisions=self._count)
        decision = fold(TARGET, "capacity", subject, intents, now)
        acts = decision.changes and not busy  # as in the app: the look after the operation's end knows better
        if acts:
            self._count += 1
            self.memory = scaling.after_change(self.memory, decision)
        if acts or self.keep:
            self.decided.append(Decided(at_s=seen.now_s, intents=intents, decision=decision))
        return np.array([decision.to if acts else capacity], dtype=np.int64)

    def _snapshot(self, seen: Seen, now: datetime, *, busy: bool) -> ScalingSnapshot:
        capacity = int(seen.capacity[0])
        metric_at = self.starts_at + timedelta(seconds=seen.metric_at_s)
        return ScalingSnapshot(
            target=TARGET,
            taken_at=now,
            depth=Fresh(value=round(float(seen.depth[0])), at=now, source=SOURCE),
            arrivals_per_s=_metric(float(seen.arrivals_per_s[0]), metric_at),
            completions_per_s=_metric(float(seen.completions_per_s[0]), metric_at),
            capacity=Fresh(value=capacity, at=now, source=SOURCE),
            ready=_metric(float(seen.metric_ready[0]), metric_at),
            quota_headroom=Fresh(value=max(0, self.terms.quota - capacity), at=now, source=SOURCE),
            dead_letters=Fresh(value=0.0, at=now, source=SOURCE),
            ordered=capacity if busy else None,
            provisioning_state="Updating" if busy else "Succeeded",
        )


def _metric(value: float, at: datetime) -> Measurement:
    if math.isnan(value):
        return Missing(reason="no complete interval was told", source=SOURCE)
    return Fresh(value=value, at=at, source=SOURCE)
