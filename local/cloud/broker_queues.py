"""The local broker as a source of queue counts and events."""

from collections.abc import Sequence

from local.cloud.queues import Observer, QueueCounts
from local.servicebus.broker import Broker


class BrokerQueues:
    """A `QueueSource` over a running broker. Deferred messages count as active, as Resource Manager counts them."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    @property
    def namespace(self) -> str:
        return self._broker.namespace

    @property
    def observers(self) -> list[Observer]:
        return self._broker.observers

    def queue_names(self) -> Sequence[str]:
        return [queue.name for queue in self._broker.queues]

    def counts(self, queue: str) -> QueueCounts:
        found = self._broker.queue(queue)
        counts = found.counts()
        return QueueCounts(
            active=counts.active + counts.deferred,
            locked=counts.locked,
            dead_letter=counts.dead_letter,
            scheduled=counts.scheduled,
            size_bytes=found.size_bytes,
        )
