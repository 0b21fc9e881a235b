"""Ray Serve by worked examples."""

from bench.scaling.peers.ray_serve import RayServe
from tests.bench.scaling.looking import seen, setting, sizes


def test_requests_by_the_target_at_once_within_a_long_tick() -> None:
    assert sizes(RayServe(setting(), [2]), [(0, 9)], 2) == [5]


def test_growth_must_persist_for_more_than_thirty_seconds() -> None:
    assert sizes(RayServe(setting(tick_s=15), [2]), [(t, 10) for t in range(4)], 2, tick_s=15) == [2, 2, 5, 5]


def test_a_look_without_need_starts_the_count_again() -> None:
    depths = [20, 20, 0, 20, 20, 20, 20]
    found = sizes(RayServe(setting(tick_s=15), [2]), list(enumerate(depths)), 5, tick_s=15)
    # In the mean of two looks: 10, 10, 5 (as there are), 5, 10, 10, 10.
    assert found == [5, 5, 5, 5, 5, 5, 10]


def test_shrinking_must_persist_for_more_than_ten_minutes() -> None:
    found = sizes(RayServe(setting(), [2]), [(t, 10) for t in range(12)], 8)
    assert found == [8] * 10 + [5, 5]


def test_the_count_starts_again_after_a_change() -> None:
    looks = [(t, 10 if t < 11 else 2) for t in range(22)]
    assert sizes(RayServe(setting(), [2]), looks, 8) == [8] * 10 + [5] * 11 + [1]


def test_a_change_that_was_refused_is_tried_again_at_once() -> None:
    rule = RayServe(setting(), [2])
    assert [int(rule.wanted(seen(60 * t, 10, 8))[0]) for t in range(12)] == [8] * 10 + [5, 5]


def test_without_replicas_a_request_acts_at_once() -> None:
    assert sizes(RayServe(setting(min=0, tick_s=15), [2]), [(0, 0), (1, 1)], 0, tick_s=15) == [0, 1]


def test_within_the_limits() -> None:
    assert sizes(RayServe(setting(max=7), [2]), [(0, 100)], 2) == [7]
    assert sizes(RayServe(setting(min=3), [2], down_delay_s=0), [(0, 0)], 5) == [3]
