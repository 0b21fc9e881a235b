"""The fold of intents: every rule of precedence by example, and what must hold for any intents at all."""

import itertools
from collections.abc import Sequence
from datetime import timedelta
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from shared.decisions.arbitration import PRECEDENCE, Subject, arbitrate, fold
from shared.domain import Decision, Intent, IntentKind, Source
from tests.decisions.builders import NOW, TARGET

# Leases are in test_endpoint.py.
KINDS: tuple[IntentKind, ...] = ("wish", "floor", "ceiling", "hold")
OTHER = TARGET.replace("/blue", "/green")


def intent(
    source: Source,
    kind: IntentKind,
    value: int | None = None,
    *,
    target: str = TARGET,
    lasts_s: float | None = None,
    reason: str | None = None,
) -> Intent:
    return Intent(
        target=target,
        dimension="capacity",
        kind=kind,
        source=source,
        rule=f"{source}_{kind}",
        reason=reason or f"{source} says {kind} {value}",
        at=NOW,
        value=value,
        expires_at=None if lasts_s is None else NOW + timedelta(seconds=lasts_s),
    )


def folded(current: int, *intents: Intent, version: str = "v1", decisions: int = 0) -> Decision:
    return fold(TARGET, "capacity", Subject(current=current, policy_version=version, decisions=decisions), intents, NOW)


def lost(decision: Decision) -> set[tuple[str, str]]:
    return {(each.source, each.kind) for each in decision.overruled}


any_intent = st.builds(
    intent,
    st.sampled_from(PRECEDENCE),
    st.sampled_from(KINDS),
    st.none() | st.integers(-2, 60),
    target=st.sampled_from((TARGET, OTHER)),
    lasts_s=st.none() | st.floats(-100, 100),
    reason=st.sampled_from(("one", "two", None)),
)
any_intents = st.lists(any_intent, max_size=8)
any_current = st.integers(0, 50)


class TestPrecedence:
    def test_nothing_wanted_leaves_what_is_there(self) -> None:
        decision = folded(3)
        assert (decision.to, decision.rule, decision.winner, decision.changes) == (3, "nothing_wanted", None, False)

    def test_a_wish_alone_is_granted_and_explains_the_decision(self) -> None:
        decision = folded(2, intent("scaling", "wish", 5))
        assert (decision.to, decision.rule, decision.reason) == (5, "scaling_wish", "scaling says wish 5")
        assert decision.overruled == ()

    def test_scaling_goes_before_savings(self) -> None:
        decision = folded(4, intent("scaling", "wish", 6), intent("savings", "wish", 1))
        assert decision.to == 6
        assert lost(decision) == {("savings", "wish")}

    def test_a_budget_stop_goes_before_scaling(self) -> None:
        decision = folded(4, intent("scaling", "wish", 9), intent("budget", "ceiling", 5))
        assert (decision.to, decision.winner) == (5, "budget")
        assert lost(decision) == {("scaling", "wish")}

    def test_a_safety_floor_goes_before_a_budget_stop(self) -> None:
        decision = folded(4, intent("budget", "ceiling", 1), intent("platform", "floor", 3))
        assert (decision.to, decision.winner) == (3, "platform")
        assert lost(decision) == {("budget", "ceiling")}

    def test_a_floor_that_is_met_anyway_leaves_the_reason_to_the_wish(self) -> None:
        decision = folded(4, intent("scaling", "wish", 6), intent("platform", "floor", 3))
        assert (decision.to, decision.winner, decision.overruled) == (6, "scaling", ())

    def test_the_highest_of_several_floors_counts(self) -> None:
        floors = (intent("platform", "floor", 3), intent("platform", "floor", 5))
        assert folded(1, *floors).to == folded(1, *reversed(floors)).to == 5

    def test_a_rollouts_floor_outranks_the_platforms_ceiling(self) -> None:
        assert folded(4, intent("platform", "ceiling", 2), intent("rollout", "floor", 6)).to == 6

    def test_within_one_source_a_floor_outranks_a_ceiling(self) -> None:
        decision = folded(4, intent("platform", "ceiling", 2), intent("platform", "floor", 6))
        assert decision.to == 6
        assert lost(decision) == {("platform", "ceiling")}

    def test_a_loop_that_holds_is_overruled_by_a_floor(self) -> None:
        decision = folded(1, intent("scaling", "hold"), intent("platform", "floor", 3))
        assert decision.to == 3
        assert lost(decision) == {("scaling", "hold")}
        assert decision.alarms == ()

    def test_a_persons_hold_beats_everything(self) -> None:
        others = [intent(source, kind, 7) for source in PRECEDENCE for kind in KINDS if (source, kind) != _HOLD]
        decision = folded(2, *others, intent("person", "hold", reason="paused by ann"))
        assert (decision.to, decision.winner, decision.reason) == (2, "person", "paused by ann")

    def test_a_manual_change_is_respected_by_the_loops_and_yields_to_a_person(self) -> None:
        held = folded(2, intent("scaling", "wish", 8), intent("manual_change", "hold"))
        assert (held.to, held.winner) == (2, "manual_change")
        told = folded(2, intent("manual_change", "hold"), intent("person", "wish", 4))
        assert (told.to, told.winner) == (4, "person")

    def test_a_hold_below_a_floor_is_respected_and_alarmed(self) -> None:
        decision = folded(1, intent("platform", "floor", 3, reason="never alone"), intent("person", "hold"))
        assert decision.to == 1
        assert lost(decision) == {("platform", "floor")}
        (alarm,) = decision.alarms
        assert "Held at 1 by person" in alarm
        assert "at least 3: never alone" in alarm

    def test_only_a_persons_hold_goes_below_a_safety_floor(self) -> None:
        floor = intent("platform", "floor", 3, reason="never alone")
        below = [intent("rollout", kind, 1) for kind in ("wish", "ceiling", "hold")]
        below += [intent(source, kind, 1) for source in ("person", "manual_change") for kind in ("wish", "ceiling")]
        for each in below:
            decision = folded(1, floor, each)
            assert (decision.to, decision.reason, decision.alarms) == (3, "never alone", ())
            assert lost(decision) == {(each.source, each.kind)}
            assert decision.overruled[0].by == "platform: platform_floor"

    def test_a_wait_after_a_change_that_did_not_work_is_not_cut_short_by_what_adds_nothing(self) -> None:
        waiting = (intent("platform", "floor", 3), intent("platform", "hold", reason="backing off"))
        for each in (intent("rollout", "hold"), intent("rollout", "wish", 1), intent("rollout", "floor", 1)):
            decision = folded(2, *waiting, each)
            assert decision.to == 2
            assert any("at least 3" in alarm for alarm in decision.alarms)

    def test_a_hold_above_the_floor_alarms_nobody(self) -> None:
        assert folded(4, intent("platform", "floor", 3), intent("person", "hold")).alarms == ()

    def test_what_was_overruled_names_who_stands_above(self) -> None:
        (overruled,) = folded(2, intent("scaling", "wish", 8), intent("person", "hold")).overruled
        assert (overruled.rule, overruled.value, overruled.by) == ("scaling_wish", 8, "person: person_hold")

    def test_wishes_and_bounds_without_a_value_want_nothing(self) -> None:
        empty = [intent("platform", kind) for kind in KINDS if kind != "hold"]
        decision = folded(2, intent("scaling", "wish", 4), *empty)
        assert (decision.to, decision.winner, decision.overruled) == (4, "scaling", ())


