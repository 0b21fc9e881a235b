"""When more instances are asked for, how many, and what is said when that does not help."""

import pytest

from shared.decisions.scaling import decide
from shared.domain import ScalingMemory
from shared.policy import KnownRate
from tests.decisions.builders import KNOWN, LEARNED, NOW, Watch, fresh, later, missing, policy, snapshot, stale, wanted


def test_a_surge_that_noise_does_not_explain_is_believed_at_once() -> None:
    """Ten messages a second more than are served, seen for a minute: believed for as long again."""
    watch = Watch()
    busy = {"arrivals_per_s": 2, "completions_per_s": 2, "capacity": 2}
    for minute in range(60):
        watch.look(60 * minute, depth=8, **busy)
    assert watch.look(3600, depth=608, **busy).numbers["arrivals_per_s"] > 10


def test_a_promise_of_a_second_is_kept_though_the_minutes_after_are_calm() -> None:
    """Two seconds of work for one instance, and nothing comes: over two minutes that is next to nothing."""
    rules = policy(drain_within_s=1.0, cold_start_s=0.0, service_rate=KnownRate(per_instance_per_s=20))
    intent = wanted(snapshot(depth=40, capacity=1), rules=rules)
    assert (intent.rule, intent.value) == ("promise_at_risk", 2)


class TestWhatForbidsAnyChange:
    def test_an_unknown_depth_holds_and_says_why(self) -> None:
        intent = wanted(snapshot(depth=missing("503 from management"), arrivals_per_s=50))
        assert (intent.kind, intent.rule) == ("hold", "depth_unknown")
        assert "503 from management" in intent.reason

    def test_a_stale_depth_neither_grows_nor_shrinks(self) -> None:
        intent = wanted(snapshot(depth=stale(5000), arrivals_per_s=50))
        assert (intent.kind, intent.rule) == ("hold", "depth_unknown")
        assert "11:30:00 UTC" in intent.reason

    def test_a_depth_that_was_fresh_when_read_is_stale_now(self) -> None:
        seen = snapshot(depth=fresh(5000, later(-301)), completions_per_s=2)
        assert wanted(seen, rules=policy(stale_after_s=300.0)).rule == "depth_unknown"
        assert wanted(seen, rules=policy(stale_after_s=302.0)).kind == "wish"

    def test_an_unknown_capacity_holds(self) -> None:
        assert wanted(snapshot(depth=5000, capacity=missing("the deployment has no sku.capacity"), ready=2)).rule == (
            "capacity_unknown"
        )

    def test_an_azure_autoscale_setting_is_named_with_the_remedy(self) -> None:
        intent = wanted(snapshot(depth=5000, autoscale_setting="cpu-over-70"))
        assert (intent.kind, intent.rule) == ("hold", "azure_autoscale_present")
        assert "'cpu-over-70'" in intent.reason
        assert "Disable or delete it" in intent.reason

    def test_not_knowing_whether_azure_scales_too_holds_and_names_no_setting(self) -> None:
        intent = wanted(snapshot(depth=5000, autoscale_unknown="503 on GET autoscalesettings"))
        assert (intent.kind, intent.rule) == ("hold", "autoscale_unknown")
        assert "could not be read: 503 on GET autoscalesettings" in intent.reason
        assert "enabled" not in intent.reason

    def test_a_deployment_that_its_cluster_scales_is_left_to_it(self) -> None:
        intent = wanted(snapshot(depth=5000, scaled_by_cluster=True))
        assert (intent.kind, intent.rule) == ("hold", "scaled_by_cluster")
        assert "scaleSettings to Default" in intent.reason

    def test_an_operation_that_is_not_ours_is_waited_for(self) -> None:
        intent = wanted(snapshot(depth=5000, provisioning_state="Updating"))
        assert (intent.kind, intent.rule) == ("hold", "deployment_busy")
        assert "Updating" in intent.reason

    def test_our_own_operation_is_no_reason_to_stop_thinking(self) -> None:
        intent = wanted(snapshot(depth=5000, capacity=2, ordered=4, provisioning_state="Updating"))
        assert intent.kind == "wish"
        assert (intent.value or 0) > 4

    @pytest.mark.parametrize("state", ["Succeeded", "Failed", "Canceled", ""])
    def test_a_settled_deployment_may_be_changed(self, state: str) -> None:
        assert wanted(snapshot(depth=5000, provisioning_state=state)).kind == "wish"


