"""The one way of everything that comes in: parse, take each signal once, record it, wake the loops; keep the rest.

The order is one that a crash between any two lines can bear. A signal is claimed first (the claim holds it), then
recorded (the entry has one id and one place, fixed by the claim), then the loops look, then the claim is done. Whoever
comes after a crash, by redelivery or by the upkeep, goes the same way again: the entry is there already, the loops look
once more. Nothing is acknowledged that was not stored: what cannot be is raised, and comes again.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from shared.domain import Signal
from shared.loops.listeners import Listener
from shared.loops.waking import Start, Waker, Waking, Woken
from shared.records.claims import Claim, Claims, new_claim, signal_key
from shared.records.errors import NotStorable, RecordsError
from shared.records.ledger import Ledger
from shared.records.origin import Origin
from shared.records.quarantine import Quarantine
from shared.records.signals import SIGNAL, Handling, SignalKinds, signal_entry
from shared.records.state import Row
from shared.signals import Malformed, Refused, is_known, parse

if TYPE_CHECKING:
    from shared.loops.engine import Engine

log = logging.getLogger("watchkeeper")

ITEMS_AT_ONCE = 32
# A second each: less than Event Grid waits for an answer, and ten deliveries of a message outlast a lease.
LOOKS_AT_A_BUSY_CLAIM = 20
# Signals that this process knows to be done: their repetitions cost nothing.
REMEMBERED = 20_000

Became = Literal["signal", "duplicate", "unknown", "quarantined"]


class StillBusy(RecordsError):
    """Another process is at this signal and has not finished; deliver it again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """What one item of a delivery became.

    `id` is the signal's, or the quarantine entry's. `entry` is the ledger's entry, `targets` how many were looked at
    and `decided` what was decided on their endpoints.
    """

    became: Became
    id: str
    kind: str = ""
    reason: str = ""
    entry: str = ""
    handled_by: tuple[str, ...] = ()
    targets: int = 0
    decided: int = 0