_HOLD = ("person", "hold")


class TestExpiry:
    def test_an_intent_is_gone_at_the_moment_it_expires(self) -> None:
        wish = intent("scaling", "wish", 5)
        assert folded(2, wish, intent("person", "hold", lasts_s=0.001)).to == 2
        assert folded(2, wish, intent("person", "hold", lasts_s=0)).to == 5

    @given(any_current, any_intents)
    def test_expired_intents_have_no_effect(self, current: int, intents: list[Intent]) -> None:
        assert folded(current, *intents) == folded(current, *(each for each in intents if each.is_live(NOW)))


class TestAnyIntents:
    @given(any_current, any_intents)
    def test_the_result_is_one_of_the_values_that_were_named(self, current: int, intents: list[Intent]) -> None:
        decision = folded(current, *intents)
        assert decision.to in {current, *(each.value for each in intents if each.target == TARGET)}

    @given(any_current, any_intents, st.randoms(use_true_random=False))
    def test_the_order_of_intents_does_not_matter(self, current: int, intents: list[Intent], random: Random) -> None:
        shuffled = list(intents)
        random.shuffle(shuffled)
        assert folded(current, *shuffled) == folded(current, *intents)

    @given(any_current, any_intents)
    def test_other_targets_do_not_matter(self, current: int, intents: list[Intent]) -> None:
        assert folded(current, *intents) == folded(current, *(each for each in intents if each.target == TARGET))

    @given(any_current, any_intents)
    def test_overruled_are_exactly_the_intents_that_are_not_met(self, current: int, intents: list[Intent]) -> None:
        decision = folded(current, *intents)
        live = [each for each in intents if each.target == TARGET and each.is_live(NOW)]
        unmet = [each for each in live if not _is_met(each, decision.to, current)]
        assert sorted((o.source, o.kind, str(o.value)) for o in decision.overruled) == sorted(
            (each.source, each.kind, str(each.value)) for each in unmet
        )

    @given(any_current, any_intents)
    def test_a_persons_hold_holds(self, current: int, intents: list[Intent]) -> None:
        assert folded(current, *intents, intent("person", "hold")).to == current

    @given(any_current, any_intents, st.integers(0, 50))
    def test_a_floor_binds_unless_something_above_it_speaks(
        self, current: int, intents: list[Intent], floor: int
    ) -> None:
        below = [each for each in intents if PRECEDENCE.index(each.source) < PRECEDENCE.index("platform")]
        assert folded(current, *below, intent("platform", "floor", floor)).to >= floor

    @given(any_current, any_intents)
    def test_the_winner_got_what_it_wanted(self, current: int, intents: list[Intent]) -> None:
        decision = folded(current, *intents)
        winners = [i for i in intents if (i.source, i.rule) == (decision.winner, decision.rule) and i.is_live(NOW)]
        if decision.winner is None:
            assert decision.to == current
        else:
            assert any(_is_met(each, decision.to, current) for each in winners)

    @given(any_current, any_intents)
    def test_identical_inputs_give_identical_decisions(self, current: int, intents: list[Intent]) -> None:
        first, second = folded(current, *intents), folded(current, *intents)
        assert (first, first.id, first.plan_hash) == (second, second.id, second.plan_hash)


