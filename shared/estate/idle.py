"""Whether a queue is idle, where Azure Monitor shows nothing at all for it (assumption monitor.idle_totals).

Missing is not zero: an absent total alone says nothing, because a minute may be late and a metric may fail in silence.
But an idle queue must be able to shrink. So its rates are zero on two independent proofs, and on no less:

* Azure Monitor answered, and has no total of the queue in the whole look-back, which is longer than its delay and the
  longest time that a message is worked on (180 s);
* all reads of the depth in at least that time found it zero, and no two of them lie further apart than `LONGEST_GAP`.
  A message that an instance works on counts as active (assumption servicebus.locked_are_active), so one instance's
  worth of load would have shown in most of them.

Should both fail at once, the deployment shrinks, late, to the minimum of its policy, and grows again by its depth.

And how deep an idle queue is, where a sweep has more queues than reads: `depth_of`.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.domain import Fresh, Measurement
from shared.estate.metrics import ACTIVE, LOOK_BACK, MostActive, QueueRates

LONGEST_GAP = timedelta(minutes=3)
"""Twice this fits into the look-back, so an idle queue was read at least three times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmptySpell:
    """The queue was read `reads` times from `since` to `until`, and each time it was empty."""

    since: datetime
    until: datetime
    reads: int


class EmptySpells:
    """Remembers, by key, since when each read of a queue found it empty; for the life of the process."""

    def __init__(self) -> None:
        self._spells: dict[str, EmptySpell] = {}

    def of(self, key: str) -> EmptySpell | None:
        return self._spells.get(key)

    def note(self, key: str, depth: int, at: datetime) -> None:
        """One more read; a message, or a time in which nobody looked, ends the spell."""
        if depth:
            self._spells.pop(key, None)
            return
        known = self._spells.get(key)
        if known is None or at - known.until > LONGEST_GAP:
            known = EmptySpell(since=at, until=at, reads=0)
        self._spells[key] = EmptySpell(since=known.since, until=max(at, known.until), reads=known.reads + 1)


def bridged(rates: QueueRates, spell: EmptySpell | None) -> QueueRates:
    """The rates, zero instead of Missing if the queue is proved idle; they are as old as the last read of the depth."""
    if not rates.silent or spell is None or spell.until - spell.since < LOOK_BACK:
        return rates
    source = f"idle: no total in Azure Monitor, {spell.reads} reads found no message since {spell.since:%H:%M:%S} UTC"
    zero = Fresh(value=0.0, at=spell.until, source=source)
    return QueueRates(arrivals_per_s=zero, completions_per_s=zero)


def depth_of(read: Measurement, read_at: datetime | None, seen: MostActive | None) -> Measurement:
    """The depth of a queue that this sweep had no read for: the last one read, or zero by Azure Monitor if it saw no
    message in a whole interval since.

    Only a zero is believed, as nothing but a read may say how many wait. What is late by minutes either way (a read's
    turn comes, a minute appears) is told by its age. `read_at`: when `read` was taken, None if it never was.
    """
    if seen is None or seen.most > 0 or (read_at is not None and seen.start < read_at):
        return read
    return Fresh(value=0.0, at=seen.end, source=f"metric {ACTIVE}")
