"""Counts work in flight exactly, so that the virtual clock knows when a part of the local Azure has come to rest.

Work is in flight while it can run without time moving. A task that waits here, for the clock or for another part, is
not counted; it counts again from the very moment in which it is woken, not from the moment in which it runs.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from local.clock import Clock


class Signal[T]:
    """A value that one task waits for and that any thread may send, once: the first `fire` counts.

    Whoever makes a signal waits for it or discards it: one that is fired and then forgotten stays in flight.
    """

    def __init__(self, activity: "Activity") -> None:
        self._activity = activity
        self._future: asyncio.Future[T] = activity.loop.create_future()
        self._lock = threading.Lock()
        self._closed = False

    def fire(self, value: T) -> bool:
        """Wake the waiting task. False if it was woken before, or waits no longer."""
        if not self._close():
            return False
        self._activity.enter()
        self._future.get_loop().call_soon_threadsafe(self._deliver, value)
        return True

    async def wait(self) -> T:
        """The value that was fired; not in flight meanwhile. At most one task may wait."""
        self._activity.leave()
        try:
            return await self._future
        except asyncio.CancelledError:
            if self._close():
                self._activity.enter()
            raise

    def discard(self) -> None:
        """Nobody will wait for the value after all."""
        if not self._close():
            self._activity.leave()

    def _close(self) -> bool:
        with self._lock:
            was_closed, self._closed = self._closed, True
        return not was_closed

    def _deliver(self, value: T) -> None:
        if not self._future.done():
            self._future.set_result(value)


class Activity:
    """The tasks of one part of the local Azure on one event loop. `open()` it there, `close()` cancels what is left."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()
        self._in_flight = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            raise RuntimeError("not started: await start() first")
        return self._loop

    def open(self) -> None:
        self._loop = asyncio.get_running_loop()

    async def close(self) -> None:
        """Cancel all tasks and wait for their end."""
        self._loop = None
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def busy(self) -> bool:
        """True while anything can run without time moving. Cheap, from any thread."""
        return self._in_flight > 0

    def enter(self) -> None:
        with self._lock:
            self._in_flight += 1

    def leave(self) -> None:
        with self._lock:
            self._in_flight -= 1

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` as a task of the event loop, counted from now on. From any thread."""
        if self._loop is None:
            work.close()
        loop = self.loop
        self.enter()
        loop.call_soon_threadsafe(self._start, loop, work)

    def spawn_after(self, delay_s: float, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run `work()` once `delay_s` has passed on the clock."""

        async def later() -> None:
            await self.sleep(delay_s)
            await work()

        self.spawn(later())

    async def sleep(self, delay_s: float) -> None:
        """Wait for the clock."""
        signal: Signal[None] = Signal(self)
        with self.alarm(delay_s, lambda: signal.fire(None)):
            await signal.wait()

    @contextmanager
    def alarm(self, delay_s: float, callback: Callable[[], Any]) -> Iterator[None]:
        """Call `callback` once `delay_s` has passed, unless the block ended before."""
        alarm = self.clock.call_at(self.clock.now() + timedelta(seconds=max(0.0, delay_s)), callback)
        try:
            yield
        finally:
            alarm.cancel()

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count the block: for calls that come in on a task that is not ours."""
        self.enter()
        try:
            yield
        finally:
            self.leave()

    async def uncounted[T](self, work: Awaitable[T]) -> T:
        """Await something that counts itself, or that waits for the outside."""
        self.leave()
        try:
            return await work
        finally:
            self.enter()

    def _start(self, loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, None]) -> None:
        if self._loop is not loop:
            work.close()
            self.leave()
            return
        task = loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self.leave()
        if not task.cancelled() and (error := task.exception()) is not None:
            task.get_loop().call_exception_handler({"message": "a task of the local Azure failed", "exception": error})
