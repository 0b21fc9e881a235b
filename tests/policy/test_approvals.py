"""The section `approvals`: which changes wait, for whom, and what several rules come to together."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain import Place, Requirement
from shared.policy import PolicyInvalid, load_policy
from shared.policy.approvals import ApprovalRule, Change, requirement
from tests.policy.documents import as_yaml, document, target
from tests.policy.two_layers import findings, merged, platform, project

PLACE = Place(loop="scaling", target="chat", project="talk", workspace_id="/subscriptions/s/workspaces/ml")


def rule(**fields: Any) -> ApprovalRule:
    return ApprovalRule.model_validate({"name": "big", "who": ["ada@example.com"]} | fields)


def change(by: int, price: float | None = 2.0) -> Change:
    return Change(dimension="capacity", by=by, price_usd_per_hour=price)


def needs(*rules: ApprovalRule, by: int = 3, price: float | None = 2.0) -> Requirement | None:
    return requirement(rules, PLACE, "prod", change(by, price))


@pytest.mark.parametrize(
    ("fields", "gates"),
    [
        ({}, True),
        ({"scopes": ["project:talk"]}, True),
        ({"scopes": ["project:other", "workspace:ML"]}, True),
        ({"scopes": ["project:other"]}, False),
        ({"environments": ["dev", "prod"]}, True),
        ({"environments": ["dev"]}, False),
        ({"loop": "scaling"}, True),
        ({"loop": "budget"}, False),
        ({"when": {"direction": "grow"}}, True),
        ({"when": {"direction": "shrink"}}, False),
        ({"when": {"dimension": "traffic"}}, False),
        ({"when": {"more_than_instances": 2}}, True),
        ({"when": {"more_than_instances": 3}}, False),
        ({"when": {"more_than_usd_per_hour": 5.9}}, True),
        ({"when": {"more_than_usd_per_hour": 6.0}}, False),
        ({"when": {"more_than_instances": 9, "more_than_usd_per_hour": 5.0}}, True),
        ({"when": {"more_than_instances": 9, "more_than_usd_per_hour": 9.0}}, False),
    ],
)
def test_which_changes_wait(fields: dict[str, Any], gates: bool) -> None:
    assert rule(**fields).gates(PLACE, "prod", change(3)) is gates


def test_without_a_price_a_change_counts_as_dear() -> None:
    assert needs(rule(when={"more_than_usd_per_hour": 1e6}), by=1, price=None) is not None


def test_what_changes_nothing_waits_for_nobody() -> None:
    assert needs(rule(), by=0) is None


def test_a_shrink_that_saves_much_is_as_large_as_a_growth_that_costs_it() -> None:
    saves = rule(when={"direction": "shrink", "more_than_usd_per_hour": 5.0})
    assert needs(saves, by=-3) is not None
    assert needs(saves, by=3) is None


def test_several_rules_keep_their_people_and_the_strictest_times_count() -> None:
    first = rule(deadline_s=600, valid_for_s=60, tolerance_instances=5, tolerance_pct=50, ask_again_after_s=10)
    second = rule(name="dear", who=["Bea@example.com", "ada@example.com", "bea@example.com"], needed=2)
    both = needs(first, second)
    assert both is not None
    assert [(ask.rule, ask.who, ask.needed) for ask in both.asks] == [
        ("big", ("ada@example.com",), 1),
        ("dear", ("bea@example.com", "ada@example.com"), 2),
    ]
    assert both.recipients == ("ada@example.com", "bea@example.com")
    assert (both.deadline_s, both.valid_for_s, both.ask_again_after_s) == (600, 60, 14_400)
    assert (both.tolerance_instances, both.tolerance_pct) == (1, 20)


@given(st.lists(st.sampled_from([1, 2]), min_size=1, max_size=4), st.sampled_from([1, 2]))
def test_a_rule_more_never_asks_for_less(counts: list[Any], more: Any) -> None:
    people = ["ada@example.com", "bea@example.com"]
    rules = [rule(name=f"r{n}", who=people, needed=count, deadline_s=100.0 * n + 100) for n, count in enumerate(counts)]
    before, after = needs(*rules), needs(*rules, rule(name="more", who=people, needed=more))
    assert before is not None
    assert after is not None
    assert set(before.asks) <= set(after.asks)
    assert after.deadline_s <= before.deadline_s
    assert after.tolerance_instances <= before.tolerance_instances


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"needed": 2}, "needs 2 different people and names 1. Name more people"),
        ({"needed": 2, "who": ["ada@example.com", "ADA@example.com"]}, "needs 2 different people and names 1"),
        ({"needed": 3}, "needed: is 3, which is too large"),
        ({"who": []}, "who"),
        ({"who": ["Ada"]}, "is 'Ada', which is no e-mail address"),
        ({"scopes": ["everything"]}, "no scope"),
        ({"when": {"direction": "up"}}, "direction"),
        ({"deadline_s": 0}, "too small"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_with_its_place(fields: dict[str, Any], words: str) -> None:
    wrong = {"name": "big", "who": ["ada@example.com"]} | fields
    with pytest.raises(PolicyInvalid) as error:
        load_policy(as_yaml(document(target(), approvals=[wrong])), "policy.yaml")
    assert "approvals[0]" in str(error.value)
    assert words in str(error.value)


# ---- two layers


def test_a_project_adds_rules_for_itself_and_takes_none_away() -> None:
    platforms = {"name": "dear", "who": ["cfo@example.com"]}
    own = {"name": "ours", "who": ["ada@example.com"], "needed": 1}
    policy = merged(
        platform(approvals=[platforms], targets=[]), project("red", approvals=[own]), project("green")
    ).policy
    found = {
        one.project: [ask.rule for ask in needed.asks]
        for one in policy.targets
        if (needed := requirement(policy.of(one).approvals, one.place("scaling"), one.environment, change(1)))
    }
    assert found == {"red": ["dear", "red.ours"], "green": ["dear"]}


def test_a_project_s_rule_never_reaches_another_project() -> None:
    own = {"name": "ours", "scopes": ["all"], "who": ["ada@example.com"]}
    policy = merged(platform(), project("red", approvals=[own]), project("green")).policy
    (rule_of_red,) = policy.approvals
    assert rule_of_red.scopes == ("project:red",)
    told = findings(platform(), project("red", approvals=[own | {"scopes": ["project:green"]}]))
    assert "approvals[0].scopes" in told["red.yaml"]


def test_two_rules_of_one_name_are_refused() -> None:
    """People see a rule by its name in the question, and in the plan of a change."""
    rules = [{"name": "big", "who": ["ada@example.com"]}, {"name": "big", "who": ["bea@example.com"]}]
    with pytest.raises(PolicyInvalid) as refused:
        load_policy(as_yaml(document(target(), approvals=rules)), "policy.yaml")
    (problem,) = refused.value.problems
    assert (problem.path, problem.reason) == ("approvals", "names 'big' twice")
