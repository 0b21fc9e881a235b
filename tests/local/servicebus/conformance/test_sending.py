"""What azure-servicebus 7.15.0 gets from a queue, over the wire: sending, receiving, peeking, and what is not there."""

import asyncio
import os
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.servicebus import ServiceBusMessage, ServiceBusReceivedMessage, ServiceBusReceiveMode
from azure.servicebus.exceptions import (
    MessageSizeExceededError,
    MessagingEntityNotFoundError,
    ServiceBusError,
    SessionCannotBeLockedError,
)

from tests.local.servicebus.conformance.builders import complete_all, nothing, one
from tests.local.servicebus.conformance.shared_links import Links

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_a_message_arrives_as_it_was_sent(links: Links) -> None:
    sender, receiver = await links.both("plain")
    properties: dict[str | bytes, Any] = {"n": 1, "t": "x", "b": True, "f": 1.5, "u": uuid.UUID(int=5)}
    await sender.send_messages(
        ServiceBusMessage(
            b"body",
            message_id="m1",
            subject="s",
            correlation_id="c",
            content_type="application/json",
            application_properties=properties,
        )
    )
    message = await one(receiver)
    assert b"".join(message.body) == b"body"
    assert (message.message_id, message.subject, message.correlation_id) == ("m1", "s", "c")
    assert message.content_type == "application/json"
    assert message.application_properties == {str(name).encode(): _wire(value) for name, value in properties.items()}
    assert message.delivery_count == 0
    assert message.sequence_number
    assert isinstance(message.lock_token, uuid.UUID)
    assert message.enqueued_time_utc is not None and message.locked_until_utc is not None
    now = datetime.now(UTC)
    assert abs(now - message.enqueued_time_utc) < timedelta(seconds=10)
    assert timedelta(seconds=45) < message.locked_until_utc - now <= timedelta(seconds=60.5)
    await receiver.complete_message(message)
    assert await nothing(receiver)


def _wire(value: Any) -> Any:
    return value.encode() if isinstance(value, str) else value


async def test_batches_arrive_whole_and_in_order(links: Links) -> None:
    sender, receiver = await links.both("plain")
    batch = await sender.create_message_batch()
    for number in range(300):
        batch.add_message(ServiceBusMessage(f"b{number}"))
    await sender.send_messages(batch)
    await sender.send_messages([ServiceBusMessage("l0"), ServiceBusMessage("l1")])
    assert await complete_all(receiver, 302) == [f"b{number}" for number in range(300)] + ["l0", "l1"]


async def test_a_message_larger_than_a_frame(links: Links) -> None:
    sender, receiver = await links.both("plain")
    body = os.urandom(200_000)
    await sender.send_messages(ServiceBusMessage(body))
    message = await one(receiver)
    assert b"".join(message.body) == body
    await receiver.complete_message(message)


async def test_a_message_that_is_too_large_is_refused(links: Links) -> None:
    sender = await links.sender("plain")
    with pytest.raises(MessageSizeExceededError):
        await sender.send_messages(ServiceBusMessage(b"x" * (1024 * 1024 + 1)))
    await sender.send_messages(ServiceBusMessage("fits"))
    assert await complete_all(await links.receiver("plain"), 1) == ["fits"]


async def test_receive_and_delete(links: Links) -> None:
    sender = await links.sender("deleted")
    await sender.send_messages([ServiceBusMessage(str(number)) for number in range(10)])
    deleting = await links.receiver("deleted", receive_mode=ServiceBusReceiveMode.RECEIVE_AND_DELETE)
    bodies: list[str] = []
    while len(bodies) < 10:
        bodies += [str(message) for message in await deleting.receive_messages(10, max_wait_time=10)]
    assert bodies == [str(number) for number in range(10)]
    assert await deleting.peek_messages(1, sequence_number=1) == []


async def test_iterating_over_a_receiver(links: Links) -> None:
    sender = await links.sender("iterated")
    await sender.send_messages([ServiceBusMessage(str(number)) for number in range(5)])
    iterated = await links.receiver("iterated", max_wait_time=1)
    bodies = []
    async for message in iterated:
        bodies.append(str(message))
        await iterated.complete_message(message)
    assert bodies == ["0", "1", "2", "3", "4"]


async def test_closing_a_receiver_gives_its_prefetched_messages_back_uncounted(links: Links) -> None:
    sender, receiver = await links.both("closed")
    await sender.send_messages([ServiceBusMessage(str(number)) for number in range(10)])
    async with links.client.get_queue_receiver("closed", prefetch_count=10) as closing:
        await closing.complete_message(await one(closing))
    messages: list[ServiceBusReceivedMessage] = []
    while len(messages) < 9:
        messages += await receiver.receive_messages(9 - len(messages), max_wait_time=10)
    assert [message.delivery_count for message in messages] == [0] * 9
    for message in messages:
        await receiver.complete_message(message)


async def test_two_receivers_share_the_messages(links: Links) -> None:
    sender, first = await links.both("competing")
    second = await links.receiver("competing", max_wait_time=1)
    await sender.send_messages([ServiceBusMessage(str(number)) for number in range(20)])
    bodies = [await complete_all(receiver, 1) for _ in range(10) for receiver in (first, second)]
    assert sorted(int(body) for [body] in bodies) == list(range(20))


async def test_peeking_pages_through_the_queue_and_locks_nothing(links: Links) -> None:
    sender, receiver = await links.both("plain")
    await sender.send_messages([ServiceBusMessage(f"p{number}") for number in range(5)])
    found = await receiver.peek_messages(3, sequence_number=1)
    assert [str(message) for message in found] == ["p0", "p1", "p2"]
    following = (found[-1].sequence_number or 0) + 1
    rest = await receiver.peek_messages(3, sequence_number=following)
    assert [str(message) for message in rest] == ["p3", "p4"]
    assert await receiver.peek_messages(3, sequence_number=following + 2) == []
    assert await complete_all(receiver, 5) == ["p0", "p1", "p2", "p3", "p4"]


async def test_a_missing_queue_is_not_found(links: Links) -> None:
    sender, receiver = links.client.get_queue_sender("missing"), links.client.get_queue_receiver("missing")
    results = await asyncio.gather(sender.__aenter__(), receiver.__aenter__(), return_exceptions=True)
    assert [type(result) for result in results] == [MessagingEntityNotFoundError, MessagingEntityNotFoundError]
    await asyncio.gather(sender.close(), receiver.close())


async def test_a_queue_without_sessions_refuses_a_session(links: Links) -> None:
    receiver = links.client.get_queue_receiver("plain", session_id="s")
    with pytest.raises(ServiceBusError) as refused:
        await receiver.__aenter__()
    assert not isinstance(refused.value, SessionCannotBeLockedError)
    await receiver.close()
