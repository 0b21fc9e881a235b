"""Waking the loops: signals that come while their targets are being looked at share the next look.

A look that begins after a signal was recorded serves every signal that waits for it: in a storm a target is looked at
once after another, never twenty times at once, and no signal goes without a look that began after it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from shared.domain import Order, Signal

LOOKS_AT_ONCE = 4
"""So that a slow answer about one target does not keep those that wake others; more would only queue at the tables."""

type Start = Callable[[Sequence[Order]], Awaitable[None]]
"""Starts what was decided; what it cannot start waits in its row for the next sweep."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waking:
    """Whom a signal wakes: names of targets by loop, and the keys of their endpoints. `known_to` are the loops that
    are woken by this kind of signal at all.
    """

    signal: Signal
    targets: Mapping[str, tuple[str, ...]]
    endpoints: frozenset[str]
    known_to: tuple[str, ...]

    @property
    def looks_at(self) -> int:
        return len({name for names in self.targets.values() for name in names})


@dataclass(frozen=True, slots=True)
class Woken:
    """What came of a look: decisions by endpoint key, for all signals that shared it."""

    decided: Mapping[str, int]

    def decided_on(self, endpoints: frozenset[str]) -> int:
        return sum(count for endpoint, count in self.decided.items() if endpoint in endpoints)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    waking: Waking
    start: Start
    woken: asyncio.Future[Woken]


class Waker:
    """Wakes the loops for signals. `look` evaluates several at once and says what was decided and is to be started."""

    def __init__(self, look: Callable[[Sequence[Waking]], Awaitable[tuple[Woken, Sequence[Order]]]]) -> None:
        self._look = look
        self._waiting: list[_Waiting] = []
        self._looked_at: set[str] = set()
        self._looks: set[asyncio.Task[None]] = set()

    async def wake(self, waking: Waking, start: Start) -> Woken:
        """Returns when a look that began after this call has ended, and what it decided was started.

        Raises:
            Exception: what kept that look from beginning or from being recorded; repeat it.
        """
        if not waking.endpoints:
            return Woken({})
        waiting = _Waiting(waking=waking, start=start, woken=asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._begin()
        return await waiting.woken

    def _begin(self) -> None:
        """Look at everything that waits and is not being looked at now, if there is room for one more look."""
        if len(self._looks) >= LOOKS_AT_ONCE:
            return
        ready = [one for one in self._waiting if not one.waking.endpoints & self._looked_at]
        if not ready:
            return
        self._waiting = [one for one in self._waiting if one.waking.endpoints & self._looked_at]
        for one in ready:
            self._looked_at |= one.waking.endpoints
        task = asyncio.create_task(self._run(ready))
        self._looks.add(task)
        task.add_done_callback(lambda done: self._ended(done, ready))

    def _ended(self, task: asyncio.Task[None], ready: Sequence[_Waiting]) -> None:
        self._looks.discard(task)
        for one in ready:
            self._looked_at -= one.waking.endpoints
        self._begin()

    async def _run(self, ready: Sequence[_Waiting]) -> None:
        try:
            woken, orders = await self._look([one.waking for one in ready])
            await ready[0].start(orders)
        except Exception as error:  # each who waits hears of it, and tries again
            for one in ready:
                if not one.woken.done():
                    one.woken.set_exception(error)
        else:
            for one in ready:
                if not one.woken.done():  # a caller that gave up
                    one.woken.set_result(woken)
