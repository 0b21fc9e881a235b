"""What is expected to be late: a queue keeps what comes before help does, a deployment that is called refuses it."""

import math

import pytest

from shared.decisions.scaling.forecast.ahead import Forecast
from shared.decisions.scaling.load import Load
from shared.decisions.scaling.sizing import is_at_risk, is_expected_late, needed
from tests.decisions.builders import policy

COLD_START_S = 900.0
RUSH_THEN_CALM = ((COLD_START_S, 10.0, 10.0), (math.inf, 0.5, 0.5))


@pytest.mark.parametrize(("counted_in", "late"), [("messages", True), ("requests", False)])
def test_a_rush_that_is_over_before_help_could_arrive_is_late_only_where_it_waits(counted_in: str, late: bool) -> None:
    load = Load(
        depth=0.0,
        arrivals_per_s=10.0,
        completions_per_s=4.0,
        service_rate_per_s=1.0,
        capacity=4,
        ready=4,
        pending=(),
        cold_start_s=COLD_START_S,
        looks_every_s=15.0,
        forecast=Forecast(
            source="level", stays_per_s=0.0, pieces=RUSH_THEN_CALM, error_per_s=0.0, judged=100, doubted=False
        ),
        doubts=(),
        counted_in=counted_in,
    )
    rules = policy(drain_within_s=60.0)
    assert (is_expected_late(load, rules), is_at_risk(load, rules), needed(load, rules) > 4) == (late, late, late)
