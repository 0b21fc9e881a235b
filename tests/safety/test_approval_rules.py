"""Pure rules of approvals: what no sequence of answers, decisions and hours may ever allow."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from shared.domain import Action, Answer, ApprovalRequest, Ask, Decision, Requirement
from shared.safety.approvals import rules
from shared.safety.facts import AsksPeople, Refusal
from tests.safety.builders import NOW, asked, facts, plan, policy

PEOPLE = ("ada@example.com", "bea@example.com", "cyd@example.com")
STRANGER = "eve@example.com"


def requirement(**changes: Any) -> Requirement:
    fields: dict[str, Any] = {
        "asks": (Ask(rule="big", who=PEOPLE[:2], needed=2), Ask(rule="dear", who=PEOPLE[1:], needed=1)),
        "deadline_s": 3600.0,
        "valid_for_s": 600.0,
        "ask_again_after_s": 7200.0,
        "tolerance_instances": 1,
        "tolerance_pct": 20.0,
    }
    return Requirement(**fields | changes)


def request(decision: Decision | None = None, **changes: Any) -> ApprovalRequest:
    about = decision or plan(3, 5)
    fields: dict[str, Any] = {
        "id": about.id,
        "plan": about.plan_hash,
        "decision": about,
        "endpoint_key": "/e",
        "target_name": "chat",
        "project": "talk",
        "loop": "scaling",
        "requirement": requirement(),
        "asked_at": NOW,
        "told": True,
    }
    return ApprovalRequest(**fields | changes)


def answer(who: str = PEOPLE[0], verdict: Any = "approve", at_s: float = 0, **changes: Any) -> Answer:
    fields: dict[str, Any] = {"why": "", "how": "link", "link": f"{who}-{verdict}"}
    return Answer(who=who, verdict=verdict, at=NOW + timedelta(seconds=at_s), **fields | changes)


def action(decision: Decision, **changes: Any) -> Action:
    fields: dict[str, Any] = {"key": decision.id, "state": "claimed", "sends": 1}
    return Action(
        target=decision.target,
        dimension="capacity",
        current=decision.current,
        to=decision.to,
        request_id="r",
        claimed_at=NOW,
        **fields | changes,
    )


class Approvals(RuleBasedStateMachine):
    """Two decisions about one target, in turn the newest; people answer anything at any time.

    The model is a list of everything that was ever said, judged from scratch.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.plans = [plan(3, 5, id="20260311T000001-a"), plan(3, 9, id="20260311T000002-b")]
        self.requests = [request(decision) for decision in self.plans]
        self.said: list[list[Answer]] = [[], []]
        self.began: list[int] = [0, 0]
        self.stopped = [False, False]
        self.yes_in_time = [False, False]

    which = st.integers(0, 1)

    @rule(seconds=st.sampled_from([1, 60, 300, 599, 600, 3600]))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(which=which, who=st.sampled_from([*PEOPLE, STRANGER]), verdict=st.sampled_from(["approve", "deny"]))
    def somebody_answers(self, which: int, who: str, verdict: Any) -> None:
        before = self.requests[which]
        given = Answer(who=who, verdict=verdict, why="", at=self.now, how="link", link=f"{which}{who}{verdict}")
        try:
            self.requests[which] = rules.answered(before, given)
        except rules.NotCounted:
            return
        assert who != STRANGER
        assert before.is_open
        assert self.now < before.deadline or before.state == "approved"
        assert all((one.who, one.verdict) != (who, verdict) for one in self.said[which])
        self.said[which].append(given)
        self.stopped[which] |= verdict == "deny"

    @rule(which=which)
    def enough_say_yes(self, which: int) -> None:
        for who in PEOPLE[:2]:
            self.somebody_answers(which, who, "approve")

    @rule(which=which)
    def it_is_delivered(self, which: int) -> None:
        known = rules.as_of(self.requests[which], self.now)
        if known.state == "pending" and known.delivered_at is None:
            self.requests[which] = replace(known, delivered_at=self.now)

    @rule(which=which)
    def it_is_replaced(self, which: int) -> None:
        known = rules.as_of(self.requests[which], self.now)
        if known.is_open:
            self.requests[which] = rules.ended(known, "replaced", "newer", self.now)
            self.stopped[which] = True

    @rule(which=which)
    def the_clock_is_written_down(self, which: int) -> None:
        self.requests[which] = rules.as_of(self.requests[which], self.now)

    @rule(which=which)
    def its_act_begins(self, which: int) -> None:
        open_gate = rules.judged(requirement(), self.plans[which], self.requests[which], None, self.now)
        try:
            self.requests[which] = rules.begun(self.requests[which], self.now)
        except rules.NotCounted:
            assert open_gate is not None
            return
        assert open_gate is None
        self.began[which] += 1
        yes = {one.who for one in self.said[which] if one.verdict == "approve"}
        assert not self.stopped[which]
        assert len(yes & set(PEOPLE[:2])) == 2
        assert yes & set(PEOPLE[1:])
        # The yes that made it enough: from there it is valid for ten minutes.
        enough_at = next(
            one.at
            for n, one in enumerate(self.said[which])
            if set(PEOPLE[:2]) <= {earlier.who for earlier in self.said[which][: n + 1]}
        )
        assert self.now < enough_at + timedelta(seconds=600)

    @rule(which=which)
    def the_approval_of_one_plan_is_shown_for_the_other(self, which: int) -> None:
        shut = rules.judged(requirement(), self.plans[1 - which], self.requests[which], None, self.now)
        assert isinstance(shut, Refusal)
        assert shut.code == "approval_of_another_plan"

    @invariant()
    def one_approval_runs_at_most_once(self) -> None:
        assert max(self.began) <= 1

    @precondition(lambda self: any(one.state == "used" for one in self.requests))
    @rule()
    def a_used_approval_is_shut_for_every_other_act(self) -> None:
        for decision, one in zip(self.plans, self.requests, strict=True):
            if one.state != "used":
                continue
            another = action(decision, key="20260311T000009-z")
            over = action(decision, state="succeeded")
            for other in (None, another, over):
                shut = rules.judged(requirement(), decision, one, other, self.now)
                assert isinstance(shut, Refusal)
                assert shut.code == "approval_used"
            assert rules.judged(requirement(), decision, one, action(decision), self.now) is None


