"""Time for the local Azure, passed in everywhere so that a test can own it.

`RealClock` is the demo's: real seconds. `VirtualClock` is the tests': an hour passes in the time that its events take
to run, in a fixed order, because the clock moves only when nothing is in flight any more.
"""

import asyncio
import heapq
import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

Callback = Callable[[], None]


@dataclass(order=True)
class Alarm:
    """One pending call; `cancel()` makes it a no-op."""

    when: datetime
    order: int
    callback: Callback = field(compare=False)
    cancelled: bool = field(default=False, compare=False)

    def cancel(self) -> None:
        self.cancelled = True


class Clock(Protocol):
    """What the local Azure may ask of time. All datetimes are UTC and aware."""

    def now(self) -> datetime: ...

    async def sleep(self, delay_s: float) -> None: ...

    def call_at(self, when: datetime, callback: Callback) -> Alarm:
        """Run a short callback at `when`, from any thread. The callback must not block."""
        ...


class _Schedule:
    """A thread-safe heap of alarms, in order of time and then of registration."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self._heap: list[Alarm] = []
        self._order = itertools.count()

    def add(self, when: datetime, callback: Callback) -> Alarm:
        alarm = Alarm(when, next(self._order), callback)
        with self.changed:
            heapq.heappush(self._heap, alarm)
            self.changed.notify()
        return alarm

    def first(self) -> Alarm | None:
        with self.changed:
            while self._heap and self._heap[0].cancelled:
                heapq.heappop(self._heap)
            return self._heap[0] if self._heap else None

    def pop_due(self, now: datetime) -> Alarm | None:
        with self.changed:
            alarm = self.first()
            return heapq.heappop(self._heap) if alarm is not None and alarm.when <= now else None

    def drain(self) -> list[Alarm]:
        """All alarms, which are pending no more."""
        with self.changed:
            alarms, self._heap = sorted(self._heap), []
        return [alarm for alarm in alarms if not alarm.cancelled]


class RealClock:
    """Wall-clock time; one thread serves every `call_at`."""

    def __init__(self) -> None:
        self._schedule = _Schedule()
        self._thread: threading.Thread | None = None

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, delay_s: float) -> None:
        await asyncio.sleep(max(0.0, delay_s))

    def call_at(self, when: datetime, callback: Callback) -> Alarm:
        alarm = self._schedule.add(when, callback)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, daemon=True, name="clock")
            self._thread.start()
        return alarm

    def _run(self) -> None:
        while True:
            due = self._schedule.pop_due(self.now())
            if due is not None:
                due.callback()
                continue
            with self._schedule.changed:
                first = self._schedule.first()
                wait_s = (first.when - self.now()).total_seconds() if first else None
                if wait_s is None or wait_s > 0:
                    self._schedule.changed.wait(wait_s)


def _call_in(loop: asyncio.AbstractEventLoop, callback: Callback) -> None:
    loop.call_soon_threadsafe(callback)


class VirtualClock:
    """Time that moves only by `advance`, and only while every busy-probe says that nothing is in flight.

    Give it a probe for each part that works on its own (`host.busy`, ...): `advance` then runs all that falls due
    in order, and waits after each instant until the parts have come to rest.
    """

    def __init__(self, start: datetime = datetime(2026, 1, 5, tzinfo=UTC)) -> None:
        self._now = start
        self._schedule = _Schedule()
        self._probes: list[Callable[[], bool]] = []

    def now(self) -> datetime:
        return self._now

    async def sleep(self, delay_s: float) -> None:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()

        def wake() -> None:
            if not done.done():
                done.set_result(None)

        when = self._now + timedelta(seconds=max(0.0, delay_s))
        alarm = self.call_at(when, lambda: _call_in(loop, wake))
        try:
            await done
        finally:
            alarm.cancel()

    def call_at(self, when: datetime, callback: Callback) -> Alarm:
        return self._schedule.add(when, callback)

    def add_busy_probe(self, busy: Callable[[], bool]) -> None:
        """`busy()` is cheap, thread-safe, and True while work is in flight that does not wait for this clock."""
        self._probes.append(busy)

    async def settle(self, quiet_rounds: int = 4, round_s: float = 0.001) -> None:
        """Return once no probe has been busy for `quiet_rounds` rounds of the event loop."""
        quiet = 0
        while quiet < quiet_rounds:
            await asyncio.sleep(round_s)
            quiet = 0 if any(busy() for busy in self._probes) else quiet + 1

    async def advance(self, delay_s: float) -> None:
        """Move time forward by `delay_s`, stopping at each instant at which something is due."""
        end = self._now + timedelta(seconds=delay_s)
        await self.settle()
        while (first := self._schedule.first()) is not None and first.when <= end:
            self._now = max(self._now, first.when)
            while (due := self._schedule.pop_due(self._now)) is not None:
                due.callback()
            await self.settle()
        self._now = end
        await self.settle()

    async def restart(self, at: datetime) -> None:
        """Begin again at `at`, earlier or later than now: whoever waits is woken, and looks at the time."""
        await self.settle()
        self._now = at
        for alarm in self._schedule.drain():
            alarm.callback()
        await self.settle()
