"""When a policy's windows are, on the one line of UTC.

A local time that clocks show twice, or skip, stands for two moments: a window begins at the earlier and ends at the
later one, so it is never shorter than the wall clock says.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from shared.policy.windows import WEEKDAYS, Windows

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

NEAR_DAYS = 2
"""What `windows_near` says of a UTC day holds for that day and the next: whoever looks further asks for the one after.

A window that touches a moment began at most this long before it on the calendar: a day and a night, and a day for zones
that are a day apart.
"""

type Stretch = tuple[datetime, datetime]
"""The first moment, and the first one after it (UTC)."""


# The same few windows are asked for by every decision of a day.
@lru_cache(maxsize=4096)
def windows_near(windows: Windows, day: date) -> tuple[Stretch, ...]:
    """Every window that may contain a moment of this UTC day or the next, or begins in them; and some around."""
    return tuple(_near(windows, day))


def _near(windows: Windows, day: date) -> Iterator[Stretch]:
    zone = windows.zone_info
    if windows.once is not None:
        yield _between(datetime.fromisoformat(windows.once.start), datetime.fromisoformat(windows.once.until), zone)
        return
    days = [day + timedelta(days=offset) for offset in range(-NEAR_DAYS - 1, NEAR_DAYS + 2)]
    if windows.weekly is not None:
        start, until = time.fromisoformat(windows.weekly.start), time.fromisoformat(windows.weekly.until)
        for local in days:
            if WEEKDAYS[local.weekday()] in windows.weekly.days:
                last = local if until > start else local + timedelta(days=1)
                yield _between(datetime.combine(local, start), datetime.combine(last, until), zone)
        return
    for local in _whole_days(windows, days):
        yield _between(datetime.combine(local, time()), datetime.combine(local + timedelta(days=1), time()), zone)


def _whole_days(windows: Windows, days: list[date]) -> Iterable[date]:
    if windows.holidays is not None:
        return windows.holidays.names(iter(days))
    written = {date.fromisoformat(text) for text in windows.dates or ()}
    return [day for day in days if day in written]


def _between(start: datetime, until: datetime, zone: "ZoneInfo") -> Stretch:
    return min(_moments(start, zone)), max(_moments(until, zone))


def _moments(local: datetime, zone: "ZoneInfo") -> tuple[datetime, datetime]:
    """Both moments that a local time may mean: one and the same, unless clocks show it twice or skip it."""
    first, second = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    return first, second
