"""Small loads and rules for the simulator's tests."""

from dataclasses import dataclass

import numpy as np

from shared.policy import KnownRate, Scaling
from shared.simulation.ours import Ours
from shared.simulation.site import Seen, Terms
from shared.simulation.workload import Floats, Ints, Workload


def workload_of(items: Floats, tick_s: float = 60.0, service_s: float = 20.0) -> Workload:
    return Workload(name="test", tick_s=tick_s, items=items, work_s=items * service_s, service_s=service_s)


def daily(days: float = 2.0, seed: int = 1, mean_per_s: float = 0.2) -> Workload:
    """A daily season in minutes, four instances' worth of work on average."""
    rng = np.random.default_rng(seed)
    at_s = np.arange(round(days * 1440)) * 60.0
    rate = mean_per_s * (1 + 0.7 * np.sin(2 * np.pi * at_s / 86_400))
    return workload_of(rng.poisson(rate * 60.0).astype(np.float64))


@dataclass(slots=True)
class PerTarget:
    """As many instances as the depth over a target of its own in each lane."""

    targets: Floats

    def wanted(self, seen: Seen) -> Ints:
        return np.ceil(seen.depth / self.targets).astype(np.int64)


@dataclass(slots=True)
class Plan:
    """What a plan says for each tick, in each lane."""

    plan: Ints
    _tick: int = 0

    def wanted(self, seen: Seen) -> Ints:
        row: Ints = self.plan[min(self._tick, len(self.plan) - 1)]
        self._tick += 1
        return row


def ours_of(workload: Workload, terms: Terms, promise_s: float = 600.0, *, keep: bool = False) -> Ours:
    policy = Scaling(
        min=terms.min,
        max=terms.max,
        drain_within_s=promise_s,
        cold_start_s=terms.cold_start_s,
        service_rate=KnownRate(per_instance_per_s=1 / workload.service_s),
    )
    return Ours(policy=policy, terms=terms, starts_at=workload.starts_at, keep=keep)
