"""A Service Bus topic: what is sent to it goes into each of its subscriptions, which are queues."""

import copy
import threading
from collections.abc import Iterable, Sequence

from local.servicebus.message import Message
from local.servicebus.queue import Queue


class Topic:
    """Has no messages of its own. Every subscription gets a copy of each, under the same sequence number."""

    def __init__(self, name: str, subscriptions: Sequence[Queue]) -> None:
        self.name = name
        self._subscriptions = subscriptions
        self._one_at_a_time = threading.Lock()  # so that the subscriptions number alike

    def enqueue(self, messages: Iterable[Message]) -> list[int]:
        """Copy messages into each subscription; their sequence numbers, 0 for a detected duplicate."""
        with self._one_at_a_time:
            sent = list(messages)
            numbers = [queue.enqueue([copy.copy(message) for message in sent]) for queue in self._subscriptions]
            return numbers[0]

    def cancel_scheduled(self, sequence_numbers: Iterable[int]) -> None:
        """Remove scheduled messages from every subscription."""
        numbers = tuple(sequence_numbers)
        with self._one_at_a_time:
            for queue in self._subscriptions:
                queue.cancel_scheduled(numbers)
