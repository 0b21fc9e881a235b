"""What is forecast: usual days and weeks once they have earned it, and what is seen now where they have not."""

import math
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.decisions.scaling import effects
from shared.decisions.scaling.forecast.ahead import Forecast, forecast
from shared.decisions.scaling.forecast.learning import learned
from shared.decisions.scaling.forecast.profile import SLOTS_A_DAY, rate_in, with_rate
from shared.domain import ArrivalMemory, ExpectedEffect, Fresh, ScalingMemory
from tests.decisions.builders import NOW, Watch, fresh, later, missing, policy

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
type Rate = Callable[[float], float]
"""Arrivals a second by the hours since Monday, midnight."""


def lived(rate: Rate, days: float, memory: ArrivalMemory | None = None, since_days: float = 0.0) -> ArrivalMemory:
    memory = memory or ArrivalMemory()
    for minute in range(int(since_days * 1440), int((since_days + days) * 1440), 2):
        at = MONDAY + timedelta(minutes=minute + 2)
        sample = Fresh(value=rate(minute / 60), at=at, source="test")
        memory = learned(memory, sample, 900, 0.07, seasons=True)
    return memory


def ahead(memory: ArrivalMemory, hours: float, now_per_s: float, *, seasons: bool = True) -> Forecast:
    return forecast(memory, now_per_s, now_per_s, MONDAY + timedelta(hours=hours), 1800, seasons=seasons)


def tide(hour: float) -> float:
    """Low at midnight, high at noon."""
    return 2 - 1.8 * math.cos(2 * math.pi * hour / 24)


def batch(hour: float) -> float:
    return 8.0 if 2 <= hour % 24 < 3 else 0.5


def at_weekdays(hour: float) -> float:
    return tide(hour) if hour % 168 < 120 else 0.3


class TestUsualDays:
    def test_a_batch_at_a_fixed_hour_is_seen_coming(self) -> None:
        memory = lived(batch, 5 + 1.9 / 24)
        coming = ahead(memory, 5 * 24 + 1.9, now_per_s=0.5)
        assert max(mean for _, mean, _ in coming.pieces) == pytest.approx(8.0, rel=0.25)

    def test_not_on_the_first_day(self) -> None:
        memory = lived(batch, 1.9 / 24)
        assert max(mean for _, mean, _ in ahead(memory, 1.9, now_per_s=0.5).pieces) == pytest.approx(0.5)

    def test_only_where_seasons_may_say_it(self) -> None:
        memory = lived(batch, 5 + 1.9 / 24)
        assert max(mean for _, mean, _ in ahead(memory, 121.9, now_per_s=0.5, seasons=False).pieces) == pytest.approx(
            0.5
        )

    def test_a_quiet_saturday_is_seen_coming_after_two_weeks(self) -> None:
        memory = lived(at_weekdays, 19)
        assert ahead(memory, 19 * 24, now_per_s=0.2).pieces[-1][1] < 0.5

    @pytest.mark.parametrize("seasons", [True, False])
    def test_a_steady_rise_goes_on(self, seasons: bool) -> None:
        """Over twelve hours from one to thirteen messages a second, on the first day."""
        memory = lived(lambda hour: 1 + hour, 0.5)
        coming = ahead(memory, 12, now_per_s=13.0, seasons=seasons)
        assert coming.source == "trend"
        assert 13.0 < coming.at(900)[0] < coming.at(1800)[0] < 14.0

    def test_a_fall_ends_at_nothing(self) -> None:
        memory = lived(lambda hour: max(0.0, 9 - hour), 8.9 / 24)
        assert min(mean for _, mean, _ in ahead(memory, 8.9, now_per_s=0.1).pieces) >= 0

    def test_what_arrives_now_beyond_it_is_not_forgotten(self) -> None:
        memory = lived(tide, 6)
        calm, surge = ahead(memory, 144, now_per_s=0.2), ahead(memory, 144, now_per_s=6.0)
        assert surge.pieces[0][1] == 6.0
        assert surge.pieces[1][1] > calm.pieces[1][1] + 4
        assert calm.pieces[-1][1] <= surge.pieces[-1][1] < 6

    def test_the_bound_lies_above_and_not_far_above_what_ever_came(self) -> None:
        memory = lived(batch, 6)
        for _, mean, high in ahead(memory, 144, now_per_s=0.5).pieces:
            assert mean <= high <= max(9.0, 1.2 * mean)