TestApprovals = Approvals.TestCase
TestApprovals.settings = settings(max_examples=150, stateful_step_count=25, deadline=None)


def approved() -> ApprovalRequest:
    one = request()
    for who in PEOPLE[:2]:
        one = rules.answered(one, answer(who))
    assert one.state == "approved"
    return one


def test_one_yes_is_not_enough_where_two_are_asked() -> None:
    """Bea satisfies the other rule by herself."""
    assert rules.answered(request(), answer(PEOPLE[1])).state == "pending"


def test_a_no_after_enough_yes_stops_it() -> None:
    assert rules.answered(approved(), answer(PEOPLE[0], "deny", 10)).state == "denied"


def test_an_approval_that_ran_out_cannot_be_used_though_nobody_wrote_that_yet() -> None:
    assert rules.begun(approved(), NOW + timedelta(seconds=599)).state == "used"
    with pytest.raises(rules.NotCounted):
        rules.begun(approved(), NOW + timedelta(seconds=600))


def test_a_used_approval_opens_the_gate_only_for_the_act_that_used_it() -> None:
    decision, one = plan(3, 5), rules.begun(approved(), NOW)
    others = (None, action(decision, key="20260311T000009-z"), action(decision, state="succeeded"))
    shut = [rules.judged(requirement(), decision, one, other, NOW) for other in others]
    assert [refused.code for refused in shut if isinstance(refused, Refusal)] == ["approval_used"] * 3
    assert rules.judged(requirement(), decision, one, action(decision), NOW) is None


def test_no_end_is_ever_left() -> None:
    one = rules.ended(request(), "denied", "no", NOW)
    for state in ("denied", "expired", "replaced", "used"):
        with pytest.raises(ValueError, match="has ended already"):
            rules.ended(one, state, "again", NOW)
    assert rules.as_of(one, NOW + timedelta(days=9)) == one


def test_one_person_whom_two_rules_name_counts_for_both() -> None:
    both = request(
        requirement=requirement(asks=(Ask(rule="a", who=PEOPLE, needed=1), Ask(rule="b", who=PEOPLE, needed=1)))
    )
    assert rules.answered(both, answer()).state == "approved"


def test_nobody_answers_what_was_not_asked_yet() -> None:
    with pytest.raises(rules.NotCounted) as fault:
        rules.answered(request(told=False), answer())
    assert fault.value.code == "not_asked_yet"


