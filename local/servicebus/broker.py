"""The namespace: its queues and topics by name, and the server that lets real clients in."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from local.clock import Clock
from local.servicebus.config import QueueSettings, read_config
from local.servicebus.errors import ServiceBusError, entity_not_found
from local.servicebus.queue import DEAD_LETTER_SUFFIX, Queue
from local.servicebus.topic import Topic
from local.servicebus.wire.server import Claim, Server

SUBSCRIPTIONS = "Subscriptions"

type Observer = Callable[[str, str, int, datetime], None]


class Broker:
    """A Service Bus namespace of queues and topics, in memory.

    `config` is a parsed Config.json of the official emulator; raises `ConfigError`. `observers` are called with
    (queue name, metric, n, at) for IncomingMessages, OutgoingMessages, CompleteMessage, AbandonMessage and
    DeadletteredMessages; a dead-letter queue counts under its own name, `{queue}/$DeadLetterQueue`, and so does a
    subscription, `{topic}/Subscriptions/{name}`. `dead_letters_keep_time`: a dead letter shows when it was sent, not
    when it died.
    """

    def __init__(self, config: Mapping[str, Any], clock: Clock, *, dead_letters_keep_time: bool = False) -> None:
        settings = read_config(config)

        def made(name: str, queue: QueueSettings) -> Queue:
            return Queue(name, replace(queue, dead_letters_keep_time=dead_letters_keep_time), clock, self._observe)

        self.namespace = settings.name
        self.observers: list[Observer] = []
        self._queues = {name.lower(): made(name, queue) for name, queue in settings.queues.items()}
        self._subscriptions: dict[str, Queue] = {}
        self._topics: dict[str, Topic] = {}
        for topic, subscriptions in settings.topics.items():
            copies = [made(f"{topic}/{SUBSCRIPTIONS}/{name}", queue) for name, queue in subscriptions.items()]
            self._subscriptions |= {queue.name.lower(): queue for queue in copies}
            self._topics[topic.lower()] = Topic(topic, copies)
        self._server = Server(self.namespace, self._find, clock)
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

    def deny(self, path: str, claim: Claim) -> None:
        """A fault: whoever attaches from now on lacks this claim on the queue, the topic or the subscription."""
        self._server.denied.add((path.lower(), claim))

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
        """Those of the namespace; subscriptions are had by their names."""
        return list(self._queues.values())

    def queue(self, name: str) -> Queue:
        """The queue `q`, the subscription `t/Subscriptions/s`, or the dead letters of either (`q/$DeadLetterQueue`), in
        any case. Raises `ServiceBusError`.
        """
        path = name.lower()
        of_dead_letters = path.endswith("/" + DEAD_LETTER_SUFFIX.lower())
        entity = path[: -len(DEAD_LETTER_SUFFIX) - 1] if of_dead_letters else path
        found = self._queues.get(entity) or self._subscriptions.get(entity)
        if found is None:
            raise entity_not_found(name)
        return found.dead_letter_queue or found if of_dead_letters else found

    def topic(self, name: str) -> Topic:
        """Raises `ServiceBusError`."""
        found = self._topics.get(name.lower())
        if found is None:
            raise entity_not_found(name)
        return found

    def _find(self, name: str, claim: Claim) -> Queue | Topic:
        """What messages are sent to or received from under this name."""
        topic = self._topics.get(name.lower())
        if topic is not None:
            if claim == "Listen":
                raise ServiceBusError("amqp:not-allowed", f"{name} is a topic: receive from one of its subscriptions.")
            return topic
        found = self.queue(name)
        if claim == "Send" and f"/{SUBSCRIPTIONS.lower()}/" in name.lower():
            raise ServiceBusError("amqp:not-allowed", f"{name} is a subscription: send to its topic.")
        if claim == "Send" and found.dead_letter_queue is None:
            raise ServiceBusError("amqp:not-allowed", f"Messages cannot be sent to {found.name}.")
        return found

    def _observe(self, queue: str, metric: str, n: int, at: datetime) -> None:
        for observer in self.observers:
            observer(queue, metric, n, at)
