"""The fixed size and the tutorials' rule."""

import numpy as np

from bench.scaling.peers.simple import Fixed, TwoSizes
from tests.bench.scaling.looking import seen, sizes


def test_a_fixed_size_stays() -> None:
    assert Fixed([3, 7]).wanted(seen(0, [0, 1000], [1, 1])).tolist() == [3, 7]


def test_more_than_a_hundred_is_ten_fewer_than_ten_is_two() -> None:
    rule = TwoSizes(np.array([100.0]), np.array([10.0]), np.array([10]), np.array([2]))
    assert sizes(rule, [(0, 100), (1, 101), (2, 50), (3, 10), (4, 9), (5, 99)], 4) == [4, 10, 10, 10, 2, 2]
