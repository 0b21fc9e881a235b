"""When more instances would not help: nothing is taken from the queue, or the last growth brought no completions."""

import pytest

from shared.policy import KnownRate
from tests.decisions.builders import Watch, missing, policy

RULES = policy(not_capacity_bound_after_s=300.0, scale_out_cooldown_s=0.0, max=50)
BACKLOG = {"depth": 5000, "capacity": 2}


class TestNothingIsCompleted:
    def test_a_frozen_dispatcher_is_found_after_a_while_and_named(self) -> None:
        watch = Watch(RULES)
        assert {intent.kind for intent in watch.looks(0, 285, **BACKLOG)} == {"wish"}
        intent = watch.look(300, **BACKLOG)
        assert (intent.kind, intent.rule) == ("hold", "not_capacity_bound")
        for part in ("5000 messages wait", "nothing is completed", "2 instances are ready", "Look at the dispatcher"):
            assert part in intent.reason

    def test_the_first_completions_end_it(self) -> None:
        watch = Watch(RULES)
        watch.looks(0, 600, **BACKLOG)
        assert watch.look(615, **BACKLOG, completions_per_s=0.5).kind == "wish"

    def test_one_minute_of_nothing_is_no_sign(self) -> None:
        watch = Watch(RULES)
        watch.looks(0, 900, **BACKLOG, completions_per_s=2)
        assert {intent.kind for intent in watch.looks(915, 1185, **BACKLOG)} == {"wish"}
        assert watch.look(1200, **BACKLOG).rule == "not_capacity_bound"

    def test_slow_work_gets_the_time_that_it_takes(self) -> None:
        """Two instances, ten minutes a message: three completions are overdue only after a quarter of an hour."""
        watch = Watch(RULES.model_copy(update={"service_rate": KnownRate(per_instance_per_s=1 / 600)}))
        assert {intent.kind for intent in watch.looks(0, 885, **BACKLOG)} == {"wish"}
        assert watch.look(900, **BACKLOG).rule == "not_capacity_bound"

    def test_unknown_completions_are_no_sign(self) -> None:
        watch = Watch(RULES)
        assert {intent.kind for intent in watch.looks(0, 1200, **BACKLOG, completions_per_s=missing())} == {"wish"}


class TestGrowthThatDidNotHelp:
    @pytest.mark.parametrize("ready", [1, 2, "missing"])
    def test_a_reading_of_fewer_instances_is_not_held_against_it(self, ready: int | str) -> None:
        watch = Watch(RULES.model_copy(update={"cold_start_s": 900.0}))
        watch.looks(0, 60, **BACKLOG, completions_per_s=2)
        watch.changed(60, 2, 8)
        watch.looks(75, 225, depth=5000, capacity=8, ready=2, completions_per_s=2)
        watch.looks(240, 480, depth=5000, capacity=8, completions_per_s=8)
        watch.look(495, depth=5000, capacity=8, completions_per_s=8, ready=missing() if ready == "missing" else ready)
        rules = {intent.rule for intent in watch.looks(510, 900, depth=5000, capacity=8, completions_per_s=8)}
        assert "not_capacity_bound" not in rules

    def test_minutes_of_more_instances_are_not_held_against_it(self) -> None:
        """Two become one, and before its metrics are of one instance, two again: they do what two did before."""
        watch = Watch(RULES)
        watch.looks(0, 600, **BACKLOG, completions_per_s=2)
        watch.changed(600, 2, 1)
        watch.look(615, depth=5000, capacity=1, completions_per_s=2)
        watch.changed(615, 1, 2)
        watch.looks(630, 780, depth=5000, capacity=2, ready=1, completions_per_s=1)
        rules = {intent.rule for intent in watch.looks(795, 2400, **BACKLOG, completions_per_s=2)}
        assert "not_capacity_bound" not in rules

    def grown(self, completions_per_s: float) -> Watch:
        """From two instances to eight, which serve at 240 s, with that many completions since."""
        watch = Watch(RULES)
        watch.looks(0, 60, **BACKLOG, completions_per_s=2)
        watch.changed(60, 2, 8)
        watch.looks(75, 225, depth=5000, capacity=8, ready=2, completions_per_s=2)
        watch.looks(240, 525, depth=5000, capacity=8, completions_per_s=completions_per_s)
        return watch

    def test_completions_that_stay_where_they_were_end_the_growing(self) -> None:
        intent = self.grown(2).look(540, depth=5000, capacity=8, completions_per_s=2)
        assert (intent.kind, intent.rule) == ("hold", "not_capacity_bound")
        for part in ("5000 messages wait", "stayed at 2.00/s", "rose from 2 to 8", "dispatcher's concurrency"):
            assert part in intent.reason

    def test_growth_that_helped_is_judged_once(self) -> None:
        watch = self.grown(8)
        assert watch.look(540, depth=5000, capacity=8, completions_per_s=8).kind == "wish"
        assert watch.memory.grown_from is None
        assert watch.look(555, depth=5000, capacity=8, completions_per_s=1).kind == "wish"

    def test_a_little_more_is_not_enough(self) -> None:
        """Six instances more should add 6/s: less than a quarter of it means that something else is the limit."""
        assert self.grown(3.0).look(540, depth=5000, capacity=8, completions_per_s=3.0).rule == "not_capacity_bound"
        assert self.grown(4.0).look(540, depth=5000, capacity=8, completions_per_s=4.0).kind == "wish"

    def test_a_growth_that_noise_can_hide_proves_nothing(self) -> None:
        """Ten completions a minute, give or take three: one instance more beside three does not show in them."""
        watch = Watch(RULES)
        watch.looks(0, 60, depth=5000, capacity=3, completions_per_s=0.17)
        watch.changed(60, 3, 4)
        watch.looks(75, 225, depth=5000, capacity=4, ready=3, completions_per_s=0.17)
        intents = watch.looks(240, 1200, depth=5000, capacity=4, completions_per_s=0.16)
        assert {intent.kind for intent in intents} == {"wish"}
        assert watch.memory.grown_from is None

    def test_it_ends_when_completions_rise(self) -> None:
        watch = self.grown(2)
        intents = watch.looks(540, 900, depth=5000, capacity=8, completions_per_s=8)
        assert intents[0].rule == "not_capacity_bound"
        assert intents[-1].kind == "wish"

    def test_instances_that_do_not_serve_yet_prove_nothing(self) -> None:
        watch = Watch(RULES)
        watch.looks(0, 60, **BACKLOG, completions_per_s=2)
        watch.changed(60, 2, 8)
        rules = {i.rule for i in watch.looks(75, 1200, depth=5000, capacity=8, ready=2, completions_per_s=2)}
        assert "not_capacity_bound" not in rules

    def test_a_queue_that_was_empty_meanwhile_proves_nothing(self) -> None:
        watch = Watch(RULES)
        watch.looks(0, 60, **BACKLOG, completions_per_s=2)
        watch.changed(60, 2, 8)
        watch.looks(240, 900, depth=0, arrivals_per_s=0.3, completions_per_s=0.3, capacity=8)
        assert {i.kind for i in watch.looks(915, 1200, depth=9000, capacity=8, completions_per_s=0.3)} == {"wish"}

    def test_completions_of_an_idle_queue_are_nothing_to_compare_with(self) -> None:
        watch = Watch(RULES)
        watch.looks(0, 60, **BACKLOG, completions_per_s=2)
        watch.look(75, depth=0, capacity=2)
        watch.changed(75, 2, 8)
        assert watch.memory.completions_before_growth_per_s is None
