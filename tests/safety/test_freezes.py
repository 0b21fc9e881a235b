"""Freeze windows: what they mean on the wall clock of those who are away, also when clocks change."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.policy.freezes import Freeze
from shared.policy.windows import WEEKDAYS, zone_of
from shared.safety.facts import Refusal
from shared.safety.freezes import freeze_ahead, frozen_until, opening
from tests.safety.builders import NOW, asked, facts, plan, policy

# IANA name, Windows name, and a moment near which clocks change (forwards, back; one by half an hour; one at midnight).
CHANGES = [
    ("Europe/Berlin", "W. Europe Standard Time", datetime(2026, 3, 29, 1, tzinfo=UTC)),
    ("Europe/Berlin", "W. Europe Standard Time", datetime(2026, 10, 25, 1, tzinfo=UTC)),
    ("America/New_York", "Eastern Standard Time", datetime(2026, 3, 8, 7, tzinfo=UTC)),
    ("America/New_York", "Eastern Standard Time", datetime(2026, 11, 1, 6, tzinfo=UTC)),
    ("Australia/Lord_Howe", "Lord Howe Standard Time", datetime(2026, 4, 4, 15, tzinfo=UTC)),
    ("Australia/Lord_Howe", "Lord Howe Standard Time", datetime(2026, 10, 3, 15, 30, tzinfo=UTC)),
    ("Africa/Cairo", "Egypt Standard Time", datetime(2026, 4, 23, 22, tzinfo=UTC)),
    ("America/Santiago", "Pacific SA Standard Time", datetime(2026, 9, 6, 4, tzinfo=UTC)),
    ("Asia/Kolkata", "India Standard Time", datetime(2026, 6, 1, tzinfo=UTC)),
]
times = st.times().map(lambda t: t.replace(second=0, microsecond=0))
near_a_change = st.tuples(st.sampled_from(CHANGES), st.integers(-3 * 24 * 60, 3 * 24 * 60))
patient = settings(max_examples=300, deadline=None)


def freeze(**fields: Any) -> Freeze:
    return Freeze.model_validate({"name": "quiet", "reason": "r", "zone": "UTC"} | fields)


def weekly(start: time, until: time, days: Any, zone: str) -> Freeze:
    return freeze(zone=zone, weekly={"days": days, "from": f"{start:%H:%M}", "until": f"{until:%H:%M}"})


def clock_is_inside(moment: datetime, start: time, until: time, days: Any, zone: str) -> bool:
    """What the wall clock alone says, to a person who looks at it."""
    local = moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    today, yesterday = WEEKDAYS[local.weekday()], WEEKDAYS[(local.weekday() - 1) % 7]
    if until > start:
        return today in days and start <= local.time() < until
    return (today in days and local.time() >= start) or (yesterday in days and local.time() < until)


day_sets = st.sets(st.sampled_from(WEEKDAYS), min_size=1)


@patient
@given(near_a_change, times, times, day_sets)
def test_a_weekly_window_is_never_shorter_than_the_wall_clock_says(
    near: Any, start: time, until: time, days: set[str]
) -> None:
    (zone, _, change), minutes = near
    moment = change + timedelta(minutes=minutes)
    if clock_is_inside(moment, start, until, days, zone):
        assert frozen_until(weekly(start, until, days, zone), moment) is not None


@patient
@given(near_a_change, times, times, day_sets)
def test_and_longer_only_by_what_clocks_repeat_or_skip(near: Any, start: time, until: time, days: set[str]) -> None:
    (zone, _, change), minutes = near
    moment = change + timedelta(minutes=minutes)
    if abs(moment - change) > timedelta(hours=26) and not clock_is_inside(moment, start, until, days, zone):
        assert frozen_until(weekly(start, until, days, zone), moment) is None


@patient
@given(near_a_change, times, times, day_sets)
def test_names_of_windows_and_of_iana_are_the_same_zone(near: Any, start: time, until: time, days: set[str]) -> None:
    (iana, windows, change), minutes = near
    moment = change + timedelta(minutes=minutes)
    said = [frozen_until(weekly(start, until, days, zone), moment) for zone in (iana, windows)]
    assert said[0] == said[1]


@patient
@given(near_a_change, times, times, day_sets)
def test_the_end_is_the_first_moment_after_it(near: Any, start: time, until: time, days: set[str]) -> None:
    (zone, _, change), minutes = near
    one = weekly(start, until, days, zone)
    moment = change + timedelta(minutes=minutes)
    end = frozen_until(one, moment)
    if end is not None:
        assert end > moment
        assert frozen_until(one, end - timedelta(microseconds=1)) is not None
    opens = opening([one], moment)
    assert opens is None or frozen_until(one, opens) is None
    assert (opens is None) == (len(days) == 7 and start == until)


@patient
@given(near_a_change, st.dates(date(2026, 1, 1), date(2026, 12, 30)))
def test_a_whole_day_is_frozen_while_the_calendar_on_the_wall_shows_it(near: Any, day: date) -> None:
    (zone, _, change), minutes = near
    moment = change + timedelta(minutes=minutes)
    today = moment.astimezone(ZoneInfo(zone)).date()
    for written in (day, today):
        frozen = frozen_until(freeze(zone=zone, dates=[str(written)]), moment) is not None
        assert frozen or written != today
        assert not frozen or abs((written - today).days) <= 1


@pytest.mark.parametrize(
    ("start", "until", "opens_utc"),
    [
        pytest.param("2026-03-29 01:30", "2026-03-29 02:30", "01:30", id="until a time that clocks skip"),
        pytest.param("2026-10-24 22:00", "2026-10-25 02:30", "01:30", id="until a time that comes twice"),
    ],
)
def test_the_longer_of_what_a_local_time_may_mean(start: str, until: str, opens_utc: str) -> None:
    one = freeze(zone="Europe/Berlin", once={"from": start, "until": until})
    end = datetime.fromisoformat(f"{until[:10]} {opens_utc}").replace(tzinfo=UTC)
    assert frozen_until(one, end - timedelta(seconds=1)) == end
    assert frozen_until(one, end) is None


def test_it_begins_at_the_first_of_two_equal_local_times() -> None:
    one = freeze(zone="Europe/Berlin", once={"from": "2026-10-25 02:30", "until": "2026-10-25 09:00"})
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert frozen_until(one, first - timedelta(seconds=1)) is None
    assert frozen_until(one, first) is not None


def test_public_holidays_of_a_state_and_not_of_its_neighbours() -> None:
    """Corpus Christi is a holiday in North Rhine-Westphalia, not in Berlin."""
    noon = datetime(2026, 6, 4, 10, tzinfo=UTC)
    nw = freeze(zone="Europe/Berlin", holidays={"country": "DE", "subdivision": "NW"})
    be = freeze(zone="Europe/Berlin", holidays={"country": "DE", "subdivision": "BE"})
    assert frozen_until(nw, noon) == datetime(2026, 6, 4, 22, tzinfo=UTC)
    assert frozen_until(be, noon) is None
    new_year = freeze(zone="Asia/Tokyo", holidays={"country": "JP"})
    assert frozen_until(new_year, datetime(2025, 12, 31, 16, tzinfo=UTC)) is not None, "it is next year there already"


def test_windows_that_touch_open_after_the_last() -> None:
    evenings = weekly(time(18), time(0), ["wed"], "UTC")
    thursdays = freeze(dates=["2026-03-12"])
    friday_night = freeze(once={"from": "2026-03-12 20:00", "until": "2026-03-13 06:00"})
    wednesday = datetime(2026, 3, 11, 19, tzinfo=UTC)
    assert opening([evenings, thursdays, friday_night], wednesday) == datetime(2026, 3, 13, 6, tzinfo=UTC)


freezes = st.builds(
    lambda start, until, days, near: weekly(start, until, days, near[0][0]), times, times, day_sets, near_a_change
)


@patient
@given(st.lists(freezes, max_size=3), near_a_change)
def test_what_is_ahead_is_frozen_from_its_first_to_its_last_moment_and_nothing_before_it(
    every: list[Freeze], near: Any
) -> None:
    moment = near[0][2] + timedelta(minutes=near[1])
    ahead = freeze_ahead(every, moment)
    if ahead is None:
        assert not any(frozen_until(one, moment + timedelta(hours=hour)) for one in every for hour in range(24))
        return
    begins, ends = ahead
    assert begins < ends
    assert begins <= moment + timedelta(days=1)
    first = max(begins, moment)
    for at in (first, first + (ends - first) / 2, ends - timedelta(seconds=1)):
        assert any(frozen_until(one, at) for one in every)
    if begins > moment:
        assert not any(frozen_until(one, moment + (begins - moment) / 2) for one in every)


def test_the_next_freeze_is_seen_a_day_ahead() -> None:
    one = freeze(once={"from": "2026-03-13 12:00", "until": "2026-03-14 06:00"})
    begins = datetime(2026, 3, 13, 12, tzinfo=UTC)
    assert freeze_ahead([one], begins - timedelta(days=1, seconds=1)) is None
    assert freeze_ahead([one], begins - timedelta(days=1)) == (begins, begins + timedelta(hours=18))
    assert freeze_ahead([one], begins + timedelta(hours=18)) is None
    assert freeze_ahead([], begins) is None


def test_the_words() -> None:
    one = freeze(
        name="year-close",
        reason="Books are closed.",
        zone="Europe/Berlin",
        dates=["2026-03-11"],
        scopes=["project:talk"],
    )
    assert asked("freeze", facts(policy=policy(freezes=[one]))) == Refusal(
        code="frozen",
        reason="Freeze window 'year-close': no shrink until Thu 2026-03-12 00:00 (Europe/Berlin). Books are closed.",
        remedy="It opens by itself at 2026-03-11 23:00 UTC; if shrink cannot wait, name it in `allow` of that freeze "
        "in the policy.",
    )


def test_windows_without_a_gap_are_said_to_be_so() -> None:
    always = freeze(weekly={"days": list(WEEKDAYS)})
    shut = asked("freeze", facts(policy=policy(freezes=[always])))
    assert shut is not None
    assert "no gap within a year" in shut.remedy


@pytest.mark.parametrize(
    ("fields", "growth", "shrink"),
    [
        pytest.param({"weekly": {"days": ["wed"]}}, False, True, id="what comes again lets growth through"),
        pytest.param({"dates": ["2026-03-11"]}, True, True, id="days that were chosen let nothing through"),
        pytest.param({"weekly": {"days": ["wed"]}, "allow": []}, True, True, id="allow nothing"),
        pytest.param({"dates": ["2026-03-11"], "allow": ["shrink"]}, True, False, id="allow shrinking"),
        pytest.param({"dates": ["2026-03-11"], "scopes": ["target:ocr"]}, False, False, id="another target"),
        pytest.param({"dates": ["2026-03-11"], "scopes": ["workspace:LAB"]}, True, True, id="its workspace"),
        pytest.param({"dates": ["2026-03-12"]}, False, False, id="tomorrow"),
    ],
)
def test_what_is_frozen(fields: dict[str, Any], growth: bool, shrink: bool) -> None:
    in_force = policy(freezes=[freeze(**fields)])
    assert (asked("freeze", facts(plan(2, 3), policy=in_force)) is not None) == growth
    assert (asked("freeze", facts(plan(3, 2), policy=in_force)) is not None) == shrink


def test_every_windows_zone_is_known_here() -> None:
    from tzlocal.windows_tz import win_tz

    assert {str(zone_of(name)) for name in win_tz} == set(win_tz.values())
    assert frozen_until(freeze(dates=["2026-03-11"]), NOW) is not None
