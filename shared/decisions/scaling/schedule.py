"""Loads that are known ahead: how many instances must serve by when, so that they are ordered in time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from shared.policy.calendar import NEAR_DAYS, windows_near

if TYPE_CHECKING:
    from shared.policy.scaling import Scaling
    from shared.policy.schedule import ScheduledLoad

# What is ordered for a known moment is ordered this much earlier than the expected cold start: at least two minutes,
# because a look, the gates and the order take time; and a share of it, because cold starts differ.
MARGIN_S = 120.0
MARGIN_SHARE = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduled:
    """At least `min` instances must serve from `begins_at` until before `ends_at` (UTC), for the load `name`."""

    name: str
    min: int
    begins_at: datetime
    ends_at: datetime


def lead_s(cold_start_s: float) -> float:
    """How many seconds before a known moment instances are ordered that must serve then."""
    return cold_start_s + max(MARGIN_S, MARGIN_SHARE * cold_start_s)


def scheduled(loads: Sequence["ScheduledLoad"], now: datetime, horizon_s: float, above: int = 0) -> Scheduled | None:
    """The greatest load that is known for any moment from `now` to `horizon_s` seconds later, the first of equal ones.

    None if there is none that needs more than `above` instances.
    """
    if not loads:
        return None
    best: Scheduled | None = None
    for one in _ahead(loads, now, horizon_s):
        if one.min <= above or (best is not None and one.min < best.min):
            continue
        if best is None or one.min > best.min or one.begins_at < best.begins_at:
            best = one
    return best


def next_begins_at(loads: Sequence["ScheduledLoad"], now: datetime, horizon_s: float) -> datetime | None:
    """When the first scheduled load begins within `horizon_s` seconds, or has begun if it still lasts; None: none."""
    return min((one.begins_at for one in _ahead(loads, now, horizon_s)), default=None)


def _ahead(loads: Sequence["ScheduledLoad"], now: datetime, horizon_s: float) -> Iterator[Scheduled]:
    """What has a moment in common with `now` and the `horizon_s` seconds after it; one may come twice."""
    if not loads:
        return
    last = now + timedelta(seconds=horizon_s)
    day, end = now.astimezone(UTC).date(), last.astimezone(UTC).date()
    while day <= end:
        for one in _near(_Same(loads), day):
            if one.begins_at <= last and one.ends_at > now:
                yield one
        day += timedelta(days=NEAR_DAYS)


@dataclass(frozen=True, slots=True, eq=False)
class _Same:
    """The loads of one version of a policy as the key of a cache: to compare what is in them would take longer."""

    loads: Sequence["ScheduledLoad"]

    def __hash__(self) -> int:
        return id(self.loads)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.loads is other.loads


# A decision is made several times a minute, and the windows of a day stay what they are.
@lru_cache(maxsize=1024)
def _near(same: _Same, day: date) -> tuple[Scheduled, ...]:
    """What touches this UTC day or the next."""
    first = datetime.combine(day, time(), UTC)
    end = first + timedelta(days=NEAR_DAYS)
    return tuple(
        Scheduled(name=load.name, min=load.min, begins_at=begins_at, ends_at=ends_at)
        for load in same.loads
        for begins_at, ends_at in windows_near(load, day)
        if begins_at < end and ends_at > first
    )


def with_floor(policy: "Scaling", found: Scheduled | None) -> "Scaling":
    """The policy as it counts while `found` is ahead: its min is not below that, as far as its max allows."""
    least = policy.min if found is None else min(found.min, policy.max)
    return policy if least <= policy.min else policy.model_copy(update={"min": least})


def below_schedule(found: Scheduled, capacity: int, to: int, at: datetime, limited_by: str) -> str:
    """The sentence for a capacity below the schedule's; `limited_by` names, in words, what allows no more than `to`."""
    has = "1 instance is" if capacity == 1 else f"{capacity} instances are"
    when = (
        f"runs until {found.ends_at:%H:%M} UTC" if found.begins_at <= at else f"begins {found.begins_at:%a %H:%M} UTC"
    )
    short = f", but {limited_by} allows {max(to, capacity)}" if to < found.min else ""
    return f"The scheduled load '{found.name}' {when} and needs {found.min}; {has} ordered so far{short}."