class TestLevels:
    def test_where_load_comes_and_goes_at_once_the_quick_one_counts(self) -> None:
        """On for forty minutes, off for eighty, never at the same hours: half an hour of memory is a burst too long."""

        def bursts(hour: float) -> float:
            return 6.0 if (hour * 60 + 37 * int(hour / 24)) % 120 < 40 else 0.2

        memory = lived(bursts, 4 + 1.2 / 24)
        assert ahead(memory, 97.2, now_per_s=0.2, seasons=False).source == "quick"

    def test_where_load_only_wavers_the_slow_ones_do(self) -> None:
        def wavering(hour: float) -> float:
            return 3.0 + random.Random(int(hour * 6)).uniform(-1.5, 1.5)

        assert ahead(lived(wavering, 4), 96, now_per_s=3.0, seasons=False).source in ("level", "steady")


class TestASeasonTurnedUpsideDown:
    def upside_down(self, hours: float) -> ArrivalMemory:
        def turned(hour: float) -> float:
            return tide(hour + 12)

        return lived(turned, hours / 24, lived(tide, 10), since_days=10)

    def test_it_is_believed_before(self) -> None:
        said = ahead(lived(tide, 10), 240, now_per_s=0.2)
        assert said.source not in ("level", "steady")
        assert not said.doubted

    def test_within_hours_it_hardly_counts_and_that_is_said(self) -> None:
        memory = self.upside_down(5)
        said = ahead(memory, 245, now_per_s=tide(5 + 12))
        assert said.doubted
        assert said.pieces[-1][1] == pytest.approx(tide(5 + 12), rel=0.25)

    def test_a_person_reads_it(self) -> None:
        memory = replace(ScalingMemory(), arrivals=self.upside_down(5))
        watch = Watch(policy(forecast="on", max=40), memory)
        hours = (NOW - MONDAY).total_seconds() / 3600
        intent = watch.look((10 * 24 + 5 - hours) * 3600, depth=20, arrivals_per_s=tide(17))
        assert "Usual days were right until lately, and are wrong now" in intent.reason

    def test_in_time_the_new_days_are_the_usual_ones(self) -> None:
        said = ahead(self.upside_down(8 * 24), 18 * 24, now_per_s=tide(12))
        assert not said.doubted


def test_a_gap_in_the_metrics_does_no_harm() -> None:
    memory = lived(tide, 3)
    again = lived(tide, 3, memory, since_days=5)
    assert ahead(again, 8 * 24, now_per_s=0.2).pieces[-1][1] == pytest.approx(tide(0.5), abs=0.5)


def test_a_missing_sample_teaches_nothing() -> None:
    memory = lived(tide, 1)
    assert learned(memory, missing(), 900, 0.07, seasons=True) is memory


@given(st.lists(st.tuples(st.integers(0, SLOTS_A_DAY - 1), st.floats(0, 60_000)), max_size=20))
def test_a_profile_remembers_the_last_rate_of_each_slot(written: list[tuple[int, float]]) -> None:
    profile, kept = "", dict(written)
    for slot, rate in written:
        profile = with_rate(profile, SLOTS_A_DAY, slot, rate)
    for slot in range(SLOTS_A_DAY):
        if slot in kept:
            assert rate_in(profile, slot) == pytest.approx(kept[slot], rel=0.003, abs=1e-4)
        else:
            assert rate_in(profile, slot) is None


