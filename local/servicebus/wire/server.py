"""The listening socket, and what its connections share."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

from local.clock import Clock
from local.servicebus.errors import ServiceBusError, unauthorized
from local.servicebus.queue import Queue
from local.servicebus.topic import Topic
from local.servicebus.wire.connection import Connection
from local.servicebus.wire.dispatcher import Dispatcher

# A message or a settlement that crossed the wire may still be on its way through a socket of this machine.
_QUIET_S = 0.01


type Claim = Literal["Listen", "Send"]


class Server:
    """Serves queues and topics on 127.0.0.1. `find` gives what a path names, for who wants to receive (`Listen`) or to
    send, or raises `ServiceBusError`. `denied` are claims that nobody has, by the path in lower case.
    """

    def __init__(self, name: str, find: Callable[[str, Claim], Queue | Topic], clock: Clock) -> None:
        self.name = name
        self.denied: set[tuple[str, Claim]] = set()
        self._find = find
        self.connections: set[Connection] = set()
        self._clock = clock
        self._dispatchers: dict[Queue, Dispatcher] = {}
        self._last_traffic_s = -_QUIET_S
        self._listening: asyncio.Server | None = None
        self._loop: asyncio.AbstractEventLoop

    async def start(self, port: int) -> int:
        self._loop = asyncio.get_running_loop()
        self._listening = await self._loop.create_server(lambda: Connection(self), "127.0.0.1", port)
        return int(self._listening.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        if self._listening is None:
            return
        self._listening.close()
        self.drop_connections()
        await self._listening.wait_closed()
        for dispatcher in self._dispatchers.values():
            dispatcher.close()
        self._dispatchers.clear()

    def drop_connections(self) -> None:
        """From any thread; each connection ends within a turn of the loop."""
        for connection in list(self.connections):
            self._loop.call_soon_threadsafe(connection.abort)

    def queue(self, path: str) -> Queue:
        """What can be received from. Raises `ServiceBusError`."""
        found = self._entity(path, "Listen")
        assert isinstance(found, Queue)
        return found

    def inlet(self, path: str) -> Queue | Topic:
        """What can be sent to. Raises `ServiceBusError`."""
        return self._entity(path, "Send")

    def managed(self, path: str) -> Queue | Topic:
        """What a `$management` node belongs to. Raises `ServiceBusError`."""
        try:
            return self.queue(path)
        except ServiceBusError as refused:
            if refused.condition != "amqp:not-allowed":
                raise
            return self.inlet(path)

    def _entity(self, path: str, claim: Claim) -> Queue | Topic:
        for denied, missing in self.denied:
            if missing == claim and f"{path.lower()}/".startswith(f"{denied}/"):
                raise unauthorized(claim, path)
        return self._find(path, claim)

    def dispatcher(self, queue: Queue) -> Dispatcher:
        if queue not in self._dispatchers:
            self._dispatchers[queue] = Dispatcher(queue)
        return self._dispatchers[queue]

    def note_traffic(self) -> None:
        self._last_traffic_s = time.monotonic()

    def busy(self) -> bool:
        """Whether messages are on their way between queues and clients."""
        return (
            time.monotonic() - self._last_traffic_s < _QUIET_S
            or any(dispatcher.scheduled for dispatcher in list(self._dispatchers.values()))
            or any(connection.has_output() for connection in list(self.connections))
        )

    def client_time(self, when: datetime) -> datetime:
        """An instant of the broker's clock on the client's.

        The SDK compares the end of a lock with the machine's time before it settles; under a virtual clock it would
        take every lock for lost. With a real clock this changes nothing.
        """
        return when + (datetime.now(UTC) - self._clock.now())
