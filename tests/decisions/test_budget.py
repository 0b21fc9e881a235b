"""The budget: how many instances it pays for, what the decision makes of that, and what it says."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.decisions.scaling import budget
from shared.policy import Scaling
from tests.decisions.builders import Watch, missing, policy, snapshot, wanted
from tests.decisions.plant import Plant, surge

prices = st.floats(0.01, 1000)


def rules(usd_per_hour: float, **fields: Any) -> Scaling:
    return policy(budget_usd_per_hour=usd_per_hour, **fields)


@given(st.floats(0.01, 1e5), prices, st.integers(1, 50), st.integers(0, 50))
def test_what_is_allowed_is_paid_for_and_one_more_is_not(
    usd_per_hour: float, price: float, least: int, capacity: int
) -> None:
    allowed = budget.allowed(rules(usd_per_hour, min=least, max=50), price, capacity)
    assert allowed is not None
    assert allowed >= least
    assert allowed == least or allowed * price <= usd_per_hour * (1 + 1e-6)
    assert (allowed + 1) * price > usd_per_hour or allowed == 1_000_000


@given(st.integers(1, 50), st.integers(0, 50))
def test_without_a_price_what_is_there_is_what_is_allowed(least: int, capacity: int) -> None:
    assert budget.allowed(rules(12.0, min=least, max=50), None, capacity) == max(least, capacity)


def test_without_a_budget_or_where_instances_cost_nothing_there_is_no_limit() -> None:
    assert budget.allowed(policy(), 3.0, 2) is None
    assert budget.allowed(rules(12.0), 0.0, 2) is None


def surged(**fields: Any) -> Any:
    return snapshot(depth=3000, arrivals_per_s=9, completions_per_s=2, **fields)


def test_growth_ends_at_the_budget_and_says_so() -> None:
    intent = wanted(surged(price_usd_per_hour=3.0), rules=rules(12.0))
    assert (intent.value, intent.rule, intent.numbers["limit_budget"]) == (4, "promise_at_risk_limited_by_budget", 4)
    assert "the budget of 12 USD an hour allows 4: the promise will not be kept" in intent.reason


def test_at_the_budget_the_promise_is_said_to_be_broken() -> None:
    intent = wanted(surged(capacity=4, price_usd_per_hour=3.0), rules=rules(12.0))
    assert (intent.kind, intent.rule) == ("hold", "limited_by_budget")
    assert "The promise cannot be kept" in intent.reason
    assert "the budget of 12 USD an hour allows 4." in intent.reason


def test_without_a_price_nothing_grows_and_it_says_what_to_write() -> None:
    intent = wanted(surged(), rules=rules(12.0))
    assert (intent.kind, intent.rule) == ("hold", "limited_by_budget")
    assert intent.reason.endswith(budget.PRICE_UNKNOWN)
    assert "write price_usd_per_hour" in intent.reason
    assert wanted(snapshot(capacity=1), rules=rules(12.0, min=3)).value == 3, "min is kept all the same"


def test_what_costs_more_than_the_budget_is_given_back_but_not_blindly_and_not_below_min() -> None:
    above = snapshot(capacity=8, price_usd_per_hour=3.0)
    intent = wanted(above, rules=rules(12.0))
    assert (intent.value, intent.rule) == (4, "above_budget")
    assert "8 instances are above what the budget of 12 USD an hour pays for: 4 will be left." in intent.reason
    assert wanted(above, rules=rules(12.0, min=6)).value == 6
    blind = snapshot(capacity=8, price_usd_per_hour=3.0, arrivals_per_s=missing())
    assert wanted(blind, rules=rules(12.0)).kind == "hold"


def test_a_scheduled_load_is_no_way_around_it() -> None:
    known = {"name": "nightly", "zone": "UTC", "weekly": {"days": ["mon"]}, "min": 9}
    within = Scaling.model_validate(rules(12.0).model_dump() | {"schedule": (known,)})
    intent = wanted(snapshot(price_usd_per_hour=3.0), rules=within)
    assert (intent.value, intent.rule) == (4, "scheduled_load")
    assert "but the budget of 12 USD an hour allows 4" in intent.reason


@pytest.mark.parametrize("cold_start_s", [30, 900])
def test_in_a_closed_loop_no_moment_costs_more(cold_start_s: int) -> None:
    world = Plant(rules(12.0, cold_start_s=float(cold_start_s)), surge(0.3, 9, 600, 6000), cold_start_s)
    world.price_usd_per_hour = 3.0
    world.run(4 * 3600)
    assert max(world.capacities) == 4
    free = Plant(policy(cold_start_s=float(cold_start_s)), surge(0.3, 9, 600, 6000), cold_start_s).run(4 * 3600)
    assert max(free.capacities) > 4


def test_a_price_that_is_lost_for_a_while_stops_growth_and_takes_nothing() -> None:
    watch = Watch(rules(12.0))
    assert watch.look(0, depth=3000, arrivals_per_s=9, price_usd_per_hour=3.0).value == 4
    assert watch.look(15, depth=3000, arrivals_per_s=9, capacity=4).kind == "hold"
