"""KEDA and the HPA by worked examples, formula by formula."""

import numpy as np
import pytest

from bench.scaling.peers.hpa import HpaOnUtilisation, growth_limit, recommended
from bench.scaling.peers.keda import KedaWithHpa
from tests.bench.scaling.looking import seen, setting, sizes

SHORT = setting(tick_s=15)


@pytest.mark.parametrize(
    ("value", "target", "replicas", "desired"),
    [
        (100, 5, 4, 20),
        (101, 5, 4, 21),
        (109, 10, 10, 10),  # ratio 1.09: tolerated
        (111, 10, 10, 12),
        (91, 10, 10, 10),  # 0.91: tolerated
        (89, 10, 10, 9),
        (17, 5, 4, 4),  # 0.85, but 3.4 replicas are 4
        (0, 5, 4, 0),
        (7, 0.7, 2, 10),  # not 11 for a rounding error
    ],
)
def test_average_value(value: float, target: float, replicas: int, desired: int) -> None:
    assert recommended(np.array([value / target]), np.array([replicas]), np.array([0.1])) == [desired]


def test_growth_limit() -> None:
    assert growth_limit(np.array([1, 4, 5, 10])).tolist() == [5, 8, 10, 20]


class TestGrowth:
    def test_by_twice_or_four_in_fifteen_seconds(self) -> None:
        assert sizes(KedaWithHpa(SHORT, [5]), [(t, 500) for t in range(6)], 1, tick_s=15) == [5, 10, 20, 40, 80, 100]

    def test_a_tick_of_a_minute_holds_four_syncs(self) -> None:
        assert sizes(KedaWithHpa(setting(), [5]), [(0, 500), (1, 500)], 1) == [40, 100]

    def test_between_the_syncs_the_tolerance_holds_as_well(self) -> None:
        # 1 -> 5 -> 10, where 54 / (5 * 10) = 1.08 is tolerated, though 11 are desired.
        assert sizes(KedaWithHpa(setting(), [5]), [(0, 54)], 1) == [10]
        assert sizes(KedaWithHpa(setting(), [5], tolerance=0.01), [(0, 54)], 1) == [11]

    def test_never_above_the_maximum(self) -> None:
        assert sizes(KedaWithHpa(setting(max=7), [5]), [(0, 500)], 5) == [7]


class TestShrinking:
    def test_to_the_highest_recommendation_of_five_minutes(self) -> None:
        looks = [(0, 50), (1, 40), (2, 20), (20, 20), (21, 20), (22, 20)]
        every = [(t, dict(looks).get(t, 20)) for t in range(23)]
        found = sizes(KedaWithHpa(SHORT, [5]), every, 10, tick_s=15)
        assert [found[t] for t, _ in looks] == [10, 10, 10, 8, 4, 4]

    def test_all_the_way_at_once_but_not_below_the_minimum(self) -> None:
        found = sizes(KedaWithHpa(setting(min=2), [5]), [(t, 0) for t in range(6)], 30)
        assert found == [30, 30, 30, 30, 30, 2]

    def test_each_lane_has_its_own_window(self) -> None:
        rule = KedaWithHpa(setting(), [5, 5], stabilise_s=[60, 300])
        looks = [rule.wanted(seen(60 * t, [50 if t == 0 else 10] * 2, [10, 10])) for t in range(6)]
        assert [size.tolist() for size in looks] == [[10, 10], [2, 10], [2, 10], [2, 10], [2, 10], [2, 2]]


class TestZero:
    def test_a_message_wakes_and_the_hpa_grows_from_there(self) -> None:
        assert sizes(KedaWithHpa(setting(min=0), [5]), [(0, 1)], 0) == [1]
        assert sizes(KedaWithHpa(setting(min=0), [5]), [(0, 100)], 0) == [20]
        assert sizes(KedaWithHpa(setting(min=3), [5]), [(0, 1)], 0) == [3]

    def test_nothing_there_and_nothing_to_do(self) -> None:
        assert sizes(KedaWithHpa(setting(min=0), [5]), [(0, 0)], 0) == [0]

    def test_to_zero_from_any_number_once_more_than_the_cooldown_has_passed(self) -> None:
        rule = KedaWithHpa(setting(min=0), [5], stabilise_s=3600)
        assert sizes(rule, [(0, 35), *((t, 0) for t in range(1, 7))], 7) == [7, 7, 7, 7, 7, 7, 0]

    def test_activity_starts_the_cooldown_anew(self) -> None:
        rule = KedaWithHpa(setting(min=0), [5], stabilise_s=3600)
        assert sizes(rule, [(0, 10), (1, 0), (4, 1), (9, 0), (10, 0)], 2) == [2, 2, 2, 2, 0]


class TestUtilisation:
    def test_all_busy_grows_by_the_target(self) -> None:
        # 8 busy of 8 at a target of 0.6: 13.3 -> 14.
        assert HpaOnUtilisation(setting(), np.array([0.6])).wanted(seen(0, 1000, 8)).tolist() == [14]

    def test_who_is_not_ready_counts_as_idle_when_growing(self) -> None:
        # 8 busy of 14 created is 0.571, in the tolerance of 0.6.
        assert HpaOnUtilisation(setting(), np.array([0.6])).wanted(seen(0, 1000, 14, ready=8)).tolist() == [14]

    def test_that_turns_growth_into_nothing_not_into_shrinking(self) -> None:
        assert HpaOnUtilisation(setting(), np.array([0.6])).wanted(seen(0, 1000, 30, ready=8)).tolist() == [30]

    def test_who_is_not_ready_counts_as_busy_when_shrinking(self) -> None:
        # (1 + 4) / 0.5 = 10 of 10: kept; with all ready, 2.
        rule = HpaOnUtilisation(setting(), np.array([0.5]))
        found = [rule.wanted(seen(60 * t, 1, 10, ready=6)).tolist() for t in range(8)]
        assert found[-1] == [10]
        found = [rule.wanted(seen(60 * t, 1, 10)).tolist() for t in range(8, 14)]
        assert found[-1] == [2]
