"""The dispatcher that users run between a queue and an endpoint, because Azure ML endpoints do not pull.

It takes messages with bounded concurrency, calls the endpoint for each, completes on success and abandons on failure.
While the endpoint says that it is busy, it holds the message, renews the lock, and asks again.
"""

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from local.activity import Activity, Signal
from local.clock import Clock

log = logging.getLogger(__name__)

BUSY = (429, 503)


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """A message under lock; `handle` is what its inbox knows it by."""

    body: bytes
    handle: Any


class Inbox(Protocol):
    """A queue as a receiver sees it. Settling raises when the lock is lost: the message is then delivered again."""

    async def receive(self, max_count: int) -> Sequence[Work]:
        """Wait for messages; may return none after a while."""
        ...

    async def complete(self, work: Work) -> None: ...

    async def abandon(self, work: Work) -> None: ...

    async def renew(self, work: Work) -> None: ...

    def busy(self) -> bool:
        """As everywhere in the local Azure; False where the work is done outside of it."""
        ...


class Scorer(Protocol):
    """An endpoint as a client sees it."""

    async def score(self, body: bytes) -> int:
        """The HTTP status; raises if there was no answer."""
        ...

    def busy(self) -> bool: ...


@dataclass(slots=True)
class DispatcherCounts:
    """What has happened since the start. `received` = completed + abandoned + unsettled + `Dispatcher.held`."""

    received: int = 0
    completed: int = 0
    abandoned: int = 0
    unsettled: int = 0
    """Settling failed, mostly because the lock was lost; the queue delivers these again."""
    busy_answers: int = 0


class Dispatcher:
    """Moves messages from `inbox` to `scorer`, at most `concurrency` at a time. `start()` it on an event loop.

    A busy endpoint (429, 503) is asked again after `busy_retry_s`; locks are renewed every `renew_every_s`, which must
    be well below the queue's lock duration.
    """

    def __init__(
        self,
        inbox: Inbox,
        scorer: Scorer,
        clock: Clock,
        *,
        concurrency: int = 8,
        busy_retry_s: float = 1.0,
        renew_every_s: float = 10.0,
    ) -> None:
        if concurrency < 1:
            raise ValueError(f"concurrency must be at least 1, got {concurrency}")
        self.counts = DispatcherCounts()
        self._inbox = inbox
        self._scorer = scorer
        self._concurrency = concurrency
        self._busy_retry_s = busy_retry_s
        self._renew_every_s = renew_every_s
        self._activity = Activity(clock)
        self._held: set[Work] = set()
        self._in_call: set[Work] = set()
        self._slot_freed: Signal[None] | None = None
        self._freeze_lock = threading.Lock()
        self._frozen = False
        self._until_thaw: list[Signal[None]] = []

    @property
    def held(self) -> int:
        """Messages under our lock now."""
        return len(self._held)

    def busy(self) -> bool:
        return self._activity.busy() or self._inbox.busy() or self._scorer.busy()

    def start(self) -> None:
        self._activity.open()
        self._activity.spawn(self._fetch())
        self._activity.spawn(self._renew_locks())

    async def stop(self) -> None:
        """End at once, as a killed process would: what is held comes back when its lock expires."""
        await self._activity.close()

    def freeze(self) -> None:
        """Stand still, as a hung process: nothing is received, called, renewed or settled until `thaw()`."""
        with self._freeze_lock:
            self._frozen = True

    def thaw(self) -> None:
        with self._freeze_lock:
            self._frozen = False
            waiting, self._until_thaw = self._until_thaw, []
        for signal in waiting:
            signal.fire(None)

    async def _thawed(self) -> None:
        while True:
            with self._freeze_lock:
                if not self._frozen:
                    return
                signal: Signal[None] = Signal(self._activity)
                self._until_thaw.append(signal)
            await signal.wait()

    async def _fetch(self) -> None:
        while True:
            await self._thawed()
            free = self._concurrency - len(self._held)
            if not free:
                self._slot_freed = Signal(self._activity)
                await self._slot_freed.wait()
                continue
            try:
                found = await self._activity.uncounted(self._inbox.receive(free))
            except Exception:
                log.exception("the queue cannot be read; trying again in %g s", self._busy_retry_s)
                await self._activity.sleep(self._busy_retry_s)
                continue
            self.counts.received += len(found)
            self._held.update(found)
            self._in_call.update(found)
            for work in found:
                self._activity.spawn(self._handle(work))

    async def _handle(self, work: Work) -> None:
        try:
            succeeded = await self._call(work)
            await self._thawed()
            self._in_call.discard(work)
            await self._settle(work, succeeded)
        finally:
            self._in_call.discard(work)
            self._held.discard(work)
            freed, self._slot_freed = self._slot_freed, None
            if freed is not None:
                freed.fire(None)

    async def _call(self, work: Work) -> bool:
        """Ask until the endpoint has served or refused; True if it has served."""
        while True:
            await self._thawed()
            try:
                status = await self._activity.uncounted(self._scorer.score(work.body))
            except Exception:
                log.exception("the endpoint did not answer")
                return False
            if status not in BUSY:
                return 200 <= status < 300
            self.counts.busy_answers += 1
            await self._activity.sleep(self._busy_retry_s)

    async def _settle(self, work: Work, succeeded: bool) -> None:
        try:
            if succeeded:
                await self._activity.uncounted(self._inbox.complete(work))
                self.counts.completed += 1
            else:
                await self._activity.uncounted(self._inbox.abandon(work))
                self.counts.abandoned += 1
        except Exception:
            self.counts.unsettled += 1
            log.warning("a message could not be settled and will be delivered again", exc_info=True)

    async def _renew_locks(self) -> None:
        while True:
            await self._activity.sleep(self._renew_every_s)
            await self._thawed()
            for work in list(self._in_call):
                if work not in self._in_call:
                    continue  # done while the others were renewed
                try:
                    await self._activity.uncounted(self._inbox.renew(work))
                except Exception as error:
                    if work in self._in_call:
                        log.warning("a lock could not be renewed: %s", error)