def _is_met(each: Intent, to: int, current: int) -> bool:
    """An independent reading of the four kinds."""
    match each.kind:
        case "hold" | "lease":
            return to == current
        case "wish":
            return each.value is None or to == each.value
        case "floor":
            return each.value is None or to >= each.value
        case "ceiling":
            return each.value is None or to <= each.value


class TestSmallWorldsExhaustively:
    """Every subset of one intent of each participant that meets at an endpoint, at every size."""

    INTENTS: tuple[Intent, ...] = (
        intent("savings", "wish", 1),
        intent("scaling", "wish", 4),
        intent("scaling", "hold"),
        intent("budget", "ceiling", 2),
        intent("platform", "floor", 3),
        intent("rollout", "floor", 5),
        intent("rollout", "hold"),
        intent("manual_change", "hold"),
        intent("person", "hold"),
    )

    def worlds(self) -> Sequence[tuple[int, tuple[Intent, ...]]]:
        subsets = itertools.chain.from_iterable(
            itertools.combinations(self.INTENTS, size) for size in range(len(self.INTENTS) + 1)
        )
        return list(itertools.product(range(7), subsets))

    def test_all_agree_with_the_words_of_the_design(self) -> None:
        for current, present in self.worlds():
            decision = folded(current, *present)
            assert decision.to == _by_the_words(current, present), (current, [i.rule for i in present])

    def test_a_safety_floor_is_broken_only_by_a_persons_hold_and_never_silently(self) -> None:
        floor = next(each for each in self.INTENTS if each.source == "platform")
        for current, present in self.worlds():
            decision = folded(current, *present)
            if floor in present and decision.to < (floor.value or 0):
                assert decision.winner in ("manual_change", "person")
                assert any(floor.reason in alarm for alarm in decision.alarms)

    def test_a_rollouts_floor_is_broken_only_by_a_hold_as_high(self) -> None:
        floor = next(each for each in self.INTENTS if (each.source, each.kind) == ("rollout", "floor"))
        for current, present in self.worlds():
            if floor in present and folded(current, *present).to < (floor.value or 0):
                held_by = {each.source for each in present if each.kind == "hold"}
                assert held_by & {"rollout", "manual_change", "person"}


def _by_the_words(current: int, present: Sequence[Intent]) -> int:
    """The design's sentence on precedence, highest first, written as it is read."""
    said = {(each.source, each.kind): each.value or 0 for each in present}
    floor = said.get(("platform", "floor"), 0)
    if {("person", "hold"), ("manual_change", "hold")} & said.keys():
        return current
    if ("rollout", "hold") in said:
        return max(current, floor)
    value = said.get(("scaling", "wish"), said.get(("savings", "wish"), current))
    if ("scaling", "hold") in said:
        value = current
    value = min(value, said.get(("budget", "ceiling"), value))
    return max(value, floor, said.get(("rollout", "floor"), value))


class TestIdentity:
    def test_the_plan_is_target_from_to_rule_and_policy_version(self) -> None:
        base = folded(2, intent("scaling", "wish", 5))
        assert folded(2, intent("scaling", "wish", 5, reason="other words")).plan_hash == base.plan_hash
        others = (
            folded(3, intent("scaling", "wish", 5)),
            folded(2, intent("scaling", "wish", 6)),
            folded(2, intent("savings", "wish", 5)),
            folded(2, intent("scaling", "wish", 5), version="v2"),
        )
        assert len({base.plan_hash, *(other.plan_hash for other in others)}) == 5

    def test_the_id_starts_with_the_day_and_tells_repeated_plans_apart(self) -> None:
        wish = intent("scaling", "wish", 5)
        first, second = folded(2, wish, decisions=0), folded(2, wish, decisions=1)
        assert first.id.startswith("20260105T000001-")
        assert first.id != second.id
        assert first.plan_hash == second.plan_hash

    def test_every_subject_gets_its_own_decision(self) -> None:
        subjects = {
            TARGET: Subject(current=2, policy_version="v1"),
            OTHER: Subject(current=6, policy_version="v1"),
        }
        intents = (intent("scaling", "wish", 4), intent("scaling", "wish", 1, target=OTHER))
        decisions = arbitrate(subjects, intents, NOW)
        assert {key: decision.to for key, decision in decisions.items()} == {TARGET: 4, OTHER: 1}
