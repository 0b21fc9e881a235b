"""The decision in a closed loop (see `plant`): surges are met, capacity comes back, and nothing swings or cascades."""

import random
from collections.abc import Callable

import pytest

from shared.policy import KnownRate, LearnedRate
from tests.decisions.builders import policy
from tests.decisions.plant import Plant, surge

MINUTE_S = 60
HOUR_S = 3600
PROMISE_S = 600.0

Rates = Callable[[float], float]


def two_surges(t: float) -> float:
    """A third of one instance's speed; six times its speed for 40 minutes; three times for an hour; then nothing."""
    if t > 5 * HOUR_S:
        return 0.0
    return max(surge(0.3, 6, 10 * MINUTE_S, 50 * MINUTE_S)(t), surge(0, 3, 3 * HOUR_S, 4 * HOUR_S)(t))


def plant(cold_start_s: int, metric_delay_s: int, arrivals: Rates = two_surges, **changes: object) -> Plant:
    rules = policy(
        drain_within_s=PROMISE_S,
        cold_start_s=float(cold_start_s),
        scale_in_cooldown_s=float(max(300, cold_start_s)),
        **changes,
    )
    return Plant(rules, arrivals, cold_start_s, metric_delay_s)


@pytest.mark.parametrize("metric_delay_s", [60, 180])
@pytest.mark.parametrize("cold_start_s", [30, 180, 900])
class TestSurges:
    def test_the_queue_is_drained_and_capacity_comes_back(self, cold_start_s: int, metric_delay_s: int) -> None:
        world = plant(cold_start_s, metric_delay_s).run(7 * HOUR_S)
        assert world.depth == 0
        assert world.capacity <= 3  # a surge that nothing announced is remembered for some hours
        assert max(world.capacities) >= 6
        # Two surges: two ways up and down, or one if capacity was kept between them; not one step to and fro more.
        assert world.reversals in (1, 3)

    def test_noise_makes_nothing_swing(self, cold_start_s: int, metric_delay_s: int) -> None:
        world = plant(cold_start_s, metric_delay_s)
        world.noise = random.Random(11)
        world.run(7 * HOUR_S)
        assert world.depth == 0
        assert world.capacity <= 3
        assert world.reversals in (1, 3)

    def test_a_rate_that_the_policy_guesses_wrong_is_made_good(self, cold_start_s: int, metric_delay_s: int) -> None:
        guess = LearnedRate(learn=True, prior_per_instance_per_s=2.5)
        world = plant(cold_start_s, metric_delay_s, service_rate=guess).run(7 * HOUR_S)
        assert world.depth == 0
        assert world.capacity <= 3
        assert world.memory.service_rate_per_s == pytest.approx(1.0, rel=0.2)


@pytest.mark.parametrize(("cold_start_s", "metric_delay_s"), [(30, 60), (30, 180), (180, 60), (180, 180)])
def test_the_promise_is_kept_where_instances_can_come_in_time(cold_start_s: int, metric_delay_s: int) -> None:
    world = plant(cold_start_s, metric_delay_s).run(5 * HOUR_S)
    assert world.longest_wait_s() <= PROMISE_S


def test_a_surge_through_a_long_cold_start_is_late_once_and_says_so() -> None:
    """Instances that take fifteen minutes cannot keep a promise of ten; Azure takes one change at a time."""
    world = plant(900, 60, surge(0.3, 6, 10 * MINUTE_S, 4 * HOUR_S)).run(4 * HOUR_S)
    assert "what comes in 15 min would wait" in world.decisions[0].reason
    assert any("no instance can arrive in time" in decision.reason for decision in world.decisions)
    assert max(world.depths[3 * HOUR_S :]) <= 6 * PROMISE_S


def test_deciding_through_a_cold_start_does_not_order_the_same_again() -> None:
    """2 -> 4 -> 8 -> 16: what happens where pending instances are not counted, or the backlog is counted each time."""
    world = plant(900, 60, lambda t: 4.0, max=50)
    world.one_by_one = False
    world.run(HOUR_S)
    # 4/s need 5 with headroom, and the backlog of a cold start (about 3 * 900 messages) within 600 s no more than that.
    assert max(world.sizes) <= 8
    assert sum(a == b for a, b in zip(world.sizes, sorted(world.sizes), strict=True)) >= 3


