"""AWS's target tracking on the backlog per instance, by worked examples. The target is 100 items an instance."""

import pytest

from bench.scaling.peers.aws import BacklogPerInstance
from shared.simulation.site import Seen
from tests.bench.scaling.looking import seen, setting

NAN = float("nan")


def look(minute: float, depth: float, capacity: int, ready: int) -> Seen:
    return seen(60 * minute, depth, capacity, ready=ready, metric_depth=depth, metric_ready=ready)


def rule(cooldown_in_s: float = 0.0, tick_s: float = 60) -> BacklogPerInstance:
    return BacklogPerInstance(setting(tick_s=tick_s), [100], cooldown_in_s)


class TestOut:
    def test_after_three_minutes_above_the_target(self) -> None:
        peer = rule()
        # 1000 on 4: 250 for each, so 4 * 250 / 100.
        assert [int(peer.wanted(look(t, 1000, 4, 4))[0]) for t in range(3)] == [4, 4, 10]

    def test_one_minute_at_the_target_starts_the_count_again(self) -> None:
        peer = rule()
        found = [int(peer.wanted(look(t, depth, 4, 4))[0]) for t, depth in enumerate([401, 401, 400, 401, 401, 401])]
        assert found == [4, 4, 4, 4, 4, 5]

    def test_who_is_warming_up_does_not_count_but_is_not_ordered_twice(self) -> None:
        peer = rule()
        for t in range(3):
            peer.wanted(look(t, 1000, 4, 4))
        assert peer.wanted(look(3, 1000, 10, 4)).tolist() == [10]
        assert peer.wanted(look(4, 1510, 10, 4)).tolist() == [16]
        assert peer.wanted(look(5, 600, 16, 4)).tolist() == [16]

    def test_from_none_to_one_at_once(self) -> None:
        peer = BacklogPerInstance(setting(min=0), [100])
        assert peer.wanted(look(0, 1, 0, 0)).tolist() == [1]
        assert peer.wanted(look(1, 0, 0, 0)).tolist() == [0]


class TestIn:
    def test_after_fifteen_minutes_below_nine_tenths(self) -> None:
        peer = rule()
        assert [int(peer.wanted(look(t, 450, 10, 10))[0]) for t in range(15)] == [10] * 14 + [5]

    def test_between_nine_tenths_and_the_target_nothing_is_counted(self) -> None:
        peer = rule()
        depths = [450] * 14 + [950] + [450] * 15
        found = [int(peer.wanted(look(t, depth, 10, 10))[0]) for t, depth in enumerate(depths)]
        assert found == [10] * 29 + [5]

    def test_never_while_a_scale_out_is_in_progress(self) -> None:
        peer = rule()
        found = [int(peer.wanted(look(t, 450, 10, 9))[0]) for t in range(20)]
        assert found == [10] * 20
        assert peer.wanted(look(20, 450, 10, 10)).tolist() == [5]

    def test_sagemaker_waits_from_one_to_the_next(self) -> None:
        peer = rule(cooldown_in_s=300)
        found = [int(peer.wanted(look(t, 450, 10, 10))[0]) for t in range(15)]
        assert found[-1] == 5
        again = [int(peer.wanted(look(15 + t, 200, 5, 5))[0]) for t in range(5)]
        assert again == [5, 5, 5, 5, 2]


class TestMissing:
    def test_without_data_nothing_is_done_and_nothing_forgotten(self) -> None:
        peer = rule()
        assert [int(peer.wanted(look(t, 1000, 4, 4))[0]) for t in range(2)] == [4, 4]
        assert peer.wanted(seen(120, 1000, 4, metric_depth=NAN, metric_ready=NAN)).tolist() == [4]
        assert peer.wanted(look(3, 1000, 4, 4)).tolist() == [10]


@pytest.mark.parametrize("tick_s", [15.0, 60.0])
def test_a_data_point_is_a_minute(tick_s: float) -> None:
    peer, found = rule(tick_s=tick_s), []
    for tick in range(int(180 / tick_s)):
        found.append(int(peer.wanted(look(tick * tick_s / 60, 1000, 4, 4))[0]))
    assert found.index(10) == 120 / tick_s
