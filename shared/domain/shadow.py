"""What is remembered of what the decisions on a target would have come to, whether they are acted on or not."""

from dataclasses import dataclass
from datetime import datetime

from shared.domain.snapshots import PendingOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowDay:
    """One UTC day (ISO date), in counts.

    `looks`, and those with `fresh` data. `hours` in which there was work and enough looks, those in which every look
    found the promise `kept` by the instances that were decided, and those `kept_as_is`, by the instances that there
    were. `changes` that were decided and `reversals` among them. Instance seconds decided and there.
    """

    day: str
    looks: int = 0
    fresh: int = 0
    hours: int = 0
    kept: int = 0
    kept_as_is: int = 0
    changes: int = 0
    reversals: int = 0
    decided_instance_s: float = 0.0
    instance_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shadow:
    """A queue beside the real one, with the measured arrivals and the instances that were decided.

    As of `at`: `backlog` messages, `capacity` decided, of which `ready` serve and the rest is `pending`, the
    oldest first. `changed_at` is the last change, by `direction` (1 or -1); `less_since`: since then
    fewer would do. `hour` is the one in progress, seen for
    `hour_s`, with work (`hour_busy`), late in the shadow, and late as it is. `days`, the oldest first.
    """

    at: datetime | None = None
    backlog: float = 0.0
    capacity: int = 0
    ready: int = 0
    pending: tuple[PendingOrder, ...] = ()
    changed_at: datetime | None = None
    less_since: datetime | None = None
    direction: int = 0
    hour: datetime | None = None
    hour_s: float = 0.0
    hour_busy: bool = False
    hour_late: bool = False
    hour_late_as_is: bool = False
    days: tuple[ShadowDay, ...] = ()
