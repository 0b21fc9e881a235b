"""Stretches of time as a policy writes them, in the local time of those whom they concern.

What they are on the one line of UTC is in `shared/policy/calendar.py`.
"""

import re
from collections.abc import Iterator
from datetime import date, datetime, time
from difflib import get_close_matches
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from shared.policy.parts import NOT_EMPTY, Name, Part, refuse

_MOMENT = r"^\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}$"
_TIME = r"^\d{2}:\d{2}$"
_DAY = r"^\d{4}-\d{2}-\d{2}$"
# Outside of these nobody plans, and local times would run over the ends of the calendar.
_FIRST_YEAR, _LAST_YEAR = 2000, 2200


def _of_form(text: str, form: str, example: str) -> str:
    try:
        if not re.fullmatch(form, text):
            raise ValueError(text)
        if form != _TIME and not _FIRST_YEAR <= datetime.fromisoformat(text).year <= _LAST_YEAR:
            raise ValueError(text)
        if form == _TIME:
            time.fromisoformat(text)
    except ValueError as error:
        raise refuse(f"is '{text[:60]}', which is not of the form {example}", f"Write it like {example}.") from error
    return text


def _moment(text: str) -> str:
    return _of_form(text, _MOMENT, "2026-12-24 18:00")


def _time(text: str) -> str:
    return _of_form(text, _TIME, "18:00")


def _day(text: str) -> str:
    return _of_form(text, _DAY, "2026-12-24")


def _windows_zones() -> dict[str, str]:
    from tzlocal.windows_tz import win_tz

    return win_tz


def zone_of(name: str) -> ZoneInfo:
    """The time zone of an IANA name ("Europe/Berlin") or a Windows name ("W. Europe Standard Time").

    Raises:
        KeyError: there is none of this name.
    """
    try:
        if name == "localtime":  # some systems have such a file: another zone on every machine
            raise KeyError(name)
        return ZoneInfo(_windows_zones().get(name, name))
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise KeyError(name) from error


def _zone(name: str) -> str:
    try:
        zone_of(name)
    except KeyError as error:
        known = {known.lower(): known for known in (*available_timezones(), *_windows_zones())}
        ends = {known.rpartition("/")[2].lower(): known for known in available_timezones()}
        spelled = name.strip().lower().replace(" ", "_")
        near = [known[match] for match in get_close_matches(name.strip().lower(), known, n=1, cutoff=0.75)]
        near = near or [ends[match] for match in get_close_matches(spelled, ends, n=1, cutoff=0.75)]
        advice = f"Did you mean `{near[0]}`?" if near else "Write one like Europe/Berlin, or W. Europe Standard Time."
        raise refuse(f"is '{name[:60]}', which names no time zone, of IANA or of Windows", advice) from error
    return name


type LocalMoment = Annotated[str, AfterValidator(_moment), Field(json_schema_extra={"pattern": _MOMENT})]
type LocalTime = Annotated[str, AfterValidator(_time), Field(json_schema_extra={"pattern": _TIME})]
type LocalDay = Annotated[str, AfterValidator(_day), Field(json_schema_extra={"pattern": _DAY})]
type ZoneName = Annotated[str, AfterValidator(_zone), Field(min_length=1, max_length=60)]
type Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class _Stretch(Part):
    # `from` is a word of Python: the document's name for it is kept in what is written out too.
    model_config = ConfigDict(serialize_by_alias=True)


class Once(_Stretch):
    """One stretch of time."""

    start: Annotated[LocalMoment, Field(alias="from")]
    """First moment, local time: `2026-12-24 18:00`."""

    until: LocalMoment
    """First moment after it, local time."""

    @model_validator(mode="after")
    def _forwards(self) -> Self:
        if datetime.fromisoformat(self.until) <= datetime.fromisoformat(self.start):
            raise refuse(f"ends at {self.until}, not after it begins at {self.start}", "Write an until after from.")
        return self


class Weekly(_Stretch):
    """The same hours of some days of each week."""

    days: Annotated[tuple[Weekday, ...], NOT_EMPTY]
    """On which days it begins: `[mon, tue, wed, thu, fri, sat, sun]`, or some of them."""

    start: Annotated[LocalTime, Field(alias="from")] = "00:00"
    """Local time at which it begins: `18:00`."""

    until: LocalTime = "00:00"
    """Local time at which it ends; not after `from`: on the next day. `00:00` is the end of the day."""


class PublicHolidays(Part):
    """Every public holiday of a country or a part of it, from midnight to midnight."""

    country: str
    """Its two letters (ISO 3166): `DE`."""

    subdivision: str | None = None
    """State or province, where holidays differ: `NW`."""

    @model_validator(mode="after")
    def _known(self) -> Self:
        import holidays

        known = holidays.list_supported_countries()
        if self.country not in known:
            near = get_close_matches(self.country.upper(), known, n=1)
            advice = f"Did you mean `{near[0]}`?" if near else "Write a code of two letters, like DE."
            raise refuse(f"has country '{self.country[:60]}', whose holidays are not known", advice)
        if self.subdivision is not None and self.subdivision not in known[self.country]:
            listed = ", ".join(known[self.country]) or "none"
            reason = f"has subdivision '{self.subdivision[:60]}', which is none of {self.country}"
            raise refuse(reason, f"Write one of: {listed}.")
        return self

    def names(self, days: Iterator[date]) -> dict[date, str]:
        """Those of the days that are holidays, with the holiday's name."""
        import holidays

        asked = list(days)
        years = {day.year for day in asked}
        calendar = holidays.country_holidays(self.country, subdiv=self.subdivision, years=years)
        return {day: calendar[day] for day in asked if day in calendar}


_KINDS = ("once", "weekly", "dates", "holidays")


class Windows(Part):
    """A name for stretches of time: by exactly one of `once`, `weekly`, `dates` and `holidays`."""

    name: Name
    """Short name for people."""

    zone: ZoneName
    """Time zone of its local times, by IANA's name (`Europe/Berlin`) or Windows' (`W. Europe Standard Time`)."""

    once: Once | None = None
    """One stretch of time: `{from: 2026-12-24 18:00, until: 2027-01-02 08:00}`."""

    weekly: Weekly | None = None
    """Each week: `{days: [fri], from: "18:00", until: "08:00"}`."""

    dates: Annotated[tuple[LocalDay, ...], NOT_EMPTY] | None = None
    """Whole days: `[2026-11-27, 2026-11-30]`."""

    holidays: PublicHolidays | None = None
    """Public holidays: `{country: DE, subdivision: NW}`."""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        said = [kind for kind in _KINDS if getattr(self, kind) is not None]
        if len(said) != 1:
            has = "says not when" if not said else f"says when by {' and '.join(said)}"
            raise refuse(has, f"Give exactly one of {', '.join(_KINDS)}.")
        return self

    @property
    def zone_info(self) -> ZoneInfo:
        return zone_of(self.zone)
