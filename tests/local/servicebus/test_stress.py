"""Thousands of messages, several receivers, every outcome, a receiver killed: none is lost and none completed twice."""

import asyncio
import random
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field

import pytest
from azure.servicebus import ServiceBusMessage, ServiceBusReceivedMessage
from azure.servicebus.aio import ServiceBusClient, ServiceBusReceiver
from azure.servicebus.exceptions import MessageLockLostError

from local.clock import RealClock
from local.servicebus import Broker
from tests.local.servicebus.conftest import broker_in_thread, config
from tests.local.servicebus.test_faults import VICTIM

MESSAGES = 2000
RECEIVERS = 4


@dataclass
class Book:
    """What the receivers did, by message id."""

    completed: Counter[str] = field(default_factory=Counter)
    dead_lettered: Counter[str] = field(default_factory=Counter)
    left_to_expire: int = 0

    @property
    def finished(self) -> int:
        return len(self.completed) + len(self.dead_lettered)


async def settle(receiver: ServiceBusReceiver, message: ServiceBusReceivedMessage, book: Book, chance: float) -> None:
    key = str(message.message_id)
    try:
        if chance < 0.80:
            await receiver.complete_message(message)
            book.completed[key] += 1
        elif chance < 0.92:
            await receiver.abandon_message(message)
        elif chance < 0.94:
            book.left_to_expire += 1
        elif chance < 0.98:
            await receiver.renew_message_lock(message)
            await receiver.complete_message(message)
            book.completed[key] += 1
        else:
            await receiver.dead_letter_message(message, reason="chance")
            book.dead_lettered[key] += 1
    except MessageLockLostError:
        pass  # it comes again


async def work(number: int, client: ServiceBusClient, book: Book) -> None:
    rng = random.Random(number)
    async with client.get_queue_receiver("q", prefetch_count=20) as receiver:
        while book.finished < MESSAGES:
            messages = await receiver.receive_messages(50, max_wait_time=0.5)
            await asyncio.gather(*(settle(receiver, message, book, rng.random()) for message in messages))


async def send_all(client: ServiceBusClient) -> None:
    async with client.get_queue_sender("q") as sender:
        for start in range(0, MESSAGES, 100):
            await sender.send_messages(
                [ServiceBusMessage(b"x" * 200, message_id=str(start + number)) for number in range(100)]
            )


@pytest.mark.slow
async def test_every_message_is_finished_exactly_once() -> None:
    settings = config(q={"LockDuration": "PT1S", "MaxDeliveryCount": 100})
    with broker_in_thread(settings, RealClock()) as broker:
        book = Book()
        async with ServiceBusClient.from_connection_string(broker.connection_string) as client:
            await send_all(client)
            victim = await asyncio.create_subprocess_exec(
                sys.executable, "-c", VICTIM, broker.connection_string, stdout=subprocess.PIPE
            )
            async with asyncio.timeout(60):
                await asyncio.gather(*(work(number, client, book) for number in range(RECEIVERS)))
                said, _ = await victim.communicate()
        assert said, "the victim died before it held anything"
        check(book, broker)


def check(book: Book, broker: Broker) -> None:
    assert book.left_to_expire > 10, "the stress left out the expiry of locks"
    assert set(book.completed.values()) | set(book.dead_lettered.values()) == {1}, "a message was finished twice"
    assert not set(book.completed) & set(book.dead_lettered)
    assert book.finished == MESSAGES
    counts = broker.queue("q").counts()
    assert (counts.active, counts.locked, counts.deferred, counts.scheduled) == (0, 0, 0, 0)
    assert counts.dead_letter == len(book.dead_lettered)
