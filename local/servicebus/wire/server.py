"""The listening socket, and what its connections share."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime

from local.clock import Clock
from local.servicebus.queue import Queue
from local.servicebus.wire.connection import Connection
from local.servicebus.wire.dispatcher import Dispatcher

# A message or a settlement that crossed the wire may still be on its way through a socket of this machine.
_QUIET_S = 0.01


class Server:
    """Serves queues on 127.0.0.1. `find` gives the queue of a path or raises `ServiceBusError`."""

    def __init__(self, name: str, find: Callable[[str], Queue], clock: Clock) -> None:
        self.name = name
        self.queue = find
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
