"""What suffices: capacity goes once what that saves is expected to exceed what it harms within a cold start."""

import math
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.decisions.scaling.forecast.ahead import Forecast
from shared.decisions.scaling.giving_back import sufficient, weighed
from shared.decisions.scaling.load import Load
from shared.decisions.scaling.sizing import is_at_risk, needed
from shared.domain import ScalingMemory
from shared.policy import Scaling
from tests.decisions.builders import Watch, policy
from tests.decisions.plant import Plant
from tests.decisions.test_forecast import lived

COLD_START_S, HOUR_S = 900.0, 3600.0
NOTHING = ((math.inf, 0.0, 0.0),)
type Pieces = tuple[tuple[float, float, float], ...]


def load(pieces: Pieces, *, capacity: int = 6, judged: int = 100) -> Load:
    """An empty queue, one message a second and instance."""
    forecast = Forecast(source="day", stays_per_s=0.0, pieces=pieces, error_per_s=0.0, judged=judged, doubted=False)
    return Load(
        depth=0.0,
        arrivals_per_s=0.0,
        completions_per_s=0.0,
        service_rate_per_s=1.0,
        capacity=capacity,
        ready=capacity,
        pending=(),
        cold_start_s=COLD_START_S,
        looks_every_s=15.0,
        forecast=forecast,
        doubts=(),
    )


def rules(**fields: float) -> Scaling:
    return policy(drain_within_s=60.0, **fields)


def rush(in_s: float) -> Pieces:
    """Next to nothing, and from then on work for five instances."""
    return ((in_s, 0.5, 0.5), (math.inf, 5.0, 5.0))


@pytest.mark.parametrize(("in_s", "kept"), [(600.0, 5), (1200.0, 5), (2700.0, 5), (3700.0, 1)])
def test_what_is_wanted_back_within_the_hour_stays(in_s: float, kept: int) -> None:
    assert sufficient(load(rush(in_s)), rules()) == kept


def test_without_work_an_instance_saves_the_hour_and_harms_nobody() -> None:
    of_two = weighed(load(NOTHING), rules(), to=4)
    assert (of_two.saves_s, of_two.harms_s) == (2 * HOUR_S, 0.0)
    assert sufficient(load(NOTHING), rules()) == 0


def test_work_that_is_certain_lacks_for_a_cold_start_and_weighs_as_the_quantile_says() -> None:
    certain = weighed(load(((math.inf, 9.0, 9.0),)), rules(forecast_quantile_pct=90.0), to=5)
    assert certain.saves_s == -HOUR_S
    assert certain.harms_s == pytest.approx(9 * COLD_START_S)


def test_a_chance_is_weighed_and_not_taken_for_certain() -> None:
    """The bound of 93 in 100 just fits: of a hundred hours, in seven more is needed than is left."""
    bound = load(((math.inf, 0.0, 3.0),))
    one = weighed(bound, rules(), to=5)
    assert 0.9 * HOUR_S < one.saves_s < HOUR_S
    assert 0 < one.harms_s < one.saves_s


def test_nothing_is_weighed_by_a_forecast_that_nobody_judged() -> None:
    assert sufficient(load(((math.inf, 2.0, 2.0),), judged=3), rules(headroom_pct=50.0)) == 3


@st.composite
def pieces(draw: st.DrawFn) -> Pieces:
    ends = sorted(draw(st.lists(st.floats(60, 2 * HOUR_S), max_size=5, unique=True)))
    means = [draw(st.floats(0, 8)) for _ in range(len(ends) + 1)]
    return tuple((end, mean, mean + draw(st.floats(0, 4))) for end, mean in zip([*ends, math.inf], means, strict=True))


@given(pieces(), st.integers(1, 12), st.floats(50, 99))
def test_of_what_is_given_back_each_instance_is_worth_it_and_the_last_that_stays_is_not(
    ahead: Pieces, capacity: int, quantile_pct: float
) -> None:
    seen, ruled = load(ahead, capacity=capacity), rules(forecast_quantile_pct=quantile_pct)
    kept = sufficient(seen, ruled)
    for left in range(kept, capacity):
        one = load(ahead, capacity=left + 1)
        saves_s, harms_s = weighed(one, ruled, to=left)
        assert saves_s > harms_s
    wanted_soon = sufficient(load(ahead, capacity=0), ruled)  # what the next look would order back
    if wanted_soon < kept < capacity:
        saves_s, harms_s = weighed(load(ahead, capacity=kept), ruled, to=kept - 1)
        assert saves_s <= harms_s


@given(pieces(), st.integers(2, 12), st.floats(50, 99))
def test_what_is_left_is_not_ordered_back_at_once(ahead: Pieces, capacity: int, quantile_pct: float) -> None:
    ruled = rules(forecast_quantile_pct=quantile_pct)
    kept = sufficient(load(ahead, capacity=capacity), ruled)
    left = load(ahead, capacity=max(1, kept))
    assert kept >= capacity or not (is_at_risk(left, ruled) and needed(left, ruled) > left.capacity)


@pytest.mark.parametrize(
    ("price", "words"), [(None, "save 5.0 instance-hours within the hour"), (3.0, "save 15.00 USD within the hour")]
)
def test_it_is_said_and_told_in_numbers(price: float | None, words: str) -> None:
    watch = Watch(policy(scale_in_hold_s=300.0), ScalingMemory(arrivals=lived(lambda hour: 0.001, 0.5)))
    idle = {"depth": 0, "arrivals_per_s": 0, "completions_per_s": 0, "capacity": 6, "price_usd_per_hour": price}
    intent = watch.looks(0, 300, **idle)[-1]
    assert (intent.rule, intent.value) == ("less_suffices", 1)
    assert words in intent.reason
    assert intent.numbers["giving_back_saves_s"] == pytest.approx(5 * HOUR_S)
    assert intent.numbers["giving_back_harms_s"] == pytest.approx(0, abs=1)


def test_nothing_is_said_of_sums_that_nobody_weighed() -> None:
    idle = {"depth": 0, "arrivals_per_s": 0, "completions_per_s": 0, "capacity": 6}
    intent = Watch(policy(scale_in_hold_s=300.0)).looks(0, 300, **idle)[-1]
    assert intent.rule == "less_suffices"
    assert "is expected to save" not in intent.reason
    assert "giving_back_saves_s" not in intent.numbers


@pytest.mark.parametrize("forecast", ["shadow", "on"])
@pytest.mark.parametrize(("cold_start_s", "promise_s"), [(30, 60), (180, 300), (900, 600)])
def test_a_steady_load_is_left_alone(forecast: Literal["shadow", "on"], cold_start_s: int, promise_s: float) -> None:
    """Three and a half instances' work: four serve it, and nobody goes back and forth between three and four."""
    rules = policy(drain_within_s=promise_s, cold_start_s=float(cold_start_s), forecast=forecast)
    world = Plant(rules, lambda _: 3.5, cold_start_s).run(14 * 3600)
    settled = len(world.decisions)
    world.run(4 * 3600)
    assert len(world.decisions) == settled


def test_what_is_scheduled_within_the_hour_is_not_given_back() -> None:
    load = {"name": "soon", "zone": "UTC", "weekly": {"days": ["mon"], "from": "13:20", "until": "14:00"}, "min": 5}
    watch = Watch(Scaling.model_validate(policy(scale_in_hold_s=300.0).model_dump() | {"schedule": [load]}))
    idle = {"depth": 0, "arrivals_per_s": 0, "completions_per_s": 0, "capacity": 6}
    assert watch.looks(0, 300, **idle)[-1].value == 5
