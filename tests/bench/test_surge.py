"""The simulation behind the second table: nothing is lost or scripted, and its figures are those of who decides."""

import random
from dataclasses import replace
from datetime import datetime
from itertools import pairwise

import pytest

from bench.reaction import contenders, percentile
from bench.surge import ACT_S, Figures, KedaWithHpa, Scaler, Scenario, Site, Watchkeeper, arrivals, play, policy_of
from shared.domain import Fresh, Intent, ScalingMemory, ScalingSnapshot
from shared.policy import Scaling

SHORT = Scenario(cold_start_s=60, promise_s=180, surge_s=600, after_s=600)


def site(*, one_operation: bool = True, cold_start_s: int = 60, capacity: int = 1) -> Site:
    return Site(cold_start_s, capacity, random.Random(1), one_operation=one_operation)


def let_pass(on: Site, seconds: int, arriving: int = 0) -> None:
    for _ in range(seconds):
        on.step(arriving)


class Nobody:
    def look(self, site: Site) -> None:
        """Changes nothing."""


def stay_at_four(
    snapshot: ScalingSnapshot, memory: ScalingMemory, policy: Scaling, now: datetime
) -> tuple[tuple[Intent, ...], ScalingMemory]:
    wish = Intent(
        target=snapshot.target,
        dimension="capacity",
        kind="wish",
        source="scaling",
        rule="constant",
        reason="Always four.",
        at=now,
        value=4,
    )
    return (wish,), memory


class TestSite:
    def test_an_instance_serves_once_its_cold_start_is_over(self) -> None:
        on = site()
        on.scale(3)
        let_pass(on, 59)
        assert (on.capacity, on.ready) == (3, 1)
        let_pass(on, 1)
        assert on.ready == 3

    def test_azure_ml_takes_one_change_at_a_time(self) -> None:
        on = site()
        assert on.scale(3)
        let_pass(on, 59)
        assert not on.scale(4)
        let_pass(on, 1)
        assert on.scale(4)
        assert on.changes == [(0, 1, 3), (60, 3, 4)]

    def test_kubernetes_takes_them_at_any_time_and_drops_what_does_not_serve_yet_first(self) -> None:
        on = site(one_operation=False)
        assert on.scale(3)
        assert on.scale(5)
        assert on.scale(2)
        assert (on.capacity, on.ready) == (2, 1)

    def test_no_more_is_completed_than_instances_can(self) -> None:
        on = site(capacity=2)
        let_pass(on, 1000, arriving=5)
        assert len(on.waits) == pytest.approx(1000, rel=0.05)  # two instances, two seconds each

    def test_a_minute_of_metrics_is_seen_late(self) -> None:
        on = site(capacity=4)
        let_pass(on, 60, arriving=1)
        let_pass(on, 59)
        assert on.metric(0, delay_s=60) is None
        let_pass(on, 1)
        assert on.metric(0, delay_s=60) == (1.0, 60)
        assert on.metric(2, delay_s=60) == (4.0, 60)
        let_pass(on, 60)
        assert on.metric(0, delay_s=60) == (0.0, 120)
        assert on.metric(0, delay_s=120) == (1.0, 60)

    def test_late_are_those_that_wait_longer_also_if_they_still_wait(self) -> None:
        on = site(capacity=1, cold_start_s=1)
        on.step(10)  # one instance: the tenth is done after about twenty seconds
        let_pass(on, 9)
        assert on.late_share(5) == pytest.approx(0.75, abs=0.11)
        assert on.late_share(30) == 0


