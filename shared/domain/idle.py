"""What is remembered of the times in which a queue had nothing to do, in compact form."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class IdleSpells:
    """`idle_since`: nothing waited or arrived since then; None while there is something to do, or it is not known.

    `ended` counts the spells that are over by their length (`shared/decisions/scaling/zero/idle.py` has the bounds),
    weighed so that old ones fade; as of `ended_at`. `woken_at`: when the last one ended, while it is still watched how
    much arrives then, at most `waking_per_s` messages a second so far; `wakes_per_s` is the mean of that after spells.
    """

    idle_since: datetime | None = None
    ended: tuple[float, ...] = ()
    ended_at: datetime | None = None
    woken_at: datetime | None = None
    waking_per_s: float = 0.0
    wakes_per_s: float | None = None
