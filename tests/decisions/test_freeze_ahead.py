"""For how long a size must suffice: a cold start, or all of a freeze that is ahead."""

import math
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.decisions.scaling import decide
from shared.decisions.scaling.forecast.ahead import Forecast
from shared.decisions.scaling.freezes import Freeze, ahead, horizon_s
from shared.decisions.scaling.giving_back import sufficient
from shared.decisions.scaling.load import Load
from shared.decisions.scaling.schedule import lead_s
from shared.decisions.scaling.sizing import is_at_risk, needed
from shared.domain import Intent, ScalingMemory
from shared.policy import Scaling
from tests.decisions.builders import NOW, policy, snapshot

cold_starts = st.floats(0, 3600)


@given(cold_starts, st.floats(-86_400, 86_400), st.floats(1, 86_400))
def test_until_its_end_and_a_cold_start_if_it_begins_before_a_second_order_could_help(
    cold_start_s: float, begins_in_s: float, lasts_s: float
) -> None:
    begins = NOW + timedelta(seconds=begins_in_s)
    ends = begins + timedelta(seconds=lasts_s)
    freeze = ahead(snapshot(freeze_begins_at=begins, freeze_ends_at=ends), NOW, cold_start_s)
    horizon = horizon_s(freeze, cold_start_s)
    rest_s = (ends - NOW).total_seconds()
    if rest_s <= 0 or (begins - NOW).total_seconds() > lead_s(cold_start_s):
        assert horizon == cold_start_s
    else:
        assert horizon == rest_s + cold_start_s
    assert horizon >= cold_start_s


@given(cold_starts)
def test_without_a_freeze_a_cold_start(cold_start_s: float) -> None:
    assert horizon_s(ahead(snapshot(), NOW, cold_start_s), cold_start_s) == cold_start_s


# ---- what is forecast to come in it

HOUR_S = 3600.0
COLD_START_S = 900.0
RUSH_IN_4_H = ((4 * HOUR_S, 2.0, 2.5), (5 * HOUR_S, 9.0, 9.5), (math.inf, 2.0, 2.5))


def load(capacity: int, freeze: Freeze | None, **more: Any) -> Load:
    usual: dict[str, Any] = {
        "depth": 0.0,
        "arrivals_per_s": 2.0,
        "completions_per_s": 2.0,
        "service_rate_per_s": 1.0,
        "capacity": capacity,
        "ready": capacity,
        "pending": (),
        "cold_start_s": COLD_START_S,
        "looks_every_s": 15.0,
        "forecast": Forecast(
            source="day", stays_per_s=0.0, pieces=RUSH_IN_4_H, error_per_s=0.0, judged=100, doubted=False
        ),
        "doubts": (),
    }
    return Load(**usual | more, freeze=freeze)


SHORT, LONG = Freeze(begins_in_s=600, ends_in_s=2 * HOUR_S), Freeze(begins_in_s=600, ends_in_s=6 * HOUR_S)
IN_FORCE = Freeze(begins_in_s=-60, ends_in_s=6 * HOUR_S)
ENDS_BEFORE_THE_RUSH = Freeze(begins_in_s=600, ends_in_s=4 * HOUR_S - COLD_START_S / 2)


@pytest.mark.parametrize(
    ("freeze", "ordered"), [(None, 3), (SHORT, 3), (ENDS_BEFORE_THE_RUSH, 10), (LONG, 10), (IN_FORCE, 3)]
)
def test_a_rush_before_more_could_arrive_is_ordered_for_before_the_freeze(freeze: Freeze | None, ordered: int) -> None:
    rules = policy(drain_within_s=30.0)
    assert needed(load(3, freeze), rules) == ordered
    assert is_at_risk(load(3, freeze), rules) == (ordered > 3)


@pytest.mark.parametrize(("drain_within_s", "ordered"), [(30.0, 10), (3600.0, 6), (4 * HOUR_S, 3)])
def test_a_queue_may_wait_as_long_as_was_promised(drain_within_s: float, ordered: int) -> None:
    """An hour of 9.5/s: in time with 9.5 x 1 h / (1 h + 0.75 x promise) instances that serve 1/s each."""
    rules = policy(drain_within_s=drain_within_s)
    assert needed(load(3, LONG), rules) == ordered
    called = load(3, LONG, counted_in="requests")
    assert needed(called, rules) == 10


