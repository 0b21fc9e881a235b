"""When instances are given back: late, on complete data, and never more than the last minutes needed."""

import pytest

from shared.domain import Missing
from tests.decisions.builders import LEARNED, Watch, fresh, later, missing, policy, snapshot, stale, wanted

IDLE = {"depth": 0, "arrivals_per_s": 0.2, "completions_per_s": 0.2, "capacity": 6}


class TestPatience:
    def test_a_lower_need_must_last(self) -> None:
        watch = Watch(policy(scale_in_hold_s=300.0))
        held = watch.looks(0, 285, **IDLE)
        assert {(intent.kind, intent.rule) for intent in held} == {("hold", "waiting_to_shrink")}
        assert "1 instance would do since 12:30:00 UTC" in held[-1].reason
        intent = watch.look(300, **IDLE)
        assert (intent.kind, intent.value, intent.rule) == ("wish", 1, "less_suffices")
        assert "for 5 min 1 instance would have kept the promise of 5 min" in intent.reason

    def test_a_moment_of_need_starts_the_wait_again(self) -> None:
        watch = Watch()
        watch.looks(0, 285, **IDLE)
        assert watch.look(290, **IDLE | {"depth": 1700}).rule == "promise_kept"
        assert {intent.rule for intent in watch.looks(300, 585, **IDLE)} == {"waiting_to_shrink"}
        assert watch.look(600, **IDLE).rule == "less_suffices"

    def test_the_most_that_was_needed_meanwhile_is_kept(self) -> None:
        watch = Watch()
        watch.looks(0, 135, **IDLE)
        watch.look(150, **IDLE | {"depth": 750})  # three instances for the backlog
        watch.looks(165, 285, **IDLE)
        assert watch.look(300, **IDLE).value == 3

    @pytest.mark.parametrize(("current", "to"), [(2, 6), (8, 6)])
    def test_after_any_change_the_cool_down_runs(self, current: int, to: int) -> None:
        watch = Watch(policy(scale_in_cooldown_s=900.0))
        watch.changed(0, current, to)
        held = watch.looks(15, 885, **IDLE)
        assert {intent.rule for intent in held} == {"waiting_to_shrink"}

    def test_the_cool_down_after_growth_starts_when_it_serves(self) -> None:
        watch = Watch(policy(scale_in_cooldown_s=300.0))
        watch.look(0, **IDLE | {"capacity": 2})
        watch.changed(0, 2, 6)
        watch.looks(15, 585, **IDLE | {"ready": 2})
        assert {intent.rule for intent in watch.looks(600, 885, **IDLE)} == {"waiting_to_shrink"}
        assert watch.look(900, **IDLE).rule == "less_suffices"

    def test_it_starts_with_the_minute_in_which_they_serve_and_not_when_that_is_seen(self) -> None:
        watch = Watch(policy(scale_in_cooldown_s=300.0))
        watch.look(0, **IDLE | {"capacity": 2})
        watch.changed(0, 2, 6)
        watch.looks(15, 585, **IDLE | {"ready": 2})
        watch.looks(720, 885, **IDLE | {"ready": fresh(6, later(600))})
        assert watch.look(900, **IDLE | {"ready": fresh(6, later(840))}).rule == "less_suffices"

    def test_nothing_is_given_back_while_instances_are_pending(self) -> None:
        watch = Watch()
        assert {intent.rule for intent in watch.looks(0, 1200, **IDLE | {"ready": 4})} == {"waiting_to_shrink"}

    def test_a_need_seen_at_another_size_is_forgotten(self) -> None:
        """A person shrank it below what was once needed: the old peak must not keep it there for ever."""
        watch = Watch()
        watch.look(0, **IDLE | {"depth": 1300})  # five are needed
        watch.looks(15, 150, **IDLE)
        intents = watch.looks(165, 600, **IDLE | {"capacity": 4})
        assert intents[-1].value == 1


class TestHowFar:
    def test_min_stays(self) -> None:
        watch = Watch(policy(min=2))
        assert watch.looks(0, 300, **IDLE)[-1].value == 2

    def test_a_step_limits(self) -> None:
        watch = Watch(policy(max_step_in=2))
        assert watch.looks(0, 300, **IDLE)[-1].value == 4

    def test_what_is_left_serves_arrivals_with_headroom(self) -> None:
        watch = Watch(policy(headroom_pct=50.0))
        assert watch.looks(0, 300, **IDLE | {"arrivals_per_s": 2.0, "completions_per_s": 2.0})[-1].value == 3

    def test_and_the_backlog_well_within_the_promise(self) -> None:
        watch = Watch()
        assert watch.looks(0, 300, **IDLE | {"depth": 900})[-1].value == 4

    def test_shrinking_does_not_call_for_growth(self) -> None:
        watch = Watch()
        load = {"depth": 4, "arrivals_per_s": 2.4, "completions_per_s": 2.4}
        to = watch.looks(0, 300, **load, capacity=6)[-1].value
        assert to == 3
        watch.changed(300, 6, to)
        assert {i.rule for i in watch.looks(315, 1200, **load, capacity=to)} == {"promise_kept"}


class TestDoubt:
    @pytest.mark.parametrize("name", ["arrivals_per_s", "completions_per_s", "ready"])
    @pytest.mark.parametrize("measurement", [missing("throttled: 429"), stale(0)])
    def test_incomplete_data_gives_nothing_back(self, name: str, measurement: object) -> None:
        watch = Watch()
        intent = watch.looks(0, 900, **IDLE | {name: measurement})[-1]
        assert (intent.kind, intent.rule) == ("hold", "data_incomplete")
        assert ("throttled: 429" if isinstance(measurement, Missing) else "stale (of 11:30:00 UTC)") in intent.reason

    def test_a_metric_that_stays_away_grows_stale(self) -> None:
        watch = Watch(policy(scale_in_hold_s=3600.0, stale_after_s=300.0))
        once = fresh(0.2, later(0))
        assert watch.look(300, **IDLE | {"arrivals_per_s": once}).rule == "waiting_to_shrink"
        assert watch.look(301, **IDLE | {"arrivals_per_s": once}).rule == "data_incomplete"


class TestAboveMax:
    def test_a_max_that_was_lowered_is_kept_whatever_the_load(self) -> None:
        intent = wanted(snapshot(depth=5000, capacity=9), rules=policy(max=6))
        assert (intent.value, intent.rule) == (6, "above_max")
        assert "9 instances are above the policy's max of 6" in intent.reason

    def test_in_steps_with_the_cool_down_between(self) -> None:
        watch = Watch(policy(max=4, max_step_in=2))
        assert watch.look(0, capacity=9).value == 7
        watch.changed(0, 9, 7)
        assert watch.look(299, capacity=7).rule == "waiting_to_shrink"
        assert watch.look(300, capacity=7).value == 5

    def test_but_not_blindly(self) -> None:
        assert wanted(snapshot(capacity=9, arrivals_per_s=missing()), rules=policy(max=6)).rule == "data_incomplete"


def test_learning_a_faster_rate_lets_instances_go() -> None:
    watch = Watch(policy(service_rate=LEARNED))
    watch.looks(0, 900, depth=500, arrivals_per_s=12, completions_per_s=12, capacity=6)
    assert (watch.memory.service_rate_per_s or 0) > 1.8
    watch.looks(915, 4500, depth=2, arrivals_per_s=2, completions_per_s=2, capacity=6)
    watch.changed(4500, 6, 5)
    assert watch.looks(4515, 5400, depth=2, arrivals_per_s=2, completions_per_s=2, capacity=5)[-1].value == 2
