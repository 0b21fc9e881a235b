"""What holds of every course of the site, whatever arrives and whatever is asked for."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.simulation.play import delays, figures, play
from shared.simulation.site import Seen, Site, Terms
from shared.simulation.workload import Floats, Ints, Workload
from tests.simulation.loads import PerTarget, Plan, daily, workload_of

TICKS = 60
CLOSE = 1e-6


@st.composite
def workloads(draw: st.DrawFn) -> Workload:
    items = draw(st.lists(st.integers(0, 60), min_size=TICKS, max_size=TICKS))
    return workload_of(np.array(items, dtype=np.float64), draw(st.sampled_from([15.0, 60.0])), draw(st.floats(1, 400)))


@st.composite
def all_terms(draw: st.DrawFn) -> Terms:
    least = draw(st.integers(0, 3))
    most = draw(st.integers(max(least, 1), 30))
    return Terms(
        cold_start_s=draw(st.floats(1, 1200)),
        cold_start_sigma=draw(st.sampled_from([0.0, 0.15, 0.5])),
        min=least,
        max=most,
        quota=draw(st.integers(0, 40)),
        at_start=draw(st.integers(least, most)),
        release_s=draw(st.floats(0, 300)),
        lost_share=draw(st.sampled_from([0.0, 0.3])),
        fail_share=draw(st.sampled_from([0.0, 0.5])),
        slow_share=draw(st.sampled_from([0.0, 0.3])),
        one_operation=draw(st.booleans()),
    )


LANES = 3
plans = st.lists(st.tuples(*[st.integers(0, 40)] * LANES), min_size=1, max_size=TICKS).map(
    lambda rows: np.array(rows, dtype=np.int64)
)


@given(workloads(), all_terms(), plans, st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_work_is_conserved_bills_cover_what_serves_and_limits_are_kept(
    workload: Workload, terms: Terms, plan: Ints, seed: int
) -> None:
    site = play(workload, terms, Plan(plan), LANES, seed)
    arrived_s = np.concatenate(([0.0], np.cumsum(workload.work_s)))[:, None]
    served_s = np.diff(site.served_s, axis=0)
    assert (served_s >= -CLOSE).all()
    assert (site.served_s <= arrived_s + CLOSE).all()  # nothing is served before it arrives
    assert (served_s <= site.asked * workload.tick_s + CLOSE).all()
    idle = served_s < site.serving * workload.tick_s - CLOSE
    assert (site.served_s[1:][idle] >= np.broadcast_to(arrived_s[1:], idle.shape)[idle] - CLOSE).all()
    assert (site.billed >= site.asked).all()
    assert (site.asked >= site.serving).all()
    within = (site.asked >= min(terms.min, terms.at_start)) & (site.asked <= terms.max)
    assert (within if not terms.fail_share else site.asked <= terms.max).all()
    started = max(terms.at_start, min(terms.max, max(terms.quota, terms.min)))
    assert (site.asked <= started).all()
    assert (site.depth >= 0).all()
    items = np.cumsum(workload.items)[:, None]
    assert (site.depth[1:] <= items + CLOSE).all()


@given(workloads(), all_terms(), plans, st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_a_lane_takes_the_course_that_it_takes_alone_and_every_time(
    workload: Workload, terms: Terms, plan: Ints, seed: int
) -> None:
    together = play(workload, terms, Plan(plan), LANES, seed)
    for lane in range(LANES):
        alone = play(workload, terms, Plan(plan[:, [lane]]), 1, seed)
        for name in ("served_s", "depth", "asked", "serving", "billed", "in_service"):
            assert np.array_equal(getattr(alone, name)[:, 0], getattr(together, name)[:, lane]), name
        assert alone.cancelled[0] == together.cancelled[lane]


def quiet(ticks: int = TICKS) -> Workload:
    return workload_of(np.zeros(ticks))


def planned(terms: Terms, *wanted: int, ticks: int = TICKS) -> Site:
    return play(quiet(ticks), terms, Plan(np.array([[w] for w in wanted], dtype=np.int64)), 1)


def certain(cold_start_s: float = 600.0, **changes: float) -> Terms:
    return replace(Terms(cold_start_s=cold_start_s, cold_start_sigma=0.0), **changes)  # type: ignore[arg-type]


def test_an_order_serves_after_its_cold_start_and_is_billed_before() -> None:
    site = planned(certain(630.0), 3)
    assert site.billed[:, 0].tolist() == [3.0] * TICKS
    assert site.serving[:12, 0].tolist() == [1.0] * 11 + [3.0]  # in the eleventh minute they serve half of it


def test_half_a_minute_of_an_order_is_served_in_the_tick_in_which_it_joins() -> None:
    workload = workload_of(np.full(TICKS, 30.0))  # ten instances' worth
    site = play(workload, certain(630.0), Plan(np.array([[3]], dtype=np.int64)), 1)
    assert np.diff(site.served_s[9:13, 0]).tolist() == [60.0, 60.0 + 2 * 30.0, 180.0]


def test_a_cancelled_order_is_billed_until_it_is_gone_and_counted() -> None:
    site = planned(certain(release_s=120.0), 5, 5, 1)
    assert site.cancelled[0] == 4
    assert site.serving.max() == 1
    paid_s = (site.billed[:, 0] - 1).sum() * 60
    assert paid_s == pytest.approx(4 * (2 * 60 + 120))


def test_those_that_are_not_ready_go_first_and_the_last_due_of_them() -> None:
    site = planned(certain(), *[3] * 12, 6, 7, 5, ticks=30)
    assert site.cancelled[0] == 2
    assert site.serving[12:25, 0].tolist() == [3.0] * 11 + [5.0] * 2
    site = planned(certain(), *[3] * 12, 6, 7, 2, ticks=30)
    assert site.cancelled[0] == 4
    assert site.serving[-1, 0] == 2


def test_a_failed_order_is_billed_and_brings_nothing() -> None:
    site = planned(certain(fail_share=1.0), *[4] * 5, *[1] * 55)
    assert site.serving.max() == 1
    assert site.cancelled[0] == 3
    site = play(quiet(), certain(fail_share=1.0), Plan(np.array([[4]] + [[0]] * 59, dtype=np.int64)), 1)
    assert site.billed[0, 0] >= 4
    held = play(quiet(), certain(fail_share=1.0), Once(4), 1)
    assert held.asked[:, 0].tolist() == [4] * 11 + [1] * 49
    assert held.serving.max() == 1
    assert held.cancelled[0] == 0


class Once:
    """Asks once and then for what is there."""

    def __init__(self, wanted: int) -> None:
        self._wanted: int | None = wanted

    def wanted(self, seen: Seen) -> Ints:
        wanted, self._wanted = self._wanted, None
        return seen.capacity if wanted is None else np.full(len(seen.capacity), wanted, dtype=np.int64)


def test_a_released_instance_finishes_what_it_holds() -> None:
    workload = workload_of(np.array([30.0] * 20 + [0.0] * 40), service_s=120.0)
    site = play(workload, certain(at_start=5, release_s=0.0), Plan(np.array([[5]] * 10 + [[1]], dtype=np.int64)), 1)
    paid_s = (site.billed[10:, 0] - 1).sum() * 60
    assert paid_s == pytest.approx(4 * 60.0, rel=0.01)  # half of an item each


def test_one_operation_refuses_what_comes_before_its_end() -> None:
    site = planned(certain(one_operation=True), 2, 5, 5, 1, *[5] * 20)
    assert site.asked[:12, 0].tolist() == [2] * 10 + [5, 5]


def test_metrics_are_of_a_whole_minute_late_and_nan_where_lost() -> None:
    seen: dict[float, tuple[Floats, ...]] = {}

    class Watching:
        def wanted(self, look: Seen) -> Ints:
            metrics = look.arrivals_per_s, look.completions_per_s, look.metric_ready, look.busy_share, look.metric_depth
            seen[look.now_s] = metrics
            if not np.isnan(metrics[0]).any():
                assert look.metric_at_s == look.now_s - 60.0
            return look.capacity

    items = np.repeat([4.0, 8.0, 0.0, 12.0], 4)
    play(workload_of(items, tick_s=15.0, service_s=1.0), certain(), Watching(), 2)
    for minute, per_s in ((2, 4 * 4 / 60), (3, 8 * 4 / 60)):
        arrivals, completions, ready, busy, _ = seen[60.0 * minute]
        assert arrivals.tolist() == pytest.approx([per_s, per_s])
        assert completions[0] == pytest.approx(per_s, rel=0.1)
        assert ready.tolist() == [1.0, 1.0]
        assert busy[0] == pytest.approx(per_s)
    assert np.isnan(seen[0.0][0]).all()
    seen.clear()
    play(workload_of(items, tick_s=15.0), certain(lost_share=1.0), Watching(), 2)
    assert all(np.isnan(metric).all() for metrics in seen.values() for metric in metrics)


def test_another_seed_takes_another_course() -> None:
    workload, rule = daily(), PerTarget(np.array([3.0, 9.0]))
    first, again, other = (play(workload, Terms(cold_start_s=900.0), rule, 2, seed) for seed in (1, 1, 2))
    assert np.array_equal(first.served_s, again.served_s)
    assert not np.array_equal(first.served_s, other.served_s)


def test_figures_of_a_course_that_is_known() -> None:
    """One instance, 20 s an item: 6 items come at once in the first minute and need two."""
    workload = workload_of(np.array([6.0, 0.0, 0.0, 0.0]))
    site = play(workload, certain(60.0, release_s=0.0), Plan(np.array([[1], [2], [1], [2]], dtype=np.int64)), 1)
    told = figures(site, 60.0)
    assert told.instance_hours[0] == pytest.approx((1 + 2 + 1 + 2) / 60)
    assert told.reversals_per_day[0] == pytest.approx(2 / workload.days)
    assert told.changes_per_day[0] == pytest.approx(3 / workload.days)
    assert told.undone[0] == 1


def test_delays_of_a_course_that_is_known() -> None:
    """One instance, 30 s an item, four at once: the parts of the minute, of two items each, wait 0 and 15 s more."""
    workload = workload_of(np.array([4.0, 0.0, 0.0]), service_s=30.0)
    site = play(workload, certain(), Plan(np.array([[1]], dtype=np.int64)), 1)
    delay_s, weight = delays(site, 0, 60.0)
    assert weight.tolist() == [2.0, 2.0]
    assert delay_s.tolist() == pytest.approx([30.0 - 15.0 + 30.0, 90.0 - 45.0 + 30.0])
    assert figures(site, 60.0).late_share[0] == pytest.approx(0.5)
    assert figures(site, 60.0).p99_delay_s[0] == pytest.approx(75.0)


def test_what_is_never_served_is_late_once_it_has_waited_longer_than_promised() -> None:
    """Three of thirty items are served each minute, for ten minutes: the second minute's first items wait for ever."""
    site = play(workload_of(np.full(10, 30.0)), certain(), Plan(np.array([[1]], dtype=np.int64)), 1)
    told = figures(site, 240.0)
    assert told.late_share[0] == pytest.approx(0.6, abs=0.06)
    assert told.p99_delay_s[0] == np.inf
    assert figures(site, 3600.0).late_share[0] == 0
    assert figures(site, 3600.0).p99_delay_s[0] <= 600
