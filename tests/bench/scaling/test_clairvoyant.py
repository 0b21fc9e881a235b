"""The clairvoyant: a schedule that can be played, which nobody beats."""

import itertools

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bench.scaling.clairvoyant import Planned, clairvoyant
from bench.scaling.families import family
from shared.simulation.play import figures, play
from shared.simulation.site import Seen, Terms
from shared.simulation.workload import Ints, Workload

TICK_S, PROMISE_S = 60.0, 240.0
FEW = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))


def load(busy: list[float], service_s: float = 12.0, tick_s: float = TICK_S) -> Workload:
    """So many instances are kept busy in each tick."""
    work_s = np.array(busy, dtype=np.float64) * tick_s
    return Workload(name="w", tick_s=tick_s, items=work_s / service_s, work_s=work_s, service_s=service_s)


def terms(cold_start_s: float = 180.0, most: int = 3, least: int = 1) -> Terms:
    return Terms(cold_start_s=cold_start_s, cold_start_sigma=0.0, min=least, max=most, at_start=max(1, least))


def every_schedule(ticks: int, most: int, least: int = 1) -> Ints:
    """All there are, a column each."""
    return np.array(list(itertools.product(range(least, most + 1), repeat=ticks)), dtype=np.int64).T


class Columns:
    def __init__(self, asked: Ints) -> None:
        self._asked = asked

    def wanted(self, seen: Seen) -> Ints:
        now: Ints = self._asked[round(seen.now_s / TICK_S)]
        return now


def best_of(workload: Workload, site: Terms, schedules: Ints) -> tuple[float, float]:
    """The least late share, and the least hours of those that are so late and leave no more undone at the end."""
    course = play(workload, site, Columns(schedules), schedules.shape[1])
    played = figures(course, PROMISE_S)
    late, served = played.late_share.min(), course.served_s[-1]
    as_good = (played.late_share <= late + 1e-9) & (served >= served.max() - 1e-6)
    return float(late), float(played.instance_hours[as_good].min())


@pytest.mark.parametrize("cold_start_s", [30.0, 60.0, 120.0, 180.0])
@pytest.mark.parametrize("seed", range(4))
def test_no_schedule_of_all_there_are_beats_it(cold_start_s: float, seed: int) -> None:
    """Its rounding may cost one instance's tick."""
    rng = np.random.default_rng(seed)
    workload = load(list(rng.choice([0.0, 0.4, 1.0, 2.0, 3.5], 7)))
    found = clairvoyant(workload, terms(cold_start_s), PROMISE_S, bound=True)
    late, hours = best_of(workload, terms(cold_start_s), every_schedule(7, 3))
    assert found.figures.late_share[0] == pytest.approx(late, abs=1e-9)
    assert found.least_late_share == pytest.approx(late, abs=1e-9)
    assert found.figures.instance_hours[0] <= hours + TICK_S / 3600 + 1e-9
    assert found.fewest_hours <= hours + 1e-6


def test_scale_to_zero_waits_for_work() -> None:
    workload = load([0.0] * 20 + [0.5] * 4 + [0.0] * 20)
    found = clairvoyant(workload, Terms(cold_start_s=180.0, min=0, max=3, at_start=0), 600.0)
    assert found.figures.late_share[0] == 0
    assert found.figures.instance_hours[0] * 60 == pytest.approx(3 + 3 + 1, abs=1.5)


BUSY = st.lists(st.floats(0.0, 6.0), min_size=5, max_size=60)


@FEW
@given(BUSY, st.sampled_from([30.0, 45.0, 180.0, 900.0]), st.integers(0, 2**32 - 1))
@example([0.0, 5.0, 0.0, 0.0, 0.0], 30.0, 0)
def test_never_later_than_any_other_and_never_more_hours_than_one_that_is_not_later(
    busy: list[float], cold_start_s: float, seed: int
) -> None:
    workload, site = load(busy), terms(cold_start_s, most=8)
    if workload.items.sum() == 0:
        return
    found = clairvoyant(workload, site, PROMISE_S, bound=True)
    rng = np.random.default_rng(seed)
    holds = rng.integers(1, 12)
    others = np.repeat(rng.integers(1, 9, (len(busy) // holds + 1, 40)), holds, axis=0)[: len(busy)]
    others[:, 0], others[:, 1] = 8, 1
    course = play(workload, site, Columns(others), 40)
    played = figures(course, PROMISE_S)
    assert found.least_late_share <= played.late_share.min() + 1e-9
    # The bound is on those that leave no more undone at the end: what is not late yet could wait beyond it for nothing.
    as_good = (played.late_share <= found.least_late_share + 1e-9) & (
        course.served_s[-1] >= found.site.served_s[-1, 0] - 1e-6
    )
    assert (played.instance_hours[as_good] >= found.fewest_hours - 1e-6).all()


@FEW
@given(BUSY, st.sampled_from([30.0, 180.0, 900.0]), st.sampled_from([120.0, 360.0, 1200.0]))
def test_it_is_no_later_than_must_be_and_keeps_the_limits(
    busy: list[float], cold_start_s: float, promise_s: float
) -> None:
    workload = load(busy)
    if workload.items.sum() == 0:
        return
    found = clairvoyant(workload, terms(cold_start_s, most=8), promise_s)
    assert found.figures.late_share[0] == pytest.approx(found.least_late_share, abs=1e-9)
    assert found.asked.min() >= 1
    assert found.asked.max() <= 8
    assert found.figures.undone[0] == 0


def test_within_the_first_cold_start_nobody_can_help() -> None:
    found = clairvoyant(load([4.0] * 60), terms(900.0, most=10), PROMISE_S)
    assert found.least_late_share > 0.1
    assert found.figures.late_share[0] == pytest.approx(found.least_late_share, abs=1e-3)


def test_an_instance_is_kept_over_a_gap_shorter_than_its_cold_start() -> None:
    busy = [1.0] * 20 + [3.0] * 20 + [1.0] * 5 + [3.0] * 20 + [1.0] * 40 + [3.0] * 20 + [1.0] * 10
    found = clairvoyant(load(busy), terms(900.0, most=4), 90.0)
    assert found.asked[42] == 3
    assert found.asked[75] == 1
    assert found.figures.undone[0] == 0


@pytest.mark.parametrize("cold_start_s", [30.0, 180.0, 900.0])
def test_on_a_family_it_comes_within_two_in_a_hundred_of_what_anybody_needs(cold_start_s: float) -> None:
    whole = family("bursts", 1)
    day = Workload(name="day", tick_s=60.0, items=whole.items[:720], work_s=whole.work_s[:720], service_s=10.0)
    found = clairvoyant(day, Terms(cold_start_s=cold_start_s), 1200.0, bound=True)
    assert found.figures.late_share[0] <= found.least_late_share + 1e-9
    assert found.fewest_hours <= found.figures.instance_hours[0] <= 1.02 * found.fewest_hours


def test_chance_is_taken_out_of_the_site() -> None:
    rough = Terms(cold_start_s=180.0, fail_share=0.5, lost_share=0.5, slow_share=0.5, one_operation=True, max=6)
    calm = Terms(cold_start_s=180.0, cold_start_sigma=0.0, max=6)
    workload = load([1.0] * 10 + [4.0] * 30)
    first, second = clairvoyant(workload, rough, PROMISE_S), clairvoyant(workload, calm, PROMISE_S)
    assert np.array_equal(first.asked, second.asked)
    assert first.figures.instance_hours == second.figures.instance_hours
    again = figures(play(workload, calm, Planned(second.asked, TICK_S), 1), PROMISE_S)
    assert again.instance_hours == second.figures.instance_hours