class TestEffects:
    """A growth is to do what it was ordered for; a target where it does not is not run on forecasts."""

    def judged(self, *waits_s: float) -> ScalingMemory:
        memory = ScalingMemory()
        for wait_s in waits_s:
            memory = replace(memory, effect=ExpectedEffect(at=NOW, wait_s=0.0))
            memory = effects.judged(memory, depth=wait_s, rate_per_s=1.0, drain_within_s=600, now=NOW)
        return memory

    def test_as_expected(self) -> None:
        memory = self.judged(0, 60, 100)
        assert memory.effects_judged == 3
        assert not effects.are_off(memory)

    def test_off_by_more_than_the_promise(self) -> None:
        assert effects.are_off(self.judged(1200, 1800, 1500))

    def test_one_is_no_rule(self) -> None:
        assert not effects.are_off(self.judged(5000))

    def test_it_is_over_once_they_are_right_again(self) -> None:
        assert not effects.are_off(self.judged(1200, 1800, 1500, 0, 0, 0))

    def test_not_before_its_time(self) -> None:
        memory = replace(ScalingMemory(), effect=ExpectedEffect(at=later(60), wait_s=0.0))
        assert effects.judged(memory, 1000, 1.0, 600, NOW) is memory

    def test_a_growth_is_judged_a_cold_start_later(self) -> None:
        watch = Watch(policy())
        assert (watch.look(0, depth=3000, completions_per_s=2).value or 0) >= 10
        watch.changed(0, 2, 10)
        watch.look(15, depth=2970, completions_per_s=2, capacity=10, ready=2)
        assert watch.memory.effects_judged == 0
        watch.look(180, depth=2700, completions_per_s=2, capacity=10)
        assert watch.memory.effects_judged == 1

    def test_a_shrink_as_well(self) -> None:
        watch = Watch(policy(scale_in_hold_s=60.0, scale_in_cooldown_s=60.0))
        wish = watch.looks(0, 120, capacity=10)[-1]
        assert (wish.rule, wish.value) == ("less_suffices", 1)
        watch.changed(120, 10, 1)
        watch.looks(135, 285, depth=0, capacity=1)
        assert watch.memory.effects_judged == 0
        watch.look(300, depth=600, arrivals_per_s=3, capacity=1)
        assert watch.memory.effects_judged == 1
        assert watch.memory.effects_off == pytest.approx(2.0)


class TestColdStarts:
    def grown(self, took_s: float) -> Watch:
        watch = Watch(policy(cold_start_s=180.0))
        watch.look(0, depth=3000, completions_per_s=2)
        watch.changed(0, 2, 10)
        for t in range(15, int(took_s) + 181, 15):
            end = (
                t - t % 60 - 60
            )  # of the minute that can be seen; all ten are in it once they served from its beginning
            ready = fresh(10 if end - 60 >= took_s else 2, later(end))
            watch.look(t, depth=3000, completions_per_s=2, capacity=10, ready=ready)
        return watch

    @pytest.mark.parametrize("took_s", [60, 90, 180, 419, 420])
    def test_it_is_learned_from_when_they_were_ready(self, took_s: float) -> None:
        learned_s = self.grown(took_s).memory.cold_start_s
        assert learned_s is not None
        assert took_s <= learned_s < took_s + 60

    def test_without_a_metric_from_when_the_deployment_says_it(self) -> None:
        watch = Watch(policy(cold_start_s=60.0))
        watch.look(0, depth=3000, completions_per_s=2)
        watch.changed(0, 2, 10)
        watch.looks(15, 60, depth=3000, completions_per_s=2, capacity=10, ready=2)
        watch.look(75, depth=3000, completions_per_s=2, capacity=10, ready=10)
        assert watch.memory.cold_start_s == 75.0

    def test_it_is_not_believed_beyond_three_times_the_policys_word(self) -> None:
        watch = self.grown(900)
        watch.changed(930, 10, 12)
        assert "expected in 9 min" in watch.look(930, depth=6000, completions_per_s=9, capacity=12, ready=10).reason
