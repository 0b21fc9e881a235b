"""One change of a queue at a time, and what follows from it only after the lock is released.

The workload, the cloud and the clock use queues from their own threads. Observers are called without the lock, so
that an observer with a lock of its own cannot deadlock with a thread that asks the queue for its counts.
"""

import threading
from collections.abc import Callable
from types import TracebackType

type Action = Callable[[], None]


class Transaction:
    """A re-entrant `with` block; `afterwards(action)` inside it runs the action once the outermost block is left."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._depth = 0
        self._afterwards: list[Action] = []

    def __enter__(self) -> None:
        self._lock.acquire()
        self._depth += 1

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._depth -= 1
        actions: list[Action] = []
        if self._depth == 0:
            actions, self._afterwards = self._afterwards, actions
        self._lock.release()
        for action in actions:
            action()

    def afterwards(self, action: Action) -> None:
        self._afterwards.append(action)
