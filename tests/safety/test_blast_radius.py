"""The blast radius: every scope counts for itself, small fleets can be worked on, the next free place is named."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain import Decision
from shared.policy import Policy
from shared.records.changes_made import Change, ChangesMade
from shared.records.gates import GateRecords
from shared.safety.blast_radius import change_of, used_up
from shared.safety.facts import ActFacts, Refusal
from tests.policy.documents import document, target
from tests.safety.builders import NOW, asked, facts, plan, policy

WIDE = {
    "all_per_hour": 1000,
    "project_per_hour": 1000,
    "workspace_per_hour": 1000,
    "target_per_hour": 1000,
    "fleet_floor": 1000,
}
LAB = policy().targets[0].deployment_id.workspace_id.lower()


def change(number: int = 1, minutes_ago: float = 10, **changes: Any) -> Change:
    fields: dict[str, Any] = {
        "key": f"k{number}",
        "at": NOW - timedelta(minutes=minutes_ago),
        "target": "chat",
        "project": "talk",
        "workspace": LAB,
    }
    return Change(**fields | changes)


def judged(*changes: Change, decision: Decision | None = None, budget: str = "reductions", **limits: Any) -> ActFacts:
    in_force = policy(limits={"blast_radius": {budget: WIDE | limits}})
    made = {budget: ChangesMade(changes=changes)}
    return facts(decision, policy=in_force, records=GateRecords(made=made))


type Fields = dict[str, Any]
ELSEWHERE: Fields = {"target": "ocr", "project": "papers", "workspace": "/other"}


@pytest.mark.parametrize(
    ("limit", "inside", "outside"),
    [
        ("target_per_hour", {"project": "x", "workspace": "/x"}, ELSEWHERE | {"project": "talk", "workspace": LAB}),
        ("project_per_hour", ELSEWHERE | {"project": "talk"}, ELSEWHERE | {"workspace": LAB}),
        ("workspace_per_hour", ELSEWHERE | {"workspace": LAB}, ELSEWHERE | {"project": "talk"}),
        ("all_per_hour", ELSEWHERE, None),
    ],
)
def test_each_scope_counts_what_is_in_it(limit: str, inside: Fields, outside: Fields | None) -> None:
    two = (change(1, **inside), change(2, **inside))
    two_places: Fields = {limit: 2}
    three_places: Fields = {limit: 3}
    one_place: Fields = {limit: 1}
    shut = asked("blast_radius", judged(*two, **two_places))
    assert shut is not None
    assert shut.code == "blast_radius"
    assert f"limits.blast_radius.reductions.{limit}" in shut.remedy
    assert asked("blast_radius", judged(*two, **three_places)) is None
    if outside is not None:
        others = (change(1, **outside), change(2, **outside))
        assert asked("blast_radius", judged(*others, **one_place)) is None


def test_the_words() -> None:
    shut = asked("blast_radius", judged(change(1, 50), change(2, 5), target_per_hour=2))
    assert shut == Refusal(
        code="blast_radius",
        reason="2 reductions were begun in target:chat within the last hour; the policy allows 2.",
        remedy="A place is free at 2026-03-11 09:40:00 UTC. If so much is meant to change, raise "
        "limits.blast_radius.reductions.target_per_hour in the policy.",
    )


def test_growth_has_a_budget_of_its_own() -> None:
    shrunk = (change(1), change(2))
    assert asked("blast_radius", judged(*shrunk, target_per_hour=1)) is not None
    assert asked("blast_radius", judged(*shrunk, decision=plan(2, 3), target_per_hour=1)) is None
    assert asked("blast_radius", judged(*shrunk, decision=plan(2, 3), budget="growths", target_per_hour=1)) is not None
    traffic = plan(0, 50, dimension="traffic")
    assert asked("blast_radius", judged(*shrunk, decision=traffic, target_per_hour=1)) is not None


def test_a_change_that_has_its_place_is_let_through() -> None:
    mine = change(1, key=plan().id)
    assert asked("blast_radius", judged(mine, change(2), target_per_hour=1)) is None


def fleet(size: int, **limits: Any) -> Policy:
    targets = [target(f"t{number}", mode="enforce") for number in range(size)]
    return Policy.model_validate(document(*targets, limits={"blast_radius": {"reductions": WIDE | limits}}))


def of_fleet(in_force: Policy, changed: int, number: int = -1) -> ActFacts:
    made = tuple(change(n, target=f"t{n}", project="") for n in range(changed))
    one = in_force.targets[number]
    records = GateRecords(made={"reductions": ChangesMade(changes=made)})
    return replace(facts(policy=policy()), policy=in_force, target=one, place=one.place("scaling"), records=records)


def test_a_share_of_the_fleet() -> None:
    in_force = fleet(40, fleet_pct_per_hour=10.0, fleet_floor=2)
    assert asked("blast_radius", of_fleet(in_force, 3)) is None
    shut = asked("blast_radius", of_fleet(in_force, 4))
    assert shut is not None
    assert shut.reason == (
        "Reductions were begun on 4 of 40 targets within the last hour, and the policy allows 4 (10 %, at least 2)."
    )
    assert asked("blast_radius", of_fleet(in_force, 4, number=0)) is None, "one that is among them already"


def test_a_small_fleet_can_be_worked_on() -> None:
    in_force = fleet(4, fleet_pct_per_hour=10.0, fleet_floor=3)
    assert asked("blast_radius", of_fleet(in_force, 2)) is None
    assert asked("blast_radius", of_fleet(in_force, 3)) is not None


def test_the_defaults_let_a_day_s_work_through_and_stop_a_runaway() -> None:
    """One target that shrinks every five minutes is stopped within the hour; growth much later."""
    defaults = policy()
    shrinks = tuple(change(n, minutes_ago=5 * n) for n in range(12))
    records = GateRecords(made={name: ChangesMade(changes=shrinks) for name in ("reductions", "growths")})
    assert asked("blast_radius", facts(plan(3, 2), policy=defaults, records=records)) is not None
    assert asked("blast_radius", facts(plan(2, 3), policy=defaults, records=records)) is None


changes = st.lists(
    st.builds(
        change,
        st.integers(0, 9999),
        st.floats(0, 59.9),
        target=st.sampled_from(["chat", "ocr"]),
        project=st.sampled_from(["", "talk"]),
    ),
    max_size=12,
    unique_by=lambda one: one.key,
)


@given(changes, st.integers(1, 6), st.integers(1, 12))
def test_at_the_moment_named_there_is_a_place_and_not_before(made: list[Change], of_target: int, of_all: int) -> None:
    made.sort(key=lambda one: one.at)
    judge = judged(*made, target_per_hour=of_target, all_per_hour=of_all)
    full = used_up(judge, made)
    inside = [one for one in made if one.target == "chat"]
    assert (full is not None) == (len(inside) >= of_target or len(made) >= of_all)
    if full is not None:
        free = replace(judge, now=full.free_at)
        left = judge.records.made["reductions"].within_the_hour(full.free_at)
        again = used_up(free, left)
        assert again is None or again.limit != full.limit
        before = full.free_at - timedelta(microseconds=1)
        assert used_up(judge, judge.records.made["reductions"].within_the_hour(before)) is not None


def test_what_is_counted_of_a_change() -> None:
    counted = change_of(facts(), "k")
    assert (counted.key, counted.at, counted.target, counted.project) == ("k", NOW, "chat", "talk")
    assert counted.workspace == LAB
