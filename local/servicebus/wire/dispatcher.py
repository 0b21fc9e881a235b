"""Hands a queue's messages to the receivers that have asked for them, one each in turn."""

import asyncio
from collections import deque
from typing import Protocol

from local.servicebus.queue import Queue

_MESSAGES_PER_TURN = 200  # then others get the event loop


class Consumer(Protocol):
    def wants_message(self) -> bool: ...

    def deliver_next(self) -> bool:
        """Take one message from the queue and send it; False when the queue has none."""
        ...


class Dispatcher:
    """One for each queue that has ever had a receiver. Lives on the loop; `wake` may come from any thread."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._loop = asyncio.get_running_loop()
        self._consumers: deque[Consumer] = deque()
        self.scheduled = False
        queue.ready_listeners.append(self.wake)

    def close(self) -> None:
        self._queue.ready_listeners.remove(self.wake)
        self._consumers.clear()

    def add(self, consumer: Consumer) -> None:
        self._consumers.append(consumer)

    def remove(self, consumer: Consumer) -> None:
        if consumer in self._consumers:
            self._consumers.remove(consumer)

    def wake(self) -> None:
        if self._consumers and not self.scheduled:
            self.scheduled = True
            self._loop.call_soon_threadsafe(self._run)

    def _run(self) -> None:
        self.scheduled = False
        for _ in range(_MESSAGES_PER_TURN):
            consumer = self._next_consumer()
            if consumer is None or not consumer.deliver_next():
                return
        self.wake()

    def _next_consumer(self) -> Consumer | None:
        for _ in range(len(self._consumers)):
            consumer = self._consumers[0]
            self._consumers.rotate(-1)
            if consumer.wants_message():
                return consumer
        return None
