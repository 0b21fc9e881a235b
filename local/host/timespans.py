"""TimeSpan texts of .NET, as host.json and timer schedules write them."""

import re
from datetime import timedelta

_TIME_SPAN = re.compile(r"(-)?(?:(\d+)\.)?(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d{1,7}))?)?")


def parse_time_span(text: str) -> timedelta | None:
    """`[d.]hh:mm[:ss[.fffffff]]`; None when `text` is not a TimeSpan."""
    match = _TIME_SPAN.fullmatch(text.strip())
    if match is None:
        return None
    sign, days, hours, minutes, seconds, fraction = match.groups()
    if int(hours) > 23 or int(minutes) > 59 or int(seconds or 0) > 59:
        return None
    span = timedelta(
        days=int(days or 0),
        hours=int(hours),
        minutes=int(minutes),
        seconds=int(seconds or 0),
        microseconds=int((fraction or "0").ljust(7, "0")[:6]),
    )
    return -span if sign else span
