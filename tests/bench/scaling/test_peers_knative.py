"""Knative's KPA by worked examples."""

from bench.scaling.peers.knative import Kpa
from tests.bench.scaling.looking import seen, setting, sizes


class TestStable:
    def test_concurrency_by_the_target(self) -> None:
        assert sizes(Kpa(setting(), [0.7]), [(0, 7)], 8) == [10]
        assert sizes(Kpa(setting(), [100]), [(0, 401)], 4) == [5]

    def test_not_below_half_of_those_that_are_ready(self) -> None:
        assert sizes(Kpa(setting(), [1]), [(t, 0) for t in range(4)], 11) == [5, 2, 1, 0]

    def test_the_mean_of_a_minute(self) -> None:
        # Looks of 15 s: 8, 10, 14, 8 are 10 in the mean; the last 8 alone are in the panic window.
        found = sizes(Kpa(setting(tick_s=15), [1]), [(0, 8), (1, 10), (2, 14), (3, 8)], 8, tick_s=15)
        assert found == [8, 9, 11, 10]

    def test_only_the_ready_count(self) -> None:
        # 10 of 20 are ready: half of those is the least.
        assert Kpa(setting(), [1]).wanted(seen(0, 0, 20, ready=10)).tolist() == [5]


class TestPanic:
    def test_twice_the_ready_is_one(self) -> None:
        rule = Kpa(setting(tick_s=15), [1])
        looks = [rule.wanted(seen(15 * t, depth, 10, ready=10)).tolist() for t, depth in enumerate([5, 5, 5, 19])]
        assert looks == [[5], [5], [5], [9]]  # 8.5 in the mean
        assert rule.wanted(seen(60, 20, 10, ready=10)).tolist() == [20]

    def test_it_does_not_shrink_until_a_whole_window_is_quiet(self) -> None:
        rule = Kpa(setting(), [1])
        # What is seen at 0 s holds until 58 s; 60 s later are 118 s.
        found = [rule.wanted(seen(60 * t, depth, 25, ready=10)).tolist() for t, depth in enumerate([25, 5, 5])]
        assert found == [[25], [25], [5]]

    def test_it_grows_with_the_highest(self) -> None:
        rule = Kpa(setting(), [1])
        found = [rule.wanted(seen(60 * t, depth, 25, ready=10)).tolist() for t, depth in enumerate([25, 15, 40])]
        assert found == [[25], [25], [40]]

    def test_nothing_of_it_is_left_in_the_next_one(self) -> None:
        rule = Kpa(setting(), [1])
        depths = [40, 5, 5, 22]
        assert [int(rule.wanted(seen(60 * t, d, 40, ready=10))[0]) for t, d in enumerate(depths)] == [40, 40, 5, 22]


def test_scale_down_delay_keeps_the_highest_of_its_time() -> None:
    rule = Kpa(setting(), [1, 1], delay_s=[0, 180])
    found = [rule.wanted(seen(60 * t, [depth] * 2, 10)).tolist() for t, depth in enumerate([12, 9, 8, 8])]
    assert found == [[12, 12], [9, 12], [8, 12], [8, 9]]


def test_a_request_wakes_from_zero() -> None:
    assert sizes(Kpa(setting(min=0), [0.7]), [(0, 0), (1, 1)], 0) == [0, 2]
