"""Loads that are known ahead: when they count, on the wall clock of those who wrote them, and what is made of them."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.decisions.scaling import decide
from shared.decisions.scaling.schedule import lead_s, next_begins_at, scheduled, with_floor
from shared.domain import ScalingMemory
from shared.policy.calendar import windows_near
from shared.policy.schedule import ScheduledLoad
from shared.policy.windows import WEEKDAYS
from tests.decisions.builders import NOW, Watch, policy, snapshot, wanted
from tests.decisions.plant import Plant

HOUR_S = 3600
ZONES = ["UTC", "Europe/Berlin", "W. Europe Standard Time", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo"]


def load(least: int = 6, name: str = "nightly", zone: str = "UTC", **when: Any) -> ScheduledLoad:
    given_ = when or {"weekly": {"days": list(WEEKDAYS), "from": "14:00", "until": "15:00"}}
    return ScheduledLoad.model_validate({"name": name, "zone": zone, "min": least} | given_)


days = st.sets(st.sampled_from(WEEKDAYS), min_size=1).map(sorted)
hours = st.times().map(lambda t: f"{t:%H:%M}")
weekly = st.builds(lambda d, start, until: {"weekly": {"days": d, "from": start, "until": until}}, days, hours, hours)
loads = st.builds(
    lambda least, zone, when: load(least, zone=zone, **when), st.integers(1, 50), st.sampled_from(ZONES), weekly
)
moments = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - in UTC
patient = settings(deadline=None, max_examples=150)


def floor(known: list[ScheduledLoad], now: datetime, horizon_s: float) -> int:
    found = scheduled(known, now, horizon_s)
    return 0 if found is None else found.min


@patient
@given(st.lists(loads, min_size=1, max_size=4), moments, st.floats(0, 5 * 86_400))
def test_what_is_found_is_one_of_them_and_touches_the_interval(
    known: list[ScheduledLoad], now: datetime, horizon_s: float
) -> None:
    found = scheduled(known, now, horizon_s)
    if found is None:
        return
    assert (found.min, found.name) in {(one.min, one.name) for one in known}
    assert found.begins_at <= now + timedelta(seconds=horizon_s)
    assert found.ends_at > max(now, found.begins_at)
    begins_at = next_begins_at(known, now, horizon_s)
    assert begins_at is not None
    assert begins_at <= found.begins_at


@patient
@given(st.lists(loads, max_size=4), loads, moments, st.floats(0, 86_400), st.floats(0, 86_400))
def test_a_longer_look_ahead_or_one_more_load_never_needs_less(
    known: list[ScheduledLoad], more: ScheduledLoad, now: datetime, shorter_s: float, longer_s: float
) -> None:
    shorter_s, longer_s = sorted((shorter_s, longer_s))
    assert floor(known, now, shorter_s) <= floor(known, now, longer_s) <= floor([*known, more], now, longer_s)


@patient
@given(loads, moments, st.integers(0, 3 * 86_400))
def test_a_look_ahead_finds_what_the_moments_in_it_have(one: ScheduledLoad, now: datetime, horizon_s: int) -> None:
    stops = [now + timedelta(seconds=at) for at in (0, horizon_s // 3, horizon_s // 2, horizon_s)]
    assert all(floor([one], stop, 0) <= floor([one], now, horizon_s) for stop in stops)


@patient
@given(loads, moments)
def test_it_holds_whenever_the_wall_clock_says_so(one: ScheduledLoad, now: datetime) -> None:
    assert one.weekly is not None
    if one.weekly.until <= one.weekly.start:
        return
    zone = ZoneInfo("Europe/Berlin" if one.zone == "W. Europe Standard Time" else one.zone)
    local = now.astimezone(zone)
    inside = WEEKDAYS[local.weekday()] in one.weekly.days
    if inside and one.weekly.start <= f"{local:%H:%M}" < one.weekly.until:
        assert floor([one], now, 0) == one.min


@pytest.mark.parametrize(
    ("zone", "winter_utc", "summer_utc"),
    [("Europe/Berlin", 1, 0), ("W. Europe Standard Time", 1, 0), ("America/New_York", 7, 6)],
)
def test_two_in_the_morning_moves_with_the_clocks(zone: str, winter_utc: int, summer_utc: int) -> None:
    one = load(zone=zone, weekly={"days": list(WEEKDAYS), "from": "02:00", "until": "02:30"})
    for month, hour in ((1, winter_utc), (7, summer_utc)):
        begins = datetime(2026, month, 14, hour, tzinfo=UTC)
        assert floor([one], begins - timedelta(seconds=1), 0) == 0
        assert floor([one], begins, 0) == 6
        assert floor([one], begins + timedelta(minutes=30), 0) == 0


def test_a_day_that_is_chosen_and_a_launch() -> None:
    month_end = load(4, dates=["2026-01-31"])
    launch = load(9, once={"from": "2026-01-31 10:00", "until": "2026-01-31 12:00"})
    assert floor([month_end, launch], datetime(2026, 1, 31, 9, tzinfo=UTC), 0) == 4
    assert floor([month_end, launch], datetime(2026, 1, 31, 11, tzinfo=UTC), 0) == 9


def test_the_policys_min_rises_and_never_beyond_its_max() -> None:
    rules = policy(min=2, max=5, schedule=(load(8),))
    assert with_floor(rules, scheduled(rules.schedule, NOW, 2 * HOUR_S)).min == 5
    assert with_floor(rules, None) is rules


class TestTheDecision:
    """The load of 14:00 UTC, looked at from 12:30; a cold start of three minutes and two of margin."""

    def test_orders_a_cold_start_and_a_margin_ahead(self) -> None:
        watch = Watch(policy(schedule=(load(),)))
        seen = watch.looks(0, 1.5 * HOUR_S)
        orders = [at for at, intent in enumerate(seen) if intent.value == 6]
        first_s = 15 * orders[0]
        assert abs(1.5 * HOUR_S - first_s - lead_s(180)) <= 15
        assert seen[orders[0]].rule == "scheduled_load"
        assert "'nightly' begins Mon 14:00 UTC and needs 6; 2 instances are ordered" in seen[orders[0]].reason

    def test_says_what_allows_fewer(self) -> None:
        intent = wanted(snapshot(NOW, quota_headroom=1), rules=policy(schedule=(load(weekly={"days": ["mon"]}),)))
        assert (intent.value, intent.rule) == (3, "scheduled_load")
        assert "the quota of the VM family allows 3" in intent.reason

    def test_orders_before_a_freeze_what_is_scheduled_in_it(self) -> None:
        at = NOW + timedelta(minutes=1)
        rules = policy(schedule=(load(),))
        frozen = {"freeze_begins_at": at, "freeze_ends_at": NOW + timedelta(hours=3)}
        assert wanted(snapshot(NOW, **frozen), rules=rules).value == 6
        assert wanted(snapshot(NOW, **frozen | {"freeze_begins_at": NOW + timedelta(hours=1)}), rules=rules).value != 6

    def test_does_not_shrink_below_it(self) -> None:
        rules = policy(schedule=(load(4, weekly={"days": ["mon"]}),))
        watch = Watch(rules)
        assert {intent.value for intent in watch.looks(0, HOUR_S, capacity=9)} == {None, 4}

    def test_works_nothing_out_twice_in_a_day(self) -> None:
        known = tuple(load(name=f"n{number}", zone="Europe/Berlin") for number in range(3))
        scheduled(known, NOW, HOUR_S)
        worked_out = windows_near.cache_info().misses
        for minute in range(60):
            scheduled(known, NOW + timedelta(minutes=minute), HOUR_S)
        assert windows_near.cache_info().misses == worked_out


class TestInAClosedLoop:
    def test_a_nightly_batch_is_served_from_its_first_minute(self) -> None:
        """At 14:00 UTC (5400 s after the start) eight instances' worth of work begins, at once, for half an hour."""
        batch = lambda t: 7.0 if 5400 <= t < 7200 else 0.2  # noqa: E731 - a formula
        rules = policy(drain_within_s=300.0, cold_start_s=900.0, scale_in_cooldown_s=900.0)
        known = rules.model_copy(update={"schedule": (load(8),)})
        unready, ready = (Plant(one, batch, 900).run(4 * HOUR_S) for one in (rules, known))
        assert ready.longest_wait_s() <= 30
        assert unready.longest_wait_s() > 600
        assert ready.reversals == 1
        assert ready.depth == 0
        assert ready.capacity <= 2, "given back, but for what the forecast keeps"


def test_the_same_decision_with_and_without_a_schedule_elsewhere() -> None:
    """A schedule that is not near changes nothing."""
    far = policy(schedule=(load(dates=["2026-06-01"]),))
    seen = snapshot(NOW, depth=700, arrivals_per_s=3, completions_per_s=2)
    assert decide(seen, ScalingMemory(), far, NOW) == decide(seen, ScalingMemory(), policy(), NOW)
