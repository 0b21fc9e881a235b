"""Keeps the listeners of the app's triggers going: one that cannot connect is tried again while the others run."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any, Protocol

from local.clock import Clock
from local.host.functions import LoadedFunction

log = logging.getLogger(__name__)

SHORTEST_RETRY_S = 2.0
LONGEST_RETRY_S = 120.0


class Listener(Protocol):
    """Waits for something to happen and runs its function."""

    @property
    def function(self) -> LoadedFunction: ...

    async def listen(self, started: Callable[[], None]) -> None:
        """Call `started` once it listens; then go on until cancelled. Raises when it cannot."""
        ...

    async def close(self, longest_s: float) -> None:
        """Let what runs come to its end, at most for `longest_s` (real seconds), and let go of connections."""
        ...

    def busy(self) -> bool:
        """True while it works without waiting for the clock; an invocation is counted by the runtime."""
        ...


class Work:
    """Counts what is done without waiting for the clock, so that a virtual clock does not move meanwhile."""

    def __init__(self) -> None:
        self._count = 0

    def __bool__(self) -> bool:
        return self._count > 0

    def begin(self) -> None:
        self._count += 1

    def end(self) -> None:
        self._count -= 1

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        self.begin()
        try:
            yield
        finally:
            self.end()

    @contextlib.contextmanager
    def elsewhere(self) -> Iterator[None]:
        """Within counted work: another part, which counts for itself, goes on with it."""
        self.end()
        try:
            yield
        finally:
            self.begin()


class TaskSet:
    """Tasks of ours that nobody waits for; they are kept alive and counted."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("A task of the host failed", exc_info=error)

    async def finish(self, longest_s: float) -> None:
        """Wait for all; what still runs after `longest_s` real seconds is cancelled."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=longest_s)
        await cancel(list(self._tasks))


async def cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel and wait."""
    for task in tasks:
        task.cancel()
    for task in tasks:
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await task


class Listeners:
    """All listeners of the app."""

    def __init__(self, listeners: Sequence[Listener], clock: Clock) -> None:
        self._listeners = listeners
        self._clock = clock
        self._tasks: list[asyncio.Task[None]] = []
        self.errors: dict[str, str] = {}

    @property
    def listening(self) -> bool:
        return bool(self._tasks)

    def start(self) -> None:
        """Start all that do not run. A disabled function has no listener."""
        if not self._tasks:
            active = [one for one in self._listeners if not one.function.disabled]
            self._tasks = [asyncio.create_task(self._keep(one)) for one in active]

    async def stop_listening(self) -> None:
        """Take nothing new; what runs goes on."""
        tasks, self._tasks = self._tasks, []
        await cancel(tasks)

    async def close(self, longest_s: float) -> None:
        """Stop listening, and let what runs finish within `longest_s`."""
        await self.stop_listening()
        await asyncio.gather(*(listener.close(longest_s) for listener in self._listeners))

    def busy(self) -> bool:
        return any(listener.busy() for listener in self._listeners)

    async def _keep(self, listener: Listener) -> None:
        name, pause_s = listener.function.name, SHORTEST_RETRY_S

        def started() -> None:
            nonlocal pause_s
            pause_s = SHORTEST_RETRY_S
            self.errors.pop(name, None)

        while True:
            try:
                await listener.listen(started)
                return
            except Exception as error:  # whatever a client may raise: the other functions go on
                self.errors[name] = f"{type(error).__name__}: {error}"
                log.error(
                    "The listener for function '%s' was unable to start: %s. Trying again in %.0f s.",
                    name,
                    self.errors[name],
                    pause_s,
                )
            await self._clock.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_RETRY_S)