class TestGrowth:
    def test_a_backlog_that_breaks_the_promise_is_met_with_as_many_as_it_needs(self) -> None:
        # As long as the depth is not seen to fall, as many come as are completed: 3000 messages in 300 s.
        intent = wanted(snapshot(depth=3000, completions_per_s=2))
        assert (intent.kind, intent.value, intent.rule) == ("wish", 10, "promise_at_risk")

    def test_the_sentence_has_the_numbers(self) -> None:
        reason = wanted(snapshot(depth=3000, completions_per_s=2)).reason
        for part in (
            "3000 messages wait",
            "2 instances",
            "2.00/s",
            "25 min",
            "promised 5 min",
            "10 instances",
            "3 min",
        ):
            assert part in reason

    def test_the_numbers_are_beside_the_sentence(self) -> None:
        numbers = wanted(snapshot(depth=3000, completions_per_s=2)).numbers
        assert numbers["depth"] == 3000
        assert numbers["capacity"] == numbers["ready"] == 2
        assert numbers["drain_s"] == 1500
        assert numbers["drain_within_s"] == 300
        assert numbers["service_rate_per_s"] == 1.0
        assert numbers["limit_max"] == 20
        assert numbers["limit_quota"] == 42

    def test_arrivals_beyond_what_is_served_are_met_before_the_backlog_is_there(self) -> None:
        intent = wanted(snapshot(depth=30, arrivals_per_s=5, completions_per_s=2))
        assert intent.rule == "promise_at_risk"
        assert (intent.value or 0) >= 6  # five a second and a fifth of headroom

    def test_a_queue_that_is_drained_in_time_is_left_alone(self) -> None:
        intent = wanted(snapshot(depth=500, arrivals_per_s=1.9, completions_per_s=2))
        assert (intent.kind, intent.value, intent.rule) == ("wish", 2, "promise_kept")
        assert "drained in 4 min, promised 5 min" in intent.reason

    def test_arrivals_that_are_a_little_too_many_for_a_moment_are_no_reason(self) -> None:
        assert wanted(snapshot(depth=4, arrivals_per_s=2.1, completions_per_s=2)).rule == "promise_kept"

    def test_depth_alone_is_no_reason_for_a_slow_promise(self) -> None:
        seen = snapshot(depth=3000, completions_per_s=2)
        assert wanted(seen, rules=policy(drain_within_s=3600.0)).rule == "promise_kept"

    @pytest.mark.parametrize("arrivals", [missing(), stale(0)])
    def test_without_arrivals_it_may_grow(self, arrivals: object) -> None:
        intent = wanted(snapshot(depth=3000, arrivals_per_s=arrivals, completions_per_s=2))
        assert intent.kind == "wish"
        assert (intent.value or 0) > 2

    def test_a_depth_that_climbs_shows_arrivals_which_no_metric_tells(self) -> None:
        watch = Watch(policy(drain_within_s=600.0))
        rates = {"arrivals_per_s": missing(), "completions_per_s": missing(), "ready": missing()}
        intents = [watch.look(t, depth=20 + 4 * t, **rates) for t in range(0, 121, 15)]
        assert intents[0].rule == "promise_kept"
        assert intents[-1].rule == "promise_at_risk"
        assert intents[-1].numbers["arrivals_per_s"] == pytest.approx(6, rel=0.1)  # 4 more a second, though 2 served

    def test_a_depth_that_is_told_again_is_no_news(self) -> None:
        """Queue counts are cached in a sweep: the same reading, taken for a new one, would flatten the slope."""
        watch = Watch()
        watch.look(0, depth=100)
        watch.look(15, depth=200)
        slope = watch.memory.depth_slope_per_s
        for t in (30, 45, 60):
            watch.look(t, depth=fresh(200, later(15)))
        assert watch.memory.depth_slope_per_s == slope > 0

    def test_late_completions_of_a_backlog_that_is_gone_are_not_taken_for_arrivals(self) -> None:
        watch = Watch()
        watch.look(0, depth=0, arrivals_per_s=1, completions_per_s=8, capacity=8)
        intent = watch.look(15, depth=6, arrivals_per_s=1, completions_per_s=8, capacity=8)
        assert intent.numbers["arrivals_per_s"] == 1

    def test_min_is_restored_at_once(self) -> None:
        intent = wanted(snapshot(capacity=1), rules=policy(min=3))
        assert (intent.value, intent.rule) == (3, "below_min")

    def test_min_is_no_ceiling_for_need(self) -> None:
        intent = wanted(snapshot(capacity=1, depth=3000), rules=policy(min=3))
        assert intent.rule == "promise_at_risk"
        assert (intent.value or 0) > 3

    def test_no_instance_at_all_is_below_min(self) -> None:
        intent = wanted(snapshot(capacity=0, depth=5), rules=policy(cold_start_s=0.0))
        assert intent.kind == "wish"
        assert "drain_s" not in intent.numbers  # never is no number