def test_a_second_use_of_a_link_is_told_when_it_was_used() -> None:
    one = rules.answered(request(), answer(at_s=60))
    with pytest.raises(rules.NotCounted, match="You approved it at 2026-03-11 09:31 UTC") as fault:
        rules.answered(one, answer(at_s=7200))
    assert fault.value.code == "already_answered"


def test_the_deadline_is_the_first_moment_that_is_too_late() -> None:
    waiting = request(delivered_at=NOW + timedelta(seconds=100))
    assert rules.as_of(waiting, NOW + timedelta(seconds=3699)).state == "pending"
    late = rules.as_of(waiting, NOW + timedelta(seconds=3700))
    assert late.state == "expired"
    assert late.ended_why.startswith("Not approved until 2026-03-11 10:31 UTC: 0 of 2 said yes (big:")


@pytest.mark.parametrize(
    ("newer", "hesitates", "words"),
    [
        (plan(3, 5, rule="promise_at_risk"), False, None),
        (plan(3, 6), False, None),
        (plan(3, 4), False, None),
        (plan(3, 7), False, "7 instances are wanted now, not 5"),
        (plan(3, 2), False, "The opposite is wanted now, 3 -> 2"),
        (plan(3, 3, rule="promise_kept"), False, "It is not wanted any more (promise_kept)"),
        (plan(3, 3, rule="scale_out_cooldown"), True, None),
        (plan(4, 4, rule="depth_unknown"), True, None),
        (plan(4, 5), False, "There are 4 instances now, not 3"),
        (plan(4, 4, rule="manual_change"), False, "There are 4 instances now, not 3"),
    ],
)
def test_what_replaces_a_waiting_plan(newer: Decision, hesitates: bool, words: str | None) -> None:
    why = rules.reason_to_replace(plan(3, 5), newer, requirement(), hesitates=hesitates)
    assert (why or "").startswith(words or "") and (why is None) == (words is None)


def test_the_larger_of_both_tolerances_counts() -> None:
    needs = requirement(tolerance_instances=1, tolerance_pct=50.0)
    assert rules.reason_to_replace(plan(2, 12), plan(2, 17), needs, hesitates=False) is None
    assert rules.reason_to_replace(plan(2, 12), plan(2, 18), needs, hesitates=False) is not None


@pytest.mark.parametrize(
    ("state", "rests"), [("denied", True), ("expired", True), ("replaced", False), ("used", False)]
)
def test_what_people_did_not_want_is_not_asked_again_for_a_while(state: Any, rests: bool) -> None:
    one = rules.ended(request(), state, "so", NOW)
    assert rules.rests(one, plan(3, 6), NOW + timedelta(seconds=7199)) is rests
    assert not rules.rests(one, plan(3, 6), NOW + timedelta(seconds=7200))
    assert not rules.rests(one, plan(3, 9), NOW)
    assert not rules.rests(one, plan(3, 2), NOW)


# ---- the gate

RULE = {"name": "every", "who": list(PEOPLE[:1]), "when": {"direction": "grow"}}


def test_the_gate_is_open_where_no_rule_gates() -> None:
    assert asked("approval", facts(plan(3, 2), policy=policy(approvals=[RULE]))) is None


def test_the_gate_asks_before_anybody_was_asked_and_waits_after() -> None:
    grow = plan(3, 5)
    with_rule = facts(grow, policy=policy(approvals=[RULE]))
    for approval, was_asked in ((None, False), (request(grow, told=False), False), (request(grow), True)):
        shut = asked("approval", replace(with_rule, approval=approval))
        assert isinstance(shut, AsksPeople)
        assert shut.asked is was_asked
        assert shut.sentence.startswith("It waits for approval of 1 of ada@example.com (every).")


def test_a_rule_that_came_after_the_yes_is_heeded() -> None:
    grow = plan(3, 5)
    needs = requirement(asks=(Ask(rule="every", who=PEOPLE[:1], needed=1),))
    approved = rules.answered(request(grow, requirement=needs), answer())
    more = {**RULE, "name": "more", "who": list(PEOPLE[1:2])}
    assert asked("approval", facts(grow, policy=policy(approvals=[RULE]), approval=approved)) is None
    shut = asked("approval", facts(grow, policy=policy(approvals=[RULE, more]), approval=approved))
    assert isinstance(shut, Refusal)
    assert shut.code == "approval_rules_changed"
