"""The namespace: its queues by name, and the server that lets real clients in."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from local.clock import Clock
from local.servicebus.config import read_config
from local.servicebus.errors import entity_not_found
from local.servicebus.queue import DEAD_LETTER_SUFFIX, Queue
from local.servicebus.wire.server import Server

type Observer = Callable[[str, str, int, datetime], None]


class Broker:
    """A Service Bus namespace of queues, in memory.

    `config` is a parsed Config.json of the official emulator; raises `ConfigError`. `observers` are called with
    (queue name, metric, n, at) for IncomingMessages, OutgoingMessages, CompleteMessage, AbandonMessage and
    DeadletteredMessages; a dead-letter queue counts under its own name, `{queue}/$DeadLetterQueue`.
    """

    def __init__(self, config: Mapping[str, Any], clock: Clock) -> None:
        settings = read_config(config)
        self.namespace = settings.name
        self.observers: list[Observer] = []
        self._queues = {
            name.lower(): Queue(name, queue, clock, self._observe) for name, queue in settings.queues.items()
        }
        self._server = Server(self.namespace, self.queue, clock)
        self._port: int | None = None

    async def start(self, port: int = 0) -> int:
        """Listen on 127.0.0.1 and return the port. Raises `OSError` when the port is taken."""
        self._port = await self._server.start(port)
        return self._port

    async def stop(self) -> None:
        """Close every connection and the port. The queues keep their messages: `start` again on the same port."""
        await self._server.stop()

    def drop_connections(self) -> None:
        """A fault: cut all connections at once, as a failover does. From any thread."""
        self._server.drop_connections()

    @property
    def connection_string(self) -> str:
        """For `ServiceBusClient.from_connection_string` and app settings, in the emulator's form (no TLS)."""
        if self._port is None:
            raise RuntimeError("the broker has no port yet: await start() first")
        return (
            f"Endpoint=sb://127.0.0.1:{self._port};SharedAccessKeyName=RootManageSharedAccessKey;"
            "SharedAccessKey=SAS_KEY_VALUE;UseDevelopmentEmulator=true;"
        )

    def busy(self) -> bool:
        return self._server.busy()

    @property
    def queues(self) -> list[Queue]:
        return list(self._queues.values())

    def queue(self, name: str) -> Queue:
        """The queue `q`, or the dead-letter queue `q/$DeadLetterQueue`, in any case. Raises `ServiceBusError`."""
        path = name.lower()
        of_dead_letters = path.endswith("/" + DEAD_LETTER_SUFFIX.lower())
        found = self._queues.get(path[: -len(DEAD_LETTER_SUFFIX) - 1] if of_dead_letters else path)
        if found is None:
            raise entity_not_found(name)
        return found.dead_letter_queue or found if of_dead_letters else found

    def _observe(self, queue: str, metric: str, n: int, at: datetime) -> None:
        for observer in self.observers:
            observer(queue, metric, n, at)
