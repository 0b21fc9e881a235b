"""What azure-servicebus 7.15.0 gets from a queue, over the wire: locks, expiry, schedules, duplicates."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from azure.servicebus import ServiceBusMessage, ServiceBusMessageState, ServiceBusReceivedMessage
from azure.servicebus.aio import AutoLockRenewer as AsyncAutoLockRenewer
from azure.servicebus.exceptions import MessageLockLostError, MessageNotFoundError

from tests.local.servicebus.conformance.builders import LOCK_S, complete_all, nothing, one
from tests.local.servicebus.conformance.shared_links import Links

pytestmark = pytest.mark.asyncio(loop_scope="package")


def ignore_client_side_expiry(message: ServiceBusReceivedMessage) -> None:
    """The SDK refuses by itself to settle when it believes the lock to be over: make it ask the broker."""
    message._expiry = datetime.max.replace(tzinfo=UTC)


async def test_an_expired_lock_brings_the_message_back_and_is_refused(links: Links) -> None:
    sender, receiver = await links.both("short-lock")
    await sender.send_messages(ServiceBusMessage("x"))
    first = await one(receiver)
    again = await one(receiver)
    assert again.delivery_count == 1
    assert again.lock_token != first.lock_token
    with pytest.raises(MessageLockLostError):
        await receiver.complete_message(first)
    ignore_client_side_expiry(first)
    with pytest.raises(MessageLockLostError):
        await receiver.complete_message(first)
    await receiver.complete_message(again)
    assert await nothing(receiver)


async def test_a_lock_can_be_renewed(links: Links) -> None:
    lock_s = LOCK_S["short-lock"]
    sender, receiver = await links.both("short-lock")
    await sender.send_messages(ServiceBusMessage("x"))
    await receiver.peek_messages(1)  # opens the SDK's management link, which would take too much of a short lock
    message = await one(receiver)
    for _ in range(2):
        await asyncio.sleep(lock_s * 0.6)
        until = await receiver.renew_message_lock(message)
        assert timedelta() < until - datetime.now(UTC) <= timedelta(seconds=lock_s + 0.5)
    await receiver.complete_message(message)


async def test_locks_are_renewed_automatically(links: Links) -> None:
    sender, receiver = await links.both("renewed")
    await sender.send_messages(ServiceBusMessage("x"))
    async with AsyncAutoLockRenewer() as renewer:
        message = await one(receiver)
        renewer.register(receiver, message, max_lock_renewal_duration=30)
        await asyncio.sleep(LOCK_S["renewed"] * 1.2)
        await receiver.complete_message(message)
    assert await nothing(receiver)


async def test_an_expired_message_becomes_a_dead_letter(links: Links) -> None:
    (sender, receiver), dead_letters = await asyncio.gather(links.both("expiring"), links.dead_letters("expiring"))
    await sender.send_messages(ServiceBusMessage("short", time_to_live=timedelta(seconds=1)))
    message = await one(dead_letters)
    assert await nothing(receiver)
    assert message.dead_letter_reason == "TTLExpiredException"
    await dead_letters.complete_message(message)


async def test_scheduled_messages_come_when_due_unless_cancelled(links: Links) -> None:
    sender, receiver = await links.both("plain")
    due = datetime.now(UTC) + timedelta(seconds=1.5)
    [number] = await sender.schedule_messages(ServiceBusMessage("by request"), due)
    [cancelled] = await sender.schedule_messages(ServiceBusMessage("cancelled"), due)
    await sender.cancel_scheduled_messages(cancelled)
    await sender.send_messages(ServiceBusMessage("by annotation", scheduled_enqueue_time_utc=due))
    [peeked] = await receiver.peek_messages(1, sequence_number=number)
    assert peeked.state == ServiceBusMessageState.SCHEDULED
    assert await nothing(receiver)
    assert await complete_all(receiver, 2) == ["by request", "by annotation"]
    assert datetime.now(UTC) >= due - timedelta(milliseconds=50)
    with pytest.raises(MessageNotFoundError):
        await sender.cancel_scheduled_messages(cancelled)


async def test_duplicates_are_dropped(links: Links) -> None:
    sender, receiver = await links.both("deduplicated")
    message_id = str(uuid.uuid4())
    for _ in range(3):
        await sender.send_messages(ServiceBusMessage("x", message_id=message_id))
    assert await complete_all(receiver, 1) == ["x"]
    assert await nothing(receiver)
