"""The circuit breaker: what opens it, whom it stops, how it closes; the same end told twice changes nothing."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain import Act, OutcomeKind
from shared.policy import Scaling
from shared.policy.belts import Breaker as Limits
from shared.records.breakers import Breaker, Mark
from shared.records.gates import GateRecords
from shared.safety.breaker import (
    MOST_MARKS,
    after,
    closed,
    limits_for,
    reversals_in,
    scopes_of,
    state_of,
    with_trial,
    without_trial,
)
from tests.safety.builders import NOW, asked, facts, plan, policy

LIMITS = Limits(target_failures=3, scope_failures=5, all_failures=8, reversals=3, cool_down_s=3600.0)
TARGET = "target:chat"


def mark(number: int, minutes: float = 0, act: Act = "growth", code: str = "operation_failed") -> Mark:
    return Mark(key=f"k{number}", at=NOW + timedelta(minutes=minutes), act=act, code=code)


def told(ends: list[tuple[OutcomeKind, Mark]], scope: str = TARGET, breaker: Breaker | None = None) -> Breaker | None:
    for kind, one in ends:
        breaker = after(breaker, scope, kind, one, LIMITS, one.at)
    return breaker


def failed(*marks: Mark, scope: str = TARGET) -> Breaker:
    breaker = told([("failed", one) for one in marks], scope)
    assert breaker is not None
    return breaker


def opened(**changes: Any) -> Breaker:
    return replace(failed(mark(1), mark(2), mark(3)), **changes)


def at(breaker: Breaker, minutes: float, decision: Any = None) -> Any:
    in_force = policy(limits={"breaker": LIMITS.model_dump()})
    records = GateRecords(breakers={breaker.scope: breaker})
    return asked("breaker", facts(decision, policy=in_force, records=records, now=NOW + timedelta(minutes=minutes)))


@pytest.mark.parametrize(("scope", "most"), [(TARGET, 3), ("project:talk", 5), ("workspace:/w", 5), ("all", 8)])
def test_so_many_failures_open_it(scope: str, most: int) -> None:
    marks = [mark(n, n) for n in range(most)]
    assert failed(*marks[:-1], scope=scope).opened_at is None
    breaker = failed(*marks, scope=scope)
    assert breaker.opened_at == marks[-1].at
    assert (breaker.cause, breaker.opened_by) == ("failures", f"k{most - 1}")


def test_failures_that_lie_apart_do_not() -> None:
    assert failed(mark(1), mark(2, 31), mark(3, 61)).opened_at is None


def test_a_person_who_was_faster_is_no_failure() -> None:
    ends: list[tuple[OutcomeKind, Mark]] = [("failed", mark(n, code="changed_meanwhile")) for n in range(9)]
    assert told(ends) is None


def test_the_words_say_how_to_reset_it() -> None:
    shut = at(opened(), 10)
    assert shut.code == "breaker_open"
    assert shut.reason == (
        "The circuit breaker of target:chat is open since 2026-03-11 09:30 UTC: 3 changes failed within 60 minutes "
        "(operation_failed)."
    )
    assert 'POST /api/breaker/reset {"scope": "target:chat", "reason": "...", "by": "..."}' in shut.remedy
    assert "one change through for trial at 2026-03-11 10:30 UTC" in shut.remedy


@pytest.mark.parametrize("scope", ["all", "project:talk", "workspace", TARGET])
def test_it_stops_its_scope_and_nothing_else(scope: str) -> None:
    place = facts().place
    own = f"workspace:{place.workspace_id.lower()}" if scope == "workspace" else scope
    assert own in scopes_of(place)
    assert at(opened(scope=own), 1, plan(2, 3)) is not None
    assert at(opened(scope="target:ocr"), 1) is None
    assert at(opened(scope="project:papers"), 1) is None


def test_back_and_forth_stops_shrinking_alone() -> None:
    acts: list[Act] = ["growth", "growth", "shrink", "growth", "shrink"]
    ends: list[tuple[OutcomeKind, Mark]] = [("succeeded", mark(n, 10 * n, act)) for n, act in enumerate(acts)]
    assert (told(ends[:-1]) or opened()).opened_at is None
    breaker = told(ends)
    assert breaker is not None
    assert (breaker.cause, breaker.why) == ("reversals", "its capacity went back and forth 3 times within 120 minutes.")
    assert at(breaker, 41, plan(3, 2)) is not None
    assert at(breaker, 41, plan(2, 3)) is None, "growth keeps a promise to users"


def test_back_and_forth_over_a_day_is_no_flapping() -> None:
    ends: list[tuple[OutcomeKind, Mark]] = [
        ("succeeded", mark(n, 60 * n, "growth" if n % 2 else "shrink")) for n in range(12)
    ]
    breaker = told(ends)
    assert breaker is not None
    assert breaker.opened_at is None
    assert reversals_in((mark(1, 0, "traffic"), mark(2, 1, "jobs"))) == 0


@pytest.mark.parametrize(
    ("scaling", "most"),
    [
        ({"cold_start_s": 900}, 10),  # it comes after 900 s, is kept for 300, and a minute until it grows again: 11.4
        ({"cold_start_s": 180}, 43),
        ({"cold_start_s": 30}, 60),
        ({"cold_start_s": 900, "scale_in_hold_s": 7200}, 5),
        ({"cold_start_s": 0, "scale_in_hold_s": 0, "scale_in_cooldown_s": 0, "scale_out_cooldown_s": 0}, 60),
    ],
)
def test_left_out_nearly_all_that_cold_start_hold_and_cool_downs_allow_is_flapping(
    scaling: dict[str, float], most: int
) -> None:
    one = policy().targets[0]
    one = one.model_copy(update={"scaling": Scaling.model_validate({"max": 6, "drain_within_s": 600} | scaling)})
    assert limits_for("target:chat", policy(), one).reversals == most
    assert limits_for("target:chat", policy(limits={"breaker": {"reversals": 3}}), one).reversals == 3
    for of_the_project, counts in ((150, most), (3, 3)):
        view = policy(limits={"breaker": {"reversals": of_the_project}})
        merged = policy().with_views({(one.project or "", one.environment): view})
        assert limits_for("target:chat", merged, one).reversals == counts


@pytest.mark.parametrize("cold_start_s", [900.0, 180.0, 30.0])
def test_what_changes_its_mind_each_time_opens_it(cold_start_s: float) -> None:
    """Grown, given back as soon as that is allowed, grown again: for two hours."""
    scaling = Scaling.model_validate({"max": 6, "drain_within_s": 600, "cold_start_s": cold_start_s})
    one = policy().targets[0].model_copy(update={"scaling": scaling})
    limits, breaker, at_s, number = limits_for(TARGET, policy(), one), Breaker(scope=TARGET), 0.0, 0
    while breaker.opened_at is None and at_s <= limits.reversal_window_s:
        grown = mark(number, at_s / 60, "growth")
        given_back = mark(number + 1, (at_s + cold_start_s + scaling.cooldown_s) / 60, "shrink")
        for end in (grown, given_back):
            breaker = after(breaker, TARGET, "succeeded", end, limits, end.at) or breaker
        at_s += cold_start_s + scaling.cooldown_s + scaling.scale_out_cooldown_s
        number += 2
    assert breaker.cause == "reversals"


def test_a_row_holds_what_a_busy_month_leaves() -> None:
    limits = Limits(reversals=150, reversal_window_s=30 * 86_400.0)
    breaker = Breaker(scope=TARGET)
    for number in range(3000):
        act: Act = "growth" if number % 7 < 4 else "shrink"
        end = mark(number, 2 * number, act, "")
        breaker = after(breaker, TARGET, "succeeded", end, limits, end.at) or breaker
    assert breaker.cause == "reversals"
    assert len(breaker.changes) <= MOST_MARKS


def test_failures_count_while_it_is_open_for_reversals() -> None:
    flapping = Breaker(scope=TARGET, opened_at=NOW, opened_by="k0", cause="reversals", why="back and forth.")
    breaker = told([("failed", mark(n, n)) for n in range(1, 4)], breaker=flapping)
    assert breaker is not None
    assert (breaker.cause, breaker.opened_by) == ("failures", "k3")


def trial(breaker: Breaker, key: str, minutes: float) -> Breaker:
    found = with_trial(breaker, key, LIMITS, NOW + timedelta(minutes=minutes))
    assert found is not None
    return found


def test_after_the_cool_down_one_change_is_let_through() -> None:
    assert at(opened(), 59.9) is not None
    assert at(opened(), 60) is None
    assert trial(opened(), "mine", 59.9).trial == "", "not while it is open"
    tried = trial(opened(), "mine", 61)
    assert (tried.trial, trial(tried, "yours", 62).trial) == ("mine", "mine")
    shut = at(tried, 62, plan(id="yours"))
    assert "One change is under way for trial" in shut.remedy
    assert at(tried, 62, plan(id="mine")) is None


def test_a_trial_whose_end_nobody_saw_is_replaced() -> None:
    tried = trial(opened(), "mine", 61)
    assert at(tried, 120.9, plan(id="yours")) is not None
    assert at(tried, 121, plan(id="yours")) is None
    assert trial(tried, "yours", 121).trial == "yours"


def test_the_end_of_the_trial_decides() -> None:
    tried = trial(opened(), "k9", 61)
    good = told([("succeeded", mark(9, 70))], breaker=tried)
    assert good == Breaker(scope=TARGET, reset_at=NOW + timedelta(minutes=70))
    bad = told([("failed", mark(9, 70))], breaker=tried)
    assert bad is not None
    assert (bad.opened_at, bad.opened_by, bad.trial) == (NOW + timedelta(minutes=70), "k9", "")
    assert told([("refused", mark(9, 70))], breaker=tried) == without_trial(tried, "k9")
    assert told([("succeeded", mark(5, 70))], breaker=tried).trial == "k9", "another's end"  # type: ignore[union-attr]


def test_what_a_wider_breaker_hears_of_a_success() -> None:
    assert told([("succeeded", mark(1))], scope="all") is None, "nothing to remember"
    open_for_all = opened(scope="all")
    assert told([("succeeded", mark(7, 5))], scope="all", breaker=open_for_all) == open_for_all
    tried = trial(open_for_all, "k7", 61)
    assert told([("succeeded", mark(7, 62))], scope="all", breaker=tried) == Breaker(
        scope="all", reset_at=mark(7, 62).at
    )


def test_after_a_reset_nothing_from_before_counts() -> None:
    reset = closed(opened(), NOW + timedelta(minutes=5))
    assert state_of(reset, LIMITS, NOW) == "closed"
    assert told([("failed", mark(n, 4)) for n in range(9)], breaker=reset) == reset
    again = told([("failed", mark(n, 6)) for n in range(3)], breaker=reset)
    assert again is not None
    assert again.opened_at is not None


def test_a_project_s_stricter_word_counts_for_the_project_alone() -> None:
    in_force = policy(limits={"breaker": {"target_failures": 9}})
    (chat,) = in_force.targets
    strict = in_force.model_copy(
        update={"limits": in_force.limits.model_copy(update={"breaker": Limits(target_failures=2, all_failures=1)})}
    )
    layered = in_force.with_views({("talk", chat.environment): strict})
    assert limits_for(TARGET, layered, chat).target_failures == 2
    assert limits_for("project:talk", layered, chat).target_failures == 2
    assert limits_for("all", layered, chat).all_failures == 40
    assert limits_for("workspace:/w", layered, chat).target_failures == 9


kinds = st.sampled_from(["succeeded", "failed", "refused", "superseded"])
acts = st.sampled_from(["growth", "shrink", "traffic"])


@given(st.lists(st.tuples(kinds, acts, st.integers(0, 90)), max_size=25), st.data())
def test_an_end_told_again_changes_nothing(ends: list[tuple[OutcomeKind, Act, int]], data: st.DataObject) -> None:
    """At-least-once: the same ends in the same order, some of them twice at once, come to the same breaker."""
    minute, once, twice = 0, None, None
    for number, (kind, act, later) in enumerate(ends):
        minute += later
        one = mark(number, minute, act)
        once = after(once, TARGET, kind, one, LIMITS, one.at)
        for _ in range(data.draw(st.integers(1, 3))):
            twice = after(twice, TARGET, kind, one, LIMITS, one.at)
    assert once == twice
