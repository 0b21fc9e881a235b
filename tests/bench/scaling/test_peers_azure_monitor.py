"""Azure Monitor's autoscale by worked examples: windows, cooldown, the flapping guard, missing metrics."""

from collections.abc import Sequence

import numpy as np
import pytest

from bench.scaling.peers.azure_monitor import SAMPLES, Autoscale, AzureMonitor, busy_share, messages, removable
from tests.bench.scaling.looking import seen, setting

CLI = SAMPLES["Azure ML sample (CLI)"]
PYTHON = SAMPLES["Azure ML sample (Python)"]
AS_PRINTED = SAMPLES["Azure ML sample (Python), as printed"]
NAN = float("nan")


def on_shares(lane: Autoscale, shares: Sequence[float], capacity: int, *, at_start: int = 1) -> list[int]:
    """Capacity after each minute's look; all is taken."""
    rule, found = AzureMonitor(setting(at_start=at_start), [lane], busy_share), []
    for minute, share in enumerate(shares):
        capacity = int(rule.wanted(seen(60 * minute, 0, capacity, busy_share=share))[0])
        found.append(capacity)
    return found


class TestOut:
    def test_above_the_mean_of_five_minutes(self) -> None:
        assert on_shares(CLI, [0.5, 0.5, 0.9, 0.8, 0.8], 4) == [4, 4, 4, 4, 4]  # 0.70 is not above 0.7
        assert on_shares(CLI, [0.5, 0.5, 0.9, 0.9, 0.8], 4) == [4, 4, 4, 4, 6]

    def test_what_left_the_window_does_not_count(self) -> None:
        assert on_shares(CLI, [0.4, 0.75, 0.75, 0.75, 0.75, 0.75], 4) == [4, 4, 4, 4, 4, 6]

    def test_not_again_until_the_cooldown_is_over(self) -> None:
        assert on_shares(CLI, [1.0] * 11, 1) == [3, 3, 3, 3, 3, 5, 5, 5, 5, 5, 7]
        assert on_shares(PYTHON, [1.0] * 62, 1)[58:] == [3, 3, 5, 5]

    def test_by_a_share_of_what_is_there(self) -> None:
        assert on_shares(Autoscale(above=0.7, below=0.3, more_share=1.0), [0.9], 5) == [10]

    def test_a_change_that_was_refused_starts_no_cooldown(self) -> None:
        rule = AzureMonitor(setting(), [CLI], busy_share)
        assert [int(rule.wanted(seen(60 * t, 0, 4, busy_share=0.9))[0]) for t in range(3)] == [6, 6, 6]

    def test_the_newest_value_alone_where_the_rule_says_so(self) -> None:
        assert on_shares(PYTHON, [0.5, 0.5, 0.9], 4) == [4, 4, 6]


class TestIn:
    @pytest.mark.parametrize(
        ("value", "instances", "above", "can_go"),
        [
            (0.25, 3, 0.7, 1),  # 0.375 on the other two
            (0.29, 2, 0.5, 0),  # 0.58 would be out again
            (0.35, 2, 0.7, 0),  # 0.7 is not under the threshold
            (0.0, 1, 0.7, 0),
            (50.0, 10, 100.0, 1),
        ],
    )
    def test_flapping_guard(self, value: float, instances: int, above: float, can_go: int) -> None:
        assert removable(np.array([value]), np.array([instances]), np.array([above])).tolist() == [can_go]

    def test_one_after_the_other(self) -> None:
        assert on_shares(CLI, [0.1] * 11, 5) == [4, 4, 4, 4, 4, 3, 3, 3, 3, 3, 2]

    def test_nothing_happens_where_growth_would_follow(self) -> None:
        assert on_shares(Autoscale(above=0.5, below=0.3, more=1), [0.29] * 3, 2) == [2, 2, 2]

    def test_the_sample_as_printed_grows_when_there_is_nothing_to_do(self) -> None:
        assert on_shares(AS_PRINTED, [0.0] * 61, 2)[::60] == [3, 4]
        assert on_shares(PYTHON, [0.0] * 61, 3)[::60] == [2, 1]


class TestMissing:
    def test_never_shrinks_and_at_least_the_default(self) -> None:
        assert on_shares(CLI, [NAN], 5, at_start=3) == [5]
        assert on_shares(CLI, [NAN], 1, at_start=3) == [3]

    def test_the_rest_of_the_window_is_still_there(self) -> None:
        assert on_shares(CLI, [0.6, NAN, 0.9], 4) == [4, 4, 6]


def test_messages_are_divided_by_the_instances_there_are() -> None:
    rule = AzureMonitor(setting(), [Autoscale(above=100, below=25, more=2)] * 2, messages, divide_per_instance=True)
    looked = seen(0, [0, 0], 4, metric_depth=401)
    assert rule.wanted(looked).tolist() == [6, 6]
    rule = AzureMonitor(setting(), [Autoscale(above=100, below=25, more=2)], messages, divide_per_instance=True)
    assert rule.wanted(seen(0, 0, 4, metric_depth=400)).tolist() == [4]


def test_it_looks_every_thirty_seconds_where_ticks_are_shorter() -> None:
    rule = AzureMonitor(setting(tick_s=15), [Autoscale(above=0.7, below=0.3, more=1, cooldown_s=0)], busy_share)
    found, capacity = [], 1
    for look in range(5):
        capacity = int(rule.wanted(seen(15 * look, 0, capacity, busy_share=0.9))[0])
        found.append(capacity)
    assert found == [2, 2, 3, 3, 4]
