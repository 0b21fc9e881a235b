"""The ends of dispatcher and player in this process, for virtual time: the local broker's queue, the scoring pool."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

from local.activity import Activity, Signal
from local.clock import Clock
from local.workload.dispatcher import Scorer, Work
from local.workload.scoring import ScoringPool

OK = 200


class _Delivery(Protocol):
    @property
    def body(self) -> bytes: ...

    @property
    def lock_token(self) -> UUID: ...


class Queue(Protocol):
    """What is needed of `local.servicebus.queue.Queue`."""

    ready_listeners: list[Callable[[], None]]

    def send(
        self, body: bytes, *, message_id: str | None = None, properties: Mapping[str, Any] | None = None
    ) -> None: ...

    def receive(self, max_count: int) -> Sequence[_Delivery]: ...

    def complete(self, lock_token: UUID) -> None: ...

    def abandon(self, lock_token: UUID) -> None: ...

    def renew_lock(self, lock_token: UUID) -> object: ...


class QueueInbox:
    """Receives from a queue in this process, without polling: the queue tells when it has something.

    One inbox serves one dispatcher.
    """

    def __init__(self, queue: Queue, clock: Clock) -> None:
        self._queue = queue
        self._activity = Activity(clock)
        self._lock = threading.Lock()
        self._waiting: Signal[None] | None = None
        queue.ready_listeners.append(self._on_ready)

    def busy(self) -> bool:
        return self._activity.busy()

    async def receive(self, max_count: int) -> Sequence[Work]:
        self._activity.open()
        with self._activity.counted():
            while True:
                signal: Signal[None] = Signal(self._activity)
                with self._lock:
                    self._waiting = signal
                if found := self._queue.receive(max_count):
                    signal.discard()
                    return [Work(delivery.body, delivery.lock_token) for delivery in found]
                await signal.wait()

    async def complete(self, work: Work) -> None:
        self._queue.complete(work.handle)

    async def abandon(self, work: Work) -> None:
        self._queue.abandon(work.handle)

    async def renew(self, work: Work) -> None:
        self._queue.renew_lock(work.handle)

    def _on_ready(self) -> None:
        with self._lock:
            signal, self._waiting = self._waiting, None
        if signal is not None:
            signal.fire(None)


class PoolScorer:
    """Calls a scoring pool in this process."""

    def __init__(self, pool: ScoringPool) -> None:
        self._pool = pool

    async def score(self, body: bytes) -> int:  # noqa: ARG002 - the simulated model does not look at its input
        return (await self._pool.score()).status

    def busy(self) -> bool:
        return self._pool.busy()


class QueueOutbox:
    """Sends into a queue in this process."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    async def send(self, bodies: Sequence[bytes]) -> None:
        for body in bodies:
            self._queue.send(body)

    def busy(self) -> bool:
        return False


class DirectCalls:
    """Callers without a queue: each arrival calls the endpoint at once, and nobody tries again.

    `statuses` counts the answers; `latencies_s` are those of requests that were answered with 200.
    """

    def __init__(self, scorer: Scorer, clock: Clock) -> None:
        self.statuses: Counter[int] = Counter()
        self.latencies_s: list[float] = []
        self._scorer = scorer
        self._activity = Activity(clock)

    def busy(self) -> bool:
        return self._activity.busy() or self._scorer.busy()

    async def send(self, bodies: Sequence[bytes]) -> None:
        self._activity.open()
        for body in bodies:
            self._activity.spawn(self._call(body))

    async def stop(self) -> None:
        """Hang up."""
        await self._activity.close()

    async def _call(self, body: bytes) -> None:
        started_at = self._activity.clock.now()
        status = await self._activity.uncounted(self._scorer.score(body))
        self.statuses[status] += 1
        if status == OK:
            self.latencies_s.append((self._activity.clock.now() - started_at).total_seconds())
