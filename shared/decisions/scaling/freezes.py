"""A freeze ahead: what cannot be ordered in it must be ordered before it, for all of it."""

from dataclasses import dataclass
from datetime import datetime

from shared.decisions.scaling.schedule import lead_s
from shared.domain import ScalingSnapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """In how many seconds growth is frozen (0 or less: it is), and from when on it may be ordered again."""

    begins_in_s: float
    ends_in_s: float


def ahead(snapshot: ScalingSnapshot, now: datetime, cold_start_s: float) -> Freeze | None:
    """The freeze that counts now: growth is frozen, or will be before a second order could correct this one."""
    if snapshot.freeze_begins_at is None or snapshot.freeze_ends_at is None or snapshot.freeze_ends_at <= now:
        return None
    begins_in_s = (snapshot.freeze_begins_at - now).total_seconds()
    if begins_in_s > lead_s(cold_start_s):
        return None
    return Freeze(begins_in_s=begins_in_s, ends_in_s=(snapshot.freeze_ends_at - now).total_seconds())


def horizon_s(freeze: Freeze | None, cold_start_s: float) -> float:
    """For how many seconds from now the size must suffice: a cold start, and a freeze that counts before that."""
    return cold_start_s if freeze is None else freeze.ends_in_s + cold_start_s