class TestLimits:
    def test_max_limits_and_the_broken_promise_is_said(self) -> None:
        intent = wanted(snapshot(depth=30_000, capacity=2, completions_per_s=2), rules=policy(max=6))
        assert (intent.value, intent.rule) == (6, "promise_at_risk_limited_by_max")
        assert "100 are needed, but the policy's max allows 6: the promise will not be kept" in intent.reason

    def test_at_max_it_holds_and_says_by_how_much_the_promise_is_missed(self) -> None:
        intent = wanted(snapshot(depth=30_000, capacity=6, completions_per_s=6), rules=policy(max=6))
        assert (intent.kind, intent.rule) == ("hold", "limited_by_max")
        for part in ("30000 messages wait", "drained in 83 min, promised 5 min", "cannot be kept", "max allows 6"):
            assert part in intent.reason

    def test_quota_limits(self) -> None:
        intent = wanted(snapshot(depth=30_000, completions_per_s=2, quota_headroom=3))
        assert (intent.value, intent.rule) == (5, "promise_at_risk_limited_by_quota")
        assert "quota of the VM family allows 5" in intent.reason

    @pytest.mark.parametrize("headroom", [0, -4])
    def test_without_quota_nothing_grows(self, headroom: int) -> None:
        intent = wanted(snapshot(depth=30_000, completions_per_s=2, quota_headroom=headroom))
        assert (intent.kind, intent.rule) == ("hold", "limited_by_quota")
        assert "allows 2" in intent.reason

    def test_unknown_quota_is_left_to_the_act_which_reads_it_afresh(self) -> None:
        assert wanted(snapshot(depth=3000, completions_per_s=2, quota_headroom=missing())).value == 10

    def test_a_step_limits(self) -> None:
        intent = wanted(snapshot(depth=30_000, completions_per_s=2), rules=policy(max_step_out=3))
        assert (intent.value, intent.rule) == (5, "promise_at_risk_limited_by_step")

    def test_min_is_restored_in_steps_too(self) -> None:
        intent = wanted(snapshot(capacity=1), rules=policy(min=9, max_step_out=3))
        assert intent.value == 4
        assert "max_step_out allows 4" in intent.reason

    def test_late_messages_that_nobody_can_help_are_admitted(self) -> None:
        """1000 messages for one instance, promised in 600 s: new ones would come when 100 are left."""
        rules = policy(drain_within_s=600.0, cold_start_s=900.0)
        watch = Watch(rules)
        intent = [watch.look(t, depth=1300 - t, capacity=1, completions_per_s=1) for t in range(0, 301, 15)][-1]
        assert (intent.value, intent.rule) == (1, "late_but_draining")
        for part in ("drained in 17 min", "promised 10 min", "cannot be kept", "15 min"):
            assert part in intent.reason


class TestPendingCapacity:
    def test_what_was_ordered_is_not_ordered_again(self) -> None:
        watch = Watch()
        first = watch.look(0, depth=3000, completions_per_s=2)
        assert first.value == 10
        watch.changed(0, 2, 10)
        for t in range(15, 181, 15):
            intent = watch.look(t, depth=3000 - 2 * t, completions_per_s=2, capacity=10, ready=2)
            assert (intent.kind, intent.value) in (("wish", 10), ("hold", None)), intent.reason

    def test_a_deeper_backlog_orders_only_the_difference(self) -> None:
        watch = Watch()
        watch.changed(0, 2, 9)
        intent = watch.look(90, depth=6000, completions_per_s=2, capacity=9, ready=2)
        # 2/s come. 6000 wait when seven more serve in 90 s, 5370 when still newer ones would: 17.9 for 300 s.
        assert intent.value == 18

    def test_the_sentence_tells_what_is_pending_and_when_it_comes(self) -> None:
        watch = Watch()
        watch.changed(0, 2, 9)
        reason = watch.look(90, depth=6000, completions_per_s=2, capacity=9, ready=2).reason
        assert "2 instances (and 7 pending, expected in 90 s)" in reason

    def test_an_order_in_flight_counts_before_azure_shows_it(self) -> None:
        watch = Watch()
        watch.changed(0, 2, 9)
        intent = watch.look(75, depth=2900, completions_per_s=2, capacity=2, ordered=9, provisioning_state="Updating")
        assert intent.value == 9

    def test_without_the_metric_of_ready_instances_they_come_after_their_cold_start(self) -> None:
        watch = Watch(memory=ScalingMemory(ready=2))
        watch.changed(0, 2, 9)
        assert watch.look(179, capacity=9, ready=missing()).numbers["ready"] == 2
        assert watch.look(180, capacity=9, ready=missing()).numbers["ready"] == 9


