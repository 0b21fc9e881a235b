"""The peers play by their own rules: worked examples, formula by formula."""

import pytest

from bench.peers import Activation, Hpa, ScaledObject, desired_by_average_value, growth_limit


class TestActivation:
    def test_a_message_wakes_from_zero(self) -> None:
        assert Activation(ScaledObject()).poll(0, messages=1, replicas=0) == 1
        assert Activation(ScaledObject(min_replicas=3)).poll(0, messages=1, replicas=0) == 3

    def test_the_threshold_itself_does_not_activate(self) -> None:
        rules = ScaledObject(activation_message_count=10)
        assert Activation(rules).poll(0, messages=10, replicas=0) == 0
        assert Activation(rules).poll(0, messages=11, replicas=0) == 1

    def test_from_one_on_it_leaves_the_number_to_the_hpa(self) -> None:
        assert Activation(ScaledObject()).poll(0, messages=10_000, replicas=4) == 4

    def test_to_zero_from_any_number_once_the_cooldown_is_over(self) -> None:
        keda = Activation(ScaledObject())
        assert keda.poll(0, messages=1, replicas=7) == 7
        assert keda.poll(300, messages=0, replicas=7) == 7
        assert keda.poll(330, messages=0, replicas=7) == 0

    def test_activity_starts_the_cooldown_anew(self) -> None:
        keda = Activation(ScaledObject())
        keda.poll(0, messages=1, replicas=2)
        keda.poll(270, messages=1, replicas=2)
        assert keda.poll(540, messages=0, replicas=2) == 2

    def test_never_below_the_minimum(self) -> None:
        assert Activation(ScaledObject(min_replicas=1)).poll(1000, messages=0, replicas=5) == 5
        assert Activation(ScaledObject(min_replicas=2)).poll(1000, messages=0, replicas=1) == 2


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
    ],
)
def test_average_value(value: float, target: float, replicas: int, desired: int) -> None:
    assert desired_by_average_value(value, target, replicas) == desired


@pytest.mark.parametrize(
    ("replicas", "added", "limit"),
    [(1, 0, 5), (4, 0, 8), (5, 0, 10), (10, 0, 20), (10, 5, 10), (8, 4, 8)],
)
def test_growth_limit(replicas: int, added: int, limit: int) -> None:
    assert growth_limit(replicas, added) == limit


class TestHpa:
    def test_growth_is_immediate_and_limited_in_rate(self) -> None:
        hpa, replicas, sizes = Hpa(target=5, min_replicas=1, max_replicas=40), 1, []
        for now_s in (0, 15, 30, 45):
            wanted = hpa.sync(now_s, 500, replicas)
            hpa.applied(now_s, replicas, wanted)
            replicas = wanted
            sizes.append(replicas)
        assert sizes == [5, 10, 20, 40]

    def test_twice_in_one_period_adds_once(self) -> None:
        hpa = Hpa(target=5, min_replicas=1, max_replicas=40)
        hpa.applied(0, 5, hpa.sync(0, 500, 5))
        assert hpa.sync(10, 500, 10) == 10
        assert hpa.sync(15, 500, 10) == 20

    def test_a_change_that_was_refused_does_not_count(self) -> None:
        hpa = Hpa(target=5, min_replicas=1, max_replicas=40)
        assert hpa.sync(0, 500, 5) == 10
        assert hpa.sync(10, 500, 5) == 10

    def test_never_above_the_maximum(self) -> None:
        assert Hpa(target=5, min_replicas=1, max_replicas=7).sync(0, 500, 5) == 7

    def test_shrinks_to_the_highest_recommendation_of_five_minutes(self) -> None:
        hpa = Hpa(target=5, min_replicas=1, max_replicas=40)
        recommended = [(0, 50), (15, 40), (30, 20), (300, 20), (315, 20), (330, 20)]
        sizes = [hpa.sync(now_s, value, 10) for now_s, value in recommended]
        assert sizes == [10, 10, 10, 8, 4, 4]

    def test_shrinks_all_the_way_at_once_but_not_below_the_minimum(self) -> None:
        hpa = Hpa(target=5, min_replicas=2, max_replicas=40)
        assert [hpa.sync(now_s, 0, 30) for now_s in (0, 150, 300)] == [30, 30, 2]

    def test_the_first_look_does_not_shrink(self) -> None:
        assert Hpa(target=5, min_replicas=1, max_replicas=40).sync(0, 0, 30) == 30

    def test_without_replicas_it_is_disabled(self) -> None:
        assert Hpa(target=5, min_replicas=0, max_replicas=40).sync(0, 500, 0) == 0
