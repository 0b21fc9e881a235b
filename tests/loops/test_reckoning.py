"""What a decision reckoned with, as people are shown it."""

from datetime import timedelta
from typing import Any, Literal

import pytest

from shared.domain import ScalingMemory
from shared.loops.reckoning import reckoned
from tests.decisions.builders import policy, snapshot
from tests.decisions.test_forecast import MONDAY, lived, tide

COLD_START_S = 900.0


def told(forecast: Literal["off", "shadow", "on"], hour: float, **seen: Any) -> dict[str, Any]:
    now = MONDAY + timedelta(days=6, hours=hour)
    memory = ScalingMemory(arrivals=lived(tide, 6 + hour / 24))
    rules = policy(forecast=forecast, cold_start_s=COLD_START_S)
    found = reckoned(snapshot(now, arrivals_per_s=tide(hour), **seen), memory, rules, None, now)
    assert found is not None
    return found


@pytest.mark.parametrize("hour", [4.0, 7.0, 16.0])
@pytest.mark.parametrize("freeze", [False, True])
def test_the_forecast_is_of_the_time_that_it_is_told_for(hour: float, freeze: bool) -> None:
    """And not of the end of all that is looked at, which is an hour or a freeze later."""
    now = MONDAY + timedelta(days=6, hours=hour)
    ahead = {"freeze_begins_at": now + timedelta(hours=1), "freeze_ends_at": now + timedelta(hours=9)}
    forecast = told("on", hour, **(ahead if freeze else {}))["forecast"]
    assert forecast["in_s"] == COLD_START_S
    assert forecast["mean_per_s"] == pytest.approx(tide(hour + COLD_START_S / 3600), rel=0.05)


def test_the_shadow_shows_what_usual_days_say_beside_what_is_decided_on() -> None:
    shadow, on = told("shadow", 7.0), told("on", 7.0)
    assert shadow["forecast"]["mean_per_s"] == pytest.approx(tide(7.0), rel=0.05)
    usual = shadow["forecast"]["usual_days"]
    assert usual["mean_per_s"] == pytest.approx(on["forecast"]["mean_per_s"], rel=0.01)
    assert usual["error_per_s"] == on["forecast"]["error_per_s"] < shadow["forecast"]["error_per_s"]
    assert "By usual days" in shadow["in_words"]
    assert "only watched" in shadow["in_words"]


def test_without_a_shadow_nothing_is_shown_of_it() -> None:
    off = told("off", 7.0)
    assert "usual_days" not in off["forecast"]
    assert "By usual days" not in off["in_words"]
