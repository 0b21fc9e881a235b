"""Timer schedules in UTC: NCRONTAB with six fields (five are accepted), or a TimeSpan between runs."""

import itertools
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Protocol, cast

from croniter import croniter

from local.host.timespans import parse_time_span

_MINUTE = timedelta(minutes=1)
_croniter: Any = croniter  # carries no types


class Schedule(Protocol):
    """When a timer fires."""

    def after(self, moment: datetime) -> datetime:
        """The first time after `moment`."""
        ...

    def is_frequent(self, moment: datetime) -> bool:
        """Whether runs are less than a minute apart: then the host keeps no record of them."""
        ...


class Cron:
    """NCRONTAB: every field must match, unlike in cron, where day of month or day of week is enough."""

    def __init__(self, expression: str) -> None:
        fields = expression.split()
        self._expression = expression if len(fields) == 6 else "0 " + expression
        if len(fields) not in (5, 6) or not _croniter.is_valid(self._expression, second_at_beginning=True):
            raise ValueError(expression)

    def after(self, moment: datetime) -> datetime:
        return next(self._times(moment))

    def is_frequent(self, moment: datetime) -> bool:
        upcoming = list(itertools.islice(self._times(moment), 5))
        return any(later - earlier < _MINUTE for earlier, later in itertools.pairwise(upcoming))

    def _times(self, moment: datetime) -> Iterator[datetime]:
        times = _croniter(self._expression, moment, second_at_beginning=True, day_or=False)
        return iter(lambda: cast("datetime", times.get_next(datetime)), None)


class Every:
    """A constant interval."""

    def __init__(self, interval: timedelta) -> None:
        self._interval = interval

    def after(self, moment: datetime) -> datetime:
        return moment + self._interval

    def is_frequent(self, moment: datetime) -> bool:  # noqa: ARG002 - the same at every moment
        return self._interval < _MINUTE


def parse_schedule(text: str) -> Schedule:
    """Parse a timer's `schedule`.

    Raises:
        ValueError: it is neither NCRONTAB nor a TimeSpan; the message says so.
    """
    span = parse_time_span(text) if ":" in text else None
    if span is not None and span > timedelta(0):
        return Every(span)
    try:
        return Cron(text)
    except ValueError:
        raise ValueError(
            f"the schedule {text!r} is neither an NCRONTAB expression of six fields (second first) nor a TimeSpan"
        ) from None
