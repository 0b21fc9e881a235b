"""The synchronous client of azure-servicebus 7.15.0 gets the same."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.servicebus import (
    AutoLockRenewer,
    ServiceBusClient,
    ServiceBusMessage,
    ServiceBusReceivedMessage,
    ServiceBusSubQueue,
)

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_the_synchronous_client_does_the_same(connection_string: str) -> None:
    await asyncio.to_thread(_synchronous_round, connection_string)


def _synchronous_round(connection_string: str) -> None:
    client = ServiceBusClient.from_connection_string(connection_string, retry_total=0)
    dead = client.get_queue_receiver("synchronous", sub_queue=ServiceBusSubQueue.DEAD_LETTER)
    with client, client.get_queue_sender("synchronous") as sender, client.get_queue_receiver("synchronous") as receiver:
        sender.send_messages([ServiceBusMessage(name) for name in ("completed", "rejected", "kept")])
        completed, rejected, kept = _receive(receiver, 3)
        receiver.complete_message(completed)
        receiver.dead_letter_message(rejected, reason="no")
        with AutoLockRenewer() as renewer:
            renewer.register(receiver, kept, max_lock_renewal_duration=30)
            [number] = sender.schedule_messages(ServiceBusMessage("never"), datetime.now(UTC) + timedelta(minutes=5))
            sender.cancel_scheduled_messages(number)
            with dead:
                [letter] = _receive(dead, 1)
                assert letter.dead_letter_reason == "no"
                dead.complete_message(letter)
            receiver.abandon_message(kept)
        [again] = _receive(receiver, 1)
        assert (str(again), again.delivery_count) == ("kept", 1)
        assert again.sequence_number is not None
        receiver.defer_message(again)
        assert receiver.receive_messages(1, max_wait_time=0.3) == []
        [deferred] = receiver.receive_deferred_messages(again.sequence_number)
        assert receiver.renew_message_lock(deferred) > datetime.now(UTC)
        receiver.complete_message(deferred)
        assert receiver.peek_messages(10, sequence_number=1) == []


def _receive(receiver: Any, count: int) -> list[ServiceBusReceivedMessage]:
    messages: list[ServiceBusReceivedMessage] = []
    while len(messages) < count:
        messages += receiver.receive_messages(count - len(messages), max_wait_time=10)
    return messages