class TestPlay:
    @pytest.mark.parametrize("one_operation", [True, False])
    @pytest.mark.parametrize("make", [lambda: Watchkeeper(policy_of(SHORT), 60), lambda: KedaWithHpa(5, 3), Nobody])
    def test_no_message_is_lost_or_made_up(self, make: type[Scaler], one_operation: bool) -> None:
        on, _ = play(SHORT, make(), seed=1, one_operation=one_operation)
        assert on.arrived == len(on.waits) + on.depth
        counts, _ = arrivals(SHORT, random.Random("arrivals 1"))
        assert on.arrived == sum(counts)

    def test_the_decision_makes_the_difference(self) -> None:
        ours, constant = (
            play(SHORT, scaler, seed=1, one_operation=True)[1]
            for scaler in (Watchkeeper(policy_of(SHORT), 60), Watchkeeper(policy_of(SHORT), 60, stay_at_four))
        )
        assert constant.changes == 0
        assert constant.first_growth_s == constant.sufficient_s == float("inf")
        assert constant.late_pct > 50 > ours.late_pct
        assert ours.first_growth_s < 60
        assert ours.instance_hours > constant.instance_hours

    def test_a_seed_plays_the_same_again_and_another_one_does_not(self) -> None:
        def figures(seed: int) -> Figures:
            return play(SHORT, Watchkeeper(policy_of(SHORT), 60), seed, one_operation=True)[1]

        assert figures(1) == figures(1)
        assert figures(1) != figures(2)

    def test_keda_grows_every_15_s_but_on_azure_ml_once_an_operation(self) -> None:
        def least_gap_s(*, one_operation: bool) -> int:
            on, _ = play(SHORT, KedaWithHpa(45, 0), seed=1, one_operation=one_operation)
            grown_at = [at_s for at_s, before, after in on.changes if after > before]
            return min(later - earlier for earlier, later in pairwise(grown_at))

        assert least_gap_s(one_operation=False) == 15
        assert least_gap_s(one_operation=True) >= SHORT.cold_start_s

    def test_watchkeeper_decides_nothing_while_its_operation_runs(self) -> None:
        looks: list[datetime] = []
        changed_at: set[datetime | None] = set()

        def one_more(
            snapshot: ScalingSnapshot, memory: ScalingMemory, policy: Scaling, now: datetime
        ) -> tuple[tuple[Intent, ...], ScalingMemory]:
            looks.append(now)
            changed_at.add(memory.changed_at)
            (wish,), _ = stay_at_four(snapshot, memory, policy, now)
            assert isinstance(snapshot.capacity, Fresh)
            return (replace(wish, value=int(snapshot.capacity.value) + 1),), memory

        on, _ = play(SHORT, Watchkeeper(policy_of(SHORT), 60, one_more), seed=1, one_operation=True)
        assert len(on.changes) > 10
        decided_at = sorted(int((at - looks[0]).total_seconds()) for at in changed_at if at)
        assert decided_at == [at_s - ACT_S for at_s, _, _ in on.changes[:-1]]  # nobody looked after the last one

    def test_with_enough_instances_from_the_start_nothing_has_to_grow(self) -> None:
        idle = Scenario(cold_start_s=60, promise_s=180, surge_s=60, after_s=60)

        class Lavish:
            def look(self, site: Site) -> None:
                site.scale(20)

        _, figures = play(idle, Lavish(), seed=1, one_operation=True)
        assert (figures.first_growth_s, figures.sufficient_s, figures.late_pct) == (0, 0, 0)


def test_the_surge_is_five_times_the_base_load() -> None:
    counts, starts_s = arrivals(SHORT, random.Random(3))
    surge = counts[starts_s : starts_s + SHORT.surge_s]
    assert sum(counts[:starts_s]) / starts_s == pytest.approx(1.5, rel=0.2)
    assert sum(surge) / len(surge) == pytest.approx(7.5, rel=0.2)


def test_the_peers_get_a_grid_of_targets_on_both_kinds_of_deployment() -> None:
    peers = [each for each in contenders(SHORT) if each.name.startswith("KEDA")]
    assert {each.deployment for each in peers} == {"Azure ML", "Kubernetes"}
    assert [each.name.rsplit(" ", 1)[1] for each in peers if each.one_operation] == ["5", "11", "22", "45", "90"]


def test_percentile_is_a_value_that_was_seen() -> None:
    assert percentile([3, 1, 2], 50) == 2
    assert percentile(list(range(1, 101)), 95) == 95
    assert percentile([7], 95) == 7