class Intake:
    """Takes deliveries. `owner` names this process among those that claim; `sleep` is what a busy claim waits with."""

    def __init__(
        self,
        *,
        engine: "Engine",
        ledger: Ledger,
        claims: Claims,
        quarantine: Quarantine,
        kinds: SignalKinds,
        listeners: Sequence[Listener],
        owner: str,
        now: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[object]],
    ) -> None:
        self._engine, self._ledger, self._claims, self._owner = engine, ledger, claims, owner
        self._now, self._sleep, self._listeners = now, sleep, listeners
        self._waker = Waker(engine.wake)
        self._done: OrderedDict[str, None] = OrderedDict()
        self._running: dict[str, asyncio.Task[Item]] = {}
        self.quarantine, self.kinds = quarantine, kinds

    async def take(self, body: bytes, origin: Origin, start: Start) -> tuple[Item, ...]:
        """What each item of a delivery became, in no particular order.

        Raises:
            Exception: something could not be stored or done; the rest has been. It must be delivered again.
        """
        try:
            parsed = parse(body, self._now())
        except Malformed as error:
            return (await self._keep(body, str(error), origin),)
        work = [self._keep_item(refused, origin) for refused in parsed.refused]
        work += [self._take_signal(signal, body, origin, start) for signal in parsed.signals]
        return await _all(work)

    async def check(self, body: bytes) -> None:
        """Whether everything in a body can be taken.

        Raises:
            Malformed: it cannot; the message says what is wrong, of each item.
        """
        parsed = parse(body, self._now())
        problems = [str(refused) for refused in parsed.refused]
        problems += [problem for signal in parsed.signals if (problem := _not_storable(signal))]
        if problems:
            raise Malformed("; ".join(problems))

    async def finish_left(self, start: Start) -> int:
        """Finish the signals whose taker died and that nobody delivered again; how many there were."""
        left = [row async for row in self._claims.left(self._now())]
        finished = await _all([self._finish(row, start) for row in left])
        return sum(finished)

    async def _finish(self, row: Row[Claim], start: Start) -> bool:
        mine = await self._claims.take_over(row, self._owner, self._now())
        if mine is None:
            return False
        await self._effect(mine, await self._waking(mine.value.signal), start)
        return True

    async def forget_old(self) -> int:
        """Remove claims that are no longer needed; how many there were."""
        return await self._claims.purge(self._now())

    async def _keep_item(self, refused: Refused, origin: Origin) -> Item:
        return await self._keep(refused.body, str(refused), origin, source=refused.source, kind=refused.kind)

    async def _keep(self, body: bytes, reason: str, origin: Origin, *, source: str = "", kind: str = "") -> Item:
        kept = await self.quarantine.put(body, reason, origin, self._now(), source=source, kind=kind)
        log.error("quarantined %s, from %s %s: %s", kept.id, origin.trigger, origin.message, reason)
        return Item(became="quarantined", id=kept.id, kind=kind, reason=reason)

    async def _take_signal(self, signal: Signal, body: bytes, origin: Origin, start: Start) -> Item:
        if problem := _not_storable(signal):
            return await self._keep(body, problem, origin, source=signal.source, kind=signal.kind)
        key = signal_key(signal)
        while (running := self._running.get(key)) is not None:
            await asyncio.wait({running})  # if it fails, whoever waited tries by himself
            if not running.cancelled() and running.exception() is None:
                return Item(became="duplicate", id=signal.id, kind=signal.kind)
        if key in self._done:
            return Item(became="duplicate", id=signal.id, kind=signal.kind)
        task = asyncio.create_task(self._take_once(signal, origin, start))
        self._running[key] = task
        try:
            item = await task
        finally:
            del self._running[key]
        self._remember(key)
        return item

    async def _take_once(self, signal: Signal, origin: Origin, start: Start) -> Item:
        waking = await self._waking(signal)
        row = await self._claimed(signal, origin, waking)
        if row is None:
            return Item(became="duplicate", id=signal.id, kind=signal.kind)
        woken = await self._effect(row, waking, start)
        decided = woken.decided_on(waking.endpoints)
        log.info("signal %s (%s): %d targets, %d decided", signal.kind, signal.id, waking.looks_at, decided)
        return Item(
            became="unknown" if _handling(waking) == "unknown" else "signal",
            id=signal.id,
            kind=signal.kind,
            entry=row.value.entry,
            handled_by=waking.known_to,
            targets=waking.looks_at,
            decided=decided,
        )

    async def _waking(self, signal: Signal) -> Waking:
        waking = await self._engine.waking(signal)
        hear = tuple(listener.name for listener in self._listeners if signal.kind in listener.kinds)
        return replace(waking, known_to=(*waking.known_to, *hear))

    async def _claimed(self, signal: Signal, origin: Origin, waking: Waking) -> Row[Claim] | None:
        """The claim if the signal is ours to take, None if it has been taken.

        Raises:
            StillBusy: another process is at it and may yet fail, so this delivery must not be its last.
        """
        (endpoint, *more) = waking.endpoints or ("",)
        claim = new_claim(signal, origin, "" if more else endpoint, self._owner, self._now())
        for _ in range(LOOKS_AT_A_BUSY_CLAIM):
            taking, row = await self._claims.take(claim, self._now())
            if taking == "mine":
                return row
            if taking == "done":
                return None
            await self._sleep(1.0)
        raise StillBusy(f"signal {signal.id} of {signal.source} is being taken by another process; deliver it again")

    async def _effect(self, row: Row[Claim], waking: Waking, start: Start) -> Woken:
        """Record, tell, wake, done: may be cut off anywhere and done again."""
        entry = signal_entry(row.value, _handling(waking), waking.known_to, waking.targets)
        await self._ledger.append(entry)
        for listener in self._listeners:
            if waking.signal.kind in listener.kinds:
                await listener.hear(waking.signal)
        woken = await self._waker.wake(waking, start)
        await self._claims.finish(row, self._now())
        return woken

    def _remember(self, key: str) -> None:
        self._done[key] = None
        if len(self._done) > REMEMBERED:
            self._done.popitem(last=False)


def _handling(waking: Waking) -> Handling:
    if waking.known_to:
        return "handled"
    return "not_yet_handled" if is_known(waking.signal.kind) else "unknown"


def _not_storable(signal: Signal) -> str:
    """Why a signal cannot be recorded, "" if it can: half a pair of surrogates has no UTF-8."""
    try:
        SIGNAL.encode(signal).encode()
    except (NotStorable, UnicodeEncodeError) as error:
        return f"signal {signal.id!r} cannot be recorded: {error}"
    return ""


async def _all[T](work: Sequence[Coroutine[Any, Any, T]]) -> tuple[T, ...]:
    """Do everything, some at a time; then raise what went wrong first, if anything did."""
    slots = asyncio.Semaphore(ITEMS_AT_ONCE)

    async def one(item: Coroutine[Any, Any, T]) -> T:
        async with slots:
            return await item

    done: list[T] = []
    for result in await asyncio.gather(*map(one, work), return_exceptions=True):
        if isinstance(result, BaseException):
            raise result
        done.append(result)
    return tuple(done)