def test_a_steady_load_near_the_limit_is_left_in_peace() -> None:
    world = plant(180, 60, lambda t: 2.9)
    world.capacity, world.noise = 3, random.Random(5)
    world.restart()
    world.run(6 * HOUR_S)
    assert world.reversals <= 1
    assert len(world.decisions) <= 2


def test_a_slow_tide_is_followed() -> None:
    """Arrivals rise and fall by a tenth of an instance a minute: growth and shrinking take turns once."""
    tide: Rates = lambda t: max(0.2, 9 - abs(t - 2 * HOUR_S) * 9 / (2 * HOUR_S))  # noqa: E731 - a formula
    world = plant(180, 60, tide).run(6 * HOUR_S)
    assert world.reversals == 1
    assert (world.depth, world.capacity) == (0, 1)
    assert world.longest_wait_s() <= PROMISE_S


def test_one_surge_after_another_is_not_taken_for_growth_that_did_not_help() -> None:
    bursts: Rates = lambda t: 5.0 if t % HOUR_S < 900 else 0.3  # noqa: E731 - a formula
    world = plant(30, 60, bursts).run(4 * HOUR_S)
    assert "not_capacity_bound" not in world.rules_seen
    assert world.longest_wait_s() <= PROMISE_S


class TestTheDispatcherIsTheLimit:
    def test_growth_stops_when_it_does_not_help(self) -> None:
        world = plant(30, 60, lambda t: 5.0, max=50)
        world.dispatcher_limit = lambda t: 2.0
        world.run(3 * HOUR_S)
        assert world.rules_seen[-1] == "not_capacity_bound"
        assert world.capacity < 20

    def test_and_goes_on_when_the_limit_is_lifted(self) -> None:
        world = plant(30, 60, lambda t: 5.0 if t < 4 * HOUR_S else 0.0, max=50)
        world.dispatcher_limit = lambda t: 2.0 if t < 2 * HOUR_S else float("inf")
        world.run(8 * HOUR_S)
        assert (world.depth, world.capacity) == (0, 1)

    def test_a_limit_does_not_teach_that_instances_are_slow(self) -> None:
        rate = LearnedRate(learn=True, prior_per_instance_per_s=1.0)
        world = plant(30, 60, lambda t: 5.0, service_rate=rate, max=50)
        world.dispatcher_limit = lambda t: 2.0
        world.run(3 * HOUR_S)
        assert world.rules_seen[-1] == "not_capacity_bound"
        assert world.capacity < 30  # of 50

    def test_a_frozen_dispatcher_costs_nothing_more(self) -> None:
        world = plant(30, 60, lambda t: 2.0, max=50)
        world.dispatcher_limit = lambda t: 0.0 if HOUR_S <= t < 2 * HOUR_S else float("inf")
        world.run(int(1.5 * HOUR_S))
        frozen_at = world.capacity
        assert world.rules_seen[-1] == "not_capacity_bound"
        world.run(HOUR_S // 2)
        assert world.capacity == frozen_at
        world.run(6 * HOUR_S)
        assert max(world.depths[7 * HOUR_S :]) <= 2 * PROMISE_S

    def test_slow_work_is_not_mistaken_for_none(self) -> None:
        """A message takes ten minutes: most minutes complete nothing, and that is no sign of a frozen dispatcher."""
        slow = KnownRate(per_instance_per_s=1 / 600)
        rules = policy(drain_within_s=3600.0, service_rate=slow, not_capacity_bound_after_s=300.0, cold_start_s=180.0)
        world = Plant(rules, lambda t: 1 / 120, 180, 60, service_rate_per_s=1 / 600)
        world.in_whole_messages = True
        world.run(6 * HOUR_S)
        assert "not_capacity_bound" not in world.rules_seen
        assert world.longest_wait_s() <= 3600


def test_missing_metrics_still_let_it_grow_and_never_let_it_shrink() -> None:
    world = plant(180, 60)
    world.metrics_until = 0
    world.run(7 * HOUR_S)
    assert world.depth == 0
    assert world.capacity == max(world.capacities) >= 6
    assert world.rules_seen[-1] == "data_incomplete"


def test_the_same_world_runs_the_same() -> None:
    first, second = (plant(180, 60) for _ in range(2))
    for world in (first, second):
        world.noise = random.Random(3)
        world.run(2 * HOUR_S)
    assert first.decisions == second.decisions
    assert first.memory == second.memory