class TestCoolDown:
    def test_growth_waits_for_its_cool_down_and_says_so(self) -> None:
        watch = Watch()
        watch.changed(0, 1, 2)
        held = watch.look(59, depth=5000, completions_per_s=1, ready=1)
        assert (held.kind, held.rule) == ("hold", "scale_out_cooldown")
        assert "12:30:00 UTC" in held.reason
        assert "60 s" in held.reason
        assert watch.look(60, depth=5000, completions_per_s=1, ready=1).kind == "wish"

    def test_a_change_ends_when_what_it_ordered_serves(self) -> None:
        watch = Watch()
        watch.changed(0, 1, 2)
        assert watch.look(100, depth=5000, completions_per_s=2).rule == "scale_out_cooldown"
        assert watch.look(159, depth=5000, completions_per_s=2).rule == "scale_out_cooldown"
        assert watch.look(160, depth=5000, completions_per_s=2).kind == "wish"

    def test_a_growth_after_a_shrinking_waits_for_it_too(self) -> None:
        watch = Watch()
        watch.changed(0, 4, 2)
        assert watch.look(30, depth=5000, completions_per_s=2).rule == "scale_out_cooldown"


class TestServiceRate:
    def test_a_known_rate_is_never_replaced_by_what_was_learned_before(self) -> None:
        learned = ScalingMemory(service_rate_per_s=0.01)
        assert wanted(snapshot(depth=10), learned, policy(service_rate=KNOWN)).numbers["service_rate_per_s"] == 1.0
        assert wanted(snapshot(depth=10), learned, policy(service_rate=LEARNED)).numbers["service_rate_per_s"] == 0.01

    def test_it_is_learned_from_minutes_of_full_work(self) -> None:
        watch = Watch(policy(service_rate=LEARNED))
        for minute in range(1, 15):
            watch.look(60 * minute, depth=500, completions_per_s=6, capacity=2)
        assert watch.memory.service_rate_per_s == pytest.approx(3.0, rel=0.02)

    @pytest.mark.parametrize(("completions", "learned"), [(6, 1 + 2 * 360 / 410), (1, 0.9)])
    def test_a_minute_is_believed_by_how_much_was_completed_in_it(self, completions: int, learned: float) -> None:
        watch = Watch(policy(service_rate=LEARNED))
        for minute in (1, 2):
            watch.look(60 * minute, depth=500, completions_per_s=completions, capacity=2)
        assert watch.memory.service_rate_per_s == pytest.approx(learned)

    @pytest.mark.parametrize(
        ("why", "fields"),
        [
            ("nothing waits", {"depth": 2}),
            ("instances are still to come", {"depth": 500, "capacity": 6, "ready": 2}),
            ("completions are unknown", {"depth": 500, "completions_per_s": missing()}),
            ("completions are old", {"depth": 500, "completions_per_s": stale(6)}),
            ("nothing was completed", {"depth": 500, "completions_per_s": 0}),
        ],
    )
    def test_it_is_not_learned_when(self, why: str, fields: dict[str, object]) -> None:
        watch = Watch(policy(service_rate=LEARNED))
        for minute in range(1, 8):
            watch.look(60 * minute, **{"completions_per_s": 6, "capacity": 2} | fields)
        assert watch.memory.service_rate_per_s is None, why

    def test_the_minute_in_which_instances_arrive_teaches_nothing(self) -> None:
        watch = Watch(policy(service_rate=LEARNED))
        watch.look(60, depth=500, completions_per_s=2, capacity=2)
        watch.look(120, depth=500, completions_per_s=2, capacity=2)
        known = watch.memory.service_rate_per_s
        watch.look(180, depth=500, completions_per_s=2, capacity=8)  # all eight serve, the minute is of two
        assert watch.memory.service_rate_per_s == known

    def test_one_minute_is_seen_once(self) -> None:
        watch = Watch(policy(service_rate=LEARNED))
        for t in range(60, 240, 15):
            watch.look(t, depth=500, completions_per_s=fresh(6, later(60)), capacity=2)
        assert watch.memory.service_rate_per_s is None

    def test_the_memory_of_an_idle_queue_does_not_change(self) -> None:
        """What does not change is not written: an idle estate costs no writes."""
        memory = ScalingMemory()
        for t in range(0, 600, 15):
            seen = snapshot(later(t), capacity=1)
            _, after = decide(seen, memory, policy(), later(t))
            assert t == 0 or after == memory
            memory = after

    def test_now_is_the_callers(self) -> None:
        (intent,), _ = decide(snapshot(), ScalingMemory(), policy(), NOW)
        assert intent.at == NOW
