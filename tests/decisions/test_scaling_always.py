"""What holds for any snapshot, memory and policy whatever."""

import copy
from datetime import timedelta

from hypothesis import given

from shared.decisions.scaling import after_change, decide
from shared.domain import Fresh, Intent, Measurement, ScalingMemory, ScalingSnapshot, aged
from shared.policy import Scaling
from shared.records.codec import decode, encode
from tests.decisions.anything import memories, policies, snapshots
from tests.decisions.builders import NOW, decided


def intent_of(seen: ScalingSnapshot, memory: ScalingMemory, rules: Scaling) -> Intent:
    (intent,), _ = decide(seen, memory, rules, NOW)
    return intent


def is_fresh_now(measurement: Measurement, rules: Scaling) -> bool:
    return isinstance(aged(measurement, NOW, rules.stale_after_s), Fresh)


def capacity_of(seen: ScalingSnapshot) -> int:
    """What is there or ordered already."""
    assert isinstance(seen.capacity, Fresh)
    return int(seen.capacity.value) if seen.ordered is None else seen.ordered


@given(snapshots, memories, policies())
def test_it_wants_one_thing_and_says_why(seen: ScalingSnapshot, memory: ScalingMemory, rules: Scaling) -> None:
    intent = intent_of(seen, memory, rules)
    assert (intent.target, intent.dimension, intent.source, intent.at) == (seen.target, "capacity", "scaling", NOW)
    assert intent.kind in ("wish", "hold")
    assert (intent.value is None) == (intent.kind == "hold")
    assert intent.rule
    assert intent.reason.endswith(".")


@given(snapshots, memories, policies())
def test_the_same_look_gives_the_same_answer_and_changes_nothing_that_it_was_given(
    seen: ScalingSnapshot, memory: ScalingMemory, rules: Scaling
) -> None:
    before = copy.deepcopy((seen, memory, rules))
    first = decide(seen, memory, rules, NOW)
    assert decide(seen, memory, rules, NOW) == first
    assert (seen, memory, rules) == before


@given(snapshots, memories, policies())
def test_what_it_says_and_remembers_can_be_stored(seen: ScalingSnapshot, memory: ScalingMemory, rules: Scaling) -> None:
    (intent,), after = decide(seen, memory, rules, NOW)
    assert decode(Intent, encode(intent)) == intent
    assert decode(ScalingMemory, encode(after)) == after


@given(snapshots, memories, policies())
def test_nothing_is_done_without_a_fresh_depth_and_capacity(
    seen: ScalingSnapshot, memory: ScalingMemory, rules: Scaling
) -> None:
    if not (is_fresh_now(seen.depth, rules) and is_fresh_now(seen.capacity, rules)):
        (intent,), after = decide(seen, memory, rules, NOW)
        assert intent.kind == "hold"
        assert after == memory


@given(snapshots, memories, policies())
def test_nothing_shrinks_unless_all_that_matters_is_fresh(
    seen: ScalingSnapshot, memory: ScalingMemory, rules: Scaling
) -> None:
    intent = intent_of(seen, memory, rules)
    if intent.value is not None and intent.value < capacity_of(seen):
        for measurement in (seen.depth, seen.arrivals_per_s, seen.completions_per_s, seen.ready, seen.capacity):
            assert is_fresh_now(measurement, rules)


@given(snapshots, memories, policies())
def test_wishes_stay_within_min_and_max_but_for_the_steps_on_the_way_there(
    seen: ScalingSnapshot, memory: ScalingMemory, rules: Scaling
) -> None:
    intent = intent_of(seen, memory, rules)
    if intent.value is None:
        return
    capacity = capacity_of(seen)
    if intent.value > capacity:
        assert intent.value <= rules.max
        assert intent.value <= capacity + (rules.max_step_out or 50)
        if is_fresh_now(seen.quota_headroom, rules):
            assert isinstance(seen.quota_headroom, Fresh)
            assert intent.value <= capacity + max(0, int(seen.quota_headroom.value))
    if intent.value < capacity:
        assert intent.value >= rules.min
        assert intent.value >= capacity - (rules.max_step_in or 50)
    if intent.value == capacity:
        assert rules.min <= capacity <= rules.max


@given(snapshots, memories, policies())
def test_two_writers_never_meet(seen: ScalingSnapshot, memory: ScalingMemory, rules: Scaling) -> None:
    if seen.autoscale_setting or seen.autoscale_unknown or seen.scaled_by_cluster:
        assert intent_of(seen, memory, rules).kind == "hold"


@given(snapshots, memories, policies())
def test_within_the_cool_downs_nothing_changes_but_up_to_min(
    seen: ScalingSnapshot, memory: ScalingMemory, rules: Scaling
) -> None:
    just_now = after_change(memory, decided(4, 5, NOW - timedelta(milliseconds=1)))
    intent = intent_of(seen, just_now, rules)
    if intent.value is None:
        return
    capacity = capacity_of(seen)
    if intent.value > capacity and rules.scale_out_cooldown_s > 1:
        assert capacity < rules.min
    if rules.cooldown_s > 1:
        assert intent.value >= capacity


@given(memories)
def test_a_decision_that_changes_nothing_is_not_remembered(memory: ScalingMemory) -> None:
    assert after_change(memory, decided(4, 4)) == memory
