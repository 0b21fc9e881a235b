"""The fluid model against a queue of single items, on the same arrivals, service times and rule.

Where they may differ: a fluid waits for no chance inside a tick, and an item's own service time is its tick's mean. A
rule that looks at the depth takes another course after a single look that differs, so loads that are scaled get wider
tolerances than those with fixed instances; both are means over seeds.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from shared.simulation.play import delays, play
from shared.simulation.site import Seen, Terms
from shared.simulation.workload import Floats, Ints
from tests.simulation.events import Queue, single_items, workload_of_items
from tests.simulation.loads import workload_of

type Ask = Callable[[float, int], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Rates in items a second and tick, service times log-normal with a deviation of their logarithm."""

    rate_per_s: Floats
    ask: Ask
    terms: Terms
    promise_s: float
    tick_s: float = 60.0
    service_s: float = 20.0
    deviation: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    late_share: float
    mean_s: float
    p99_s: float
    depth: float
    hours: float
    served_s: float


@dataclass(slots=True)
class Asking:
    ask: Ask

    def wanted(self, seen: Seen) -> Ints:
        return np.array([self.ask(float(seen.depth[0]), int(seen.capacity[0]))], dtype=np.int64)


def fixed(count: int) -> Ask:
    return lambda depth, asked: count


def per_target(target: float) -> Ask:
    """As many as the depth over the target, but fewer only once they are more than twice as many."""

    def ask(depth: float, asked: int) -> int:
        wanted = math.ceil(depth / target)
        return asked if asked / 2 - 1 <= wanted <= asked else wanted

    return ask


def both(load: Load, seed: int) -> tuple[Course, Course]:
    """The fluid's course and that of the single items."""
    rng = np.random.default_rng(seed)
    drawn = workload_of(rng.poisson(load.rate_per_s * load.tick_s).astype(np.float64), load.tick_s, load.service_s)
    items = single_items(drawn, rng, load.deviation)
    workload = workload_of_items(items, load.tick_s, drawn.ticks)
    site = play(workload, load.terms, Asking(load.ask), lanes=1)
    delay_s, weight = delays(site, 0, load.promise_s)
    started = np.isfinite(delay_s)
    fluid = Course(
        late_share=float(weight[delay_s > load.promise_s].sum() / weight.sum()),
        mean_s=float(np.average(delay_s[started], weights=weight[started])),
        p99_s=_p99(delay_s[started], weight[started]),
        depth=float(site.depth[1:, 0].mean()),
        hours=float(site.billed.sum()) * load.tick_s / 3600,
        served_s=float(site.served_s[-1, 0]),
    )
    queue = Queue(items=items, tick_s=load.tick_s, ticks=workload.ticks, terms=load.terms, ask=load.ask)
    queue.run()
    ends_s = workload.ticks * load.tick_s
    waited_s = [ends_s - arrived_s for arrived_s, _ in items[len(queue.delays_s) :]]
    unserved_s = [wait_s if wait_s <= load.promise_s else math.inf for wait_s in waited_s]
    exact_s = np.array(queue.delays_s)
    all_s = np.concatenate((exact_s, unserved_s))
    single = Course(
        late_share=float((all_s > load.promise_s).mean()),
        mean_s=float(exact_s.mean()),
        p99_s=_p99(exact_s, np.ones(len(exact_s))),
        depth=float(np.mean(queue.depth)),
        hours=queue.instance_s / 3600,
        served_s=queue.served_s,
    )
    return fluid, single


def _p99(delay_s: Floats, weight: Floats) -> float:
    order = np.argsort(delay_s)
    return float(delay_s[order][np.searchsorted(np.cumsum(weight[order]), 0.99 * weight.sum())])


def mean(courses: list[Course]) -> Course:
    return Course(**{name: float(np.mean([getattr(c, name) for c in courses])) for name in Course.__slots__})


DAY_S = 86_400
MINUTES = np.arange(1440) * 60.0
QUARTERS = np.arange(5760) * 15.0
SEASON = 0.2 * (1 + 0.7 * np.sin(2 * np.pi * MINUTES / DAY_S))


def terms(cold_start_s: float) -> Terms:
    return Terms(cold_start_s=cold_start_s, cold_start_sigma=0.0, at_start=4)


FIXED = {
    "light": Load(rate_per_s=np.full(1440, 0.12), ask=fixed(4), terms=terms(900.0), promise_s=60.0),
    "heavy": Load(rate_per_s=np.full(1440, 0.18), ask=fixed(4), terms=terms(900.0), promise_s=120.0),
    "too much, then little": Load(
        rate_per_s=np.where(MINUTES < DAY_S / 3, 0.3, 0.08), ask=fixed(4), terms=terms(900.0), promise_s=3600.0
    ),
    "long items, one instance": Load(
        rate_per_s=np.full(1440, 0.0025), ask=fixed(1), terms=terms(900.0), promise_s=1800.0, service_s=300.0
    ),
    "short ticks": Load(
        rate_per_s=np.where((QUARTERS // 1800) % 4 == 0, 0.7, 0.1),
        ask=fixed(5),
        terms=terms(180.0),
        promise_s=120.0,
        tick_s=15.0,
        service_s=10.0,
    ),
}
SCALED = {
    "season": Load(rate_per_s=SEASON, ask=per_target(5), terms=terms(900.0), promise_s=600.0),
    "bursts": Load(
        rate_per_s=np.where((MINUTES // 3600) % 4 == 0, 0.8, 0.05),
        ask=per_target(10),
        terms=terms(900.0),
        promise_s=600.0,
    ),
    "bursts, short cold start": Load(
        rate_per_s=np.where((QUARTERS // 1800) % 4 == 0, 1.8, 0.1),
        ask=per_target(10),
        terms=terms(30.0),
        promise_s=120.0,
        tick_s=15.0,
        service_s=10.0,
    ),
    "long items": Load(
        rate_per_s=SEASON / 15, ask=per_target(2), terms=terms(900.0), promise_s=1800.0, service_s=300.0
    ),
}
SEEDS = range(3)


@pytest.mark.parametrize("name", FIXED)
def test_with_fixed_instances(name: str) -> None:
    load = FIXED[name]
    runs = [both(load, seed) for seed in SEEDS]
    fluid, single = mean([f for f, _ in runs]), mean([s for _, s in runs])
    assert fluid.late_share == pytest.approx(single.late_share, abs=0.05)
    assert fluid.mean_s == pytest.approx(single.mean_s, rel=0.15, abs=load.service_s / 4)
    assert fluid.p99_s == pytest.approx(single.p99_s, rel=0.15, abs=2 * load.service_s)  # its own time
    assert fluid.depth == pytest.approx(single.depth, rel=0.15, abs=0.5)
    assert fluid.hours == pytest.approx(single.hours, rel=1e-9)
    assert fluid.served_s == pytest.approx(single.served_s, rel=0.01)


@pytest.mark.parametrize("name", SCALED)
def test_with_a_rule_that_looks_at_the_depth(name: str) -> None:
    load = SCALED[name]
    runs = [both(load, seed) for seed in SEEDS]
    fluid, single = mean([f for f, _ in runs]), mean([s for _, s in runs])
    assert fluid.late_share == pytest.approx(single.late_share, abs=0.05)
    assert fluid.mean_s == pytest.approx(single.mean_s, rel=0.2)
    assert fluid.p99_s == pytest.approx(single.p99_s, rel=0.2)
    assert fluid.depth == pytest.approx(single.depth, rel=0.2)
    assert fluid.hours == pytest.approx(single.hours, rel=0.1)
    assert fluid.served_s == pytest.approx(single.served_s, rel=0.02)
