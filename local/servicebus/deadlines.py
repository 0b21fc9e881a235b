"""When something must happen to a message by itself: one alarm on the clock for all messages of a queue.

A clock that had an alarm for every lock would wake for each, although nearly all are settled in time.
"""

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from local.clock import Alarm, Clock

_COMPACT_ABOVE = 256
# Threads cannot wait for a message that is scheduled for the year 9999: look again every day.
_LONGEST_WAIT = timedelta(days=1)


@dataclass(order=True, slots=True)
class Deadline[T]:
    """`subject` is due at `when`, unless cancelled (then `subject` is None)."""

    when: datetime
    order: int
    subject: T | None = field(compare=False)


class Deadlines[T]:
    """Pending deadlines. The owner serialises its calls; `on_alarm` comes from the clock's own thread."""

    def __init__(self, clock: Clock, on_alarm: Callable[[], None]) -> None:
        self._clock = clock
        self._on_alarm = on_alarm
        self._heap: list[Deadline[T]] = []
        self._cancelled = 0
        self._order = itertools.count()
        self._alarm: Alarm | None = None

    def add(self, when: datetime, subject: T) -> Deadline[T]:
        deadline = Deadline(when, next(self._order), subject)
        heapq.heappush(self._heap, deadline)
        self._arm()
        return deadline

    def cancel(self, deadline: Deadline[T]) -> None:
        if deadline.subject is None:
            return
        deadline.subject = None
        self._cancelled += 1
        if self._cancelled > max(_COMPACT_ABOVE, len(self._heap) // 2):
            self._heap = [live for live in self._heap if live.subject is not None]
            heapq.heapify(self._heap)
            self._cancelled = 0

    def pop_due(self) -> T | None:
        """The next subject that is due now; None when there is none left, and the alarm is set for the one after."""
        self._drop_cancelled()
        if self._heap and self._heap[0].when <= self._clock.now():
            deadline = heapq.heappop(self._heap)
            subject, deadline.subject = deadline.subject, None
            return subject
        self._arm()
        return None

    def _drop_cancelled(self) -> None:
        while self._heap and self._heap[0].subject is None:
            heapq.heappop(self._heap)
            self._cancelled -= 1

    def _arm(self) -> None:
        """Only ever bring the alarm forward: one that comes too early finds nothing due and sets the next."""
        if not self._heap:
            return
        first = min(self._heap[0].when, self._clock.now() + _LONGEST_WAIT)
        if self._alarm is not None and not self._alarm.cancelled and self._clock.now() < self._alarm.when <= first:
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = self._clock.call_at(first, self._on_alarm)