@pytest.mark.parametrize("freeze", [LONG, IN_FORCE])
def test_what_the_rest_of_a_freeze_needs_is_not_given_back(freeze: Freeze) -> None:
    rules = policy(drain_within_s=30.0)
    assert sufficient(load(12, freeze), rules) == 10
    assert sufficient(load(12, None), rules) == 3


@given(
    st.integers(1, 20),
    st.lists(st.tuples(st.floats(0, 20), st.floats(0, 10)), min_size=1, max_size=30),
    st.floats(-86_400, 1200),
    st.floats(1, 200_000),
    st.floats(0, 500),
)
def test_a_freeze_never_asks_for_less(
    capacity: int, rates: list[tuple[float, float]], begins_in_s: float, lasts_s: float, depth: float
) -> None:
    """Whatever is forecast: with a freeze ahead as many are needed as without, or more."""
    pieces = tuple((600.0 * (n + 1), mean, mean + more) for n, (mean, more) in enumerate(rates))
    pieces = (*pieces[:-1], (math.inf, *pieces[-1][1:]))
    known = Forecast(source="day", stays_per_s=0.0, pieces=pieces, error_per_s=0.0, judged=100, doubted=False)
    freeze = Freeze(begins_in_s=begins_in_s, ends_in_s=begins_in_s + lasts_s)
    rules = policy(drain_within_s=600.0)
    free, frozen = (load(capacity, one, forecast=known, depth=depth) for one in (None, freeze))
    assert needed(frozen, rules) >= needed(free, rules)
    assert sufficient(frozen, rules) >= sufficient(free, rules)
    assert is_at_risk(frozen, rules) or not is_at_risk(free, rules)


RULES: Scaling = policy(
    forecast="on", drain_within_s=600.0, cold_start_s=COLD_START_S, min=1, max=40, scale_in_hold_s=0.0
)
MIDNIGHT = NOW.replace(hour=0, minute=0, second=0, microsecond=0)


@cache
def after_ten_days() -> ScalingMemory:
    """What a target remembers that has one rush a day, at noon."""
    memory = ScalingMemory()
    for minute in range(0, 10 * 1440, 5):
        rate = 9.0 if 720 <= minute % 1440 < 780 else 2.0
        seen = snapshot(MIDNIGHT + timedelta(minutes=minute), capacity=20, arrivals_per_s=rate, completions_per_s=rate)
        _, memory = decide(seen, memory, RULES, seen.taken_at)
    return memory


def at_six(freeze_until: datetime | None) -> Intent:
    at = MIDNIGHT + timedelta(days=10, hours=6)
    frozen: dict[str, Any] = {}
    if freeze_until is not None:
        frozen = {"freeze_begins_at": at + timedelta(minutes=10), "freeze_ends_at": freeze_until}
    seen = snapshot(at, capacity=3, arrivals_per_s=2.0, completions_per_s=2.0, **frozen)
    (intent,), _ = decide(seen, after_ten_days(), RULES, at)
    return intent


def test_before_a_freeze_the_usual_rush_in_it_is_ordered_for_and_the_reason_says_so() -> None:
    noon = MIDNIGHT + timedelta(days=10, hours=12)
    before, intent = at_six(noon - timedelta(hours=1)), at_six(noon + timedelta(hours=2))
    assert (at_six(None).value, before.value) == (2, 2)
    assert intent.value is not None
    assert 8 <= intent.value <= 12
    assert "Growth will be frozen from" in intent.reason
    assert f"until {noon + timedelta(hours=2):%Y-%m-%d %H:%M} UTC" in intent.reason
    assert intent.value <= intent.numbers["needed_through_freeze"] <= intent.value + 1
    assert (intent.numbers["freeze_begins_in_s"], intent.numbers["freeze_ends_in_s"]) == (600, 8 * HOUR_S)
