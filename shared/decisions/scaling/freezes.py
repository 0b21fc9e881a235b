"""A freeze ahead: what cannot be ordered in it must be ordered before it, for all of it."""

from datetime import datetime

from shared.decisions.scaling.schedule import lead_s
from shared.domain import ScalingSnapshot


def horizon_s(snapshot: ScalingSnapshot, now: datetime, cold_start_s: float) -> float:
    """For how many seconds from `now` the size must suffice.

    Usually a cold start: what is missing then can be ordered now. If growth is frozen, or will be before a second
    order could correct this one, until the end of the freeze and a cold start: only after it anything can be ordered.
    """
    begins_at, ends_at = snapshot.freeze_begins_at, snapshot.freeze_ends_at
    if begins_at is None or ends_at is None or ends_at <= now:
        return cold_start_s
    if (begins_at - now).total_seconds() > lead_s(cold_start_s):
        return cold_start_s
    return (ends_at - now).total_seconds() + cold_start_s
