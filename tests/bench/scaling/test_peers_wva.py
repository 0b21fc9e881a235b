"""llm-d's WVA V2 by worked examples, at its defaults: up at 0.85, down at 0.70 of what replicas hold."""

import pytest

from bench.scaling.peers.wva import DOWN, UP, Wva
from tests.bench.scaling.looking import seen


def wanted(depth: float, capacity: int, ready: int, holds: float = 1.0) -> int:
    return int(Wva([UP], [DOWN], [holds]).wanted(seen(0, depth, capacity, ready=ready))[0])


@pytest.mark.parametrize(
    ("depth", "capacity", "ready", "size"),
    [
        (10, 4, 4, 12),  # 10 / 0.85 - 4 = 7.8
        (10, 12, 4, 12),  # those that are not ready count: nothing is ordered twice
        (9, 12, 12, 12),  # 10.6 and 12.9: between both nothing happens
        (5, 12, 12, 8),  # 12 - 5 / 0.70 = 4.9
        (5, 14, 12, 10),  # only those that are ready can be spare
        (5, 12, 6, 12),
        (0, 3, 3, 0),
        (1, 0, 0, 2),
    ],
)
def test_need_and_spare(depth: float, capacity: int, ready: int, size: int) -> None:
    assert wanted(depth, capacity, ready) == size


def test_replicas_that_hold_more() -> None:
    assert wanted(100, 4, 4, holds=10) == 12  # (117.6 - 40) / 10
    assert wanted(50, 12, 12, holds=10) == 8  # (120 - 71.4) / 10


def test_once_a_minute_but_from_zero_at_every_look() -> None:
    rule = Wva([UP], [DOWN], [1.0])
    assert [int(rule.wanted(seen(15 * t, 10, 4))[0]) for t in range(5)] == [12, 4, 4, 4, 12]
    rule = Wva([UP], [DOWN], [1.0])
    assert [int(rule.wanted(seen(15 * t, 10 * t, 0))[0]) for t in range(2)] == [0, 12]
