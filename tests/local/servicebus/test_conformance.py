"""What azure-servicebus 7.15.0 gets from a Service Bus queue, over the wire.

Runs against the local broker; against any other namespace with the queues of `config.json` (the official emulator)
when WATCHKEEPER_TEST_SERVICEBUS has its connection string. Opening a link takes the SDK half a second whatever it
talks to, so the tests share their senders and receivers, and each leaves its queue empty.
"""

import asyncio
import json
import os
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from azure.servicebus import (
    AutoLockRenewer,
    ServiceBusClient,
    ServiceBusMessage,
    ServiceBusMessageState,
    ServiceBusReceivedMessage,
    ServiceBusReceiveMode,
    ServiceBusSubQueue,
)
from azure.servicebus.aio import AutoLockRenewer as AsyncAutoLockRenewer
from azure.servicebus.aio import ServiceBusClient as AsyncServiceBusClient
from azure.servicebus.aio import ServiceBusReceiver
from azure.servicebus.exceptions import (
    MessageLockLostError,
    MessageNotFoundError,
    MessageSizeExceededError,
    MessagingEntityNotFoundError,
    ServiceBusError,
    SessionCannotBeLockedError,
)

from local.clock import RealClock
from tests.local.servicebus.conftest import broker_in_thread
from tests.local.servicebus.shared_links import Links

ELSEWHERE = os.environ.get("WATCHKEEPER_TEST_SERVICEBUS")
# The official emulator locks for 5 s at least; the SDK's automatic renewal copes with 3 s at least.
LOCK_S = {"short-lock": 5.0 if ELSEWHERE else 1.0, "renewed": 5.0 if ELSEWHERE else 3.0}
OPENED_FIRST = ("plain", "poison", "expiring", "deduplicated", "short-lock", "renewed", "closed", "competing")

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def connection_string() -> Iterator[str]:
    if ELSEWHERE:
        yield ELSEWHERE
        return
    settings = json.loads((Path(__file__).parent / "config.json").read_text())
    for queue in settings["UserConfig"]["Namespaces"][0]["Queues"]:
        if queue["Name"] in LOCK_S:
            queue["Properties"]["LockDuration"] = f"PT{LOCK_S[queue['Name']]:g}S"
    with broker_in_thread(settings, RealClock()) as broker:
        yield broker.connection_string


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_links(connection_string: str) -> AsyncIterator[Links]:
    async with AsyncServiceBusClient.from_connection_string(connection_string, retry_total=0) as client:
        opened = Links(client)
        if not ELSEWHERE:  # together they take no longer than one
            await asyncio.gather(*(opened.both(queue) for queue in OPENED_FIRST))
        yield opened
        await opened.close()


@pytest_asyncio.fixture(loop_scope="module")
async def links(shared_links: Links) -> AsyncIterator[Links]:
    yield shared_links
    if ELSEWHERE:  # the official emulator allows ten connections, and every link has its own
        await shared_links.close(keep="plain")


async def one(receiver: ServiceBusReceiver) -> ServiceBusReceivedMessage:
    [message] = await receiver.receive_messages(1, max_wait_time=10)
    return message


async def nothing(receiver: ServiceBusReceiver) -> bool:
    return await receiver.receive_messages(1, max_wait_time=0.3) == []


async def complete_all(receiver: ServiceBusReceiver, count: int) -> list[str]:
    """Receive and complete `count` messages; returns their bodies in order."""
    bodies: list[str] = []
    while len(bodies) < count:
        messages = await receiver.receive_messages(count - len(bodies), max_wait_time=10)
        assert messages, f"only {len(bodies)} of {count} messages came"
        await asyncio.gather(*(receiver.complete_message(message) for message in messages))
        bodies += [str(message) for message in messages]
    return bodies


def ignore_client_side_expiry(message: ServiceBusReceivedMessage) -> None:
    """The SDK refuses by itself to settle when it believes the lock to be over: make it ask the broker."""
    message._expiry = datetime.max.replace(tzinfo=UTC)


# ---- sending and receiving


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


# ---- settlement


async def test_abandon_counts_deliveries(links: Links) -> None:
    sender, receiver = await links.both("plain")
    await sender.send_messages(ServiceBusMessage("a"))
    for expected in range(3):
        message = await one(receiver)
        assert message.delivery_count == expected
        await receiver.abandon_message(message)
    await receiver.complete_message(await one(receiver))


async def test_too_many_deliveries_make_a_dead_letter(links: Links) -> None:
    sender, receiver = await links.both("poison")
    await sender.send_messages(ServiceBusMessage("poison"))
    for _ in range(3):
        await receiver.abandon_message(await one(receiver))
    dead_letters = await links.dead_letters("poison")
    message = await one(dead_letters)
    assert str(message) == "poison"
    assert message.dead_letter_reason == "MaxDeliveryCountExceeded"
    await dead_letters.complete_message(message)
    assert await nothing(receiver)


async def test_a_dead_letter_carries_its_reason(links: Links) -> None:
    sender, receiver = await links.both("plain")
    await sender.send_messages(ServiceBusMessage("d", application_properties={"keep": "me"}))
    await receiver.dead_letter_message(await one(receiver), reason="BadInput", error_description="no such thing")
    dead_letters = await links.dead_letters("plain")
    message = await one(dead_letters)
    assert message.dead_letter_reason == "BadInput"
    assert message.dead_letter_error_description == "no such thing"
    assert message.application_properties is not None
    assert message.application_properties[b"keep"] == b"me"
    await dead_letters.complete_message(message)


async def test_a_deferred_message_comes_by_its_number_only(links: Links) -> None:
    sender, receiver = await links.both("plain")
    await sender.send_messages(ServiceBusMessage("aside"))
    message = await one(receiver)
    number = message.sequence_number
    assert number is not None
    await receiver.defer_message(message)
    assert await nothing(receiver)
    [peeked] = await receiver.peek_messages(1, sequence_number=number)
    assert peeked.state == ServiceBusMessageState.DEFERRED
    [deferred] = await receiver.receive_deferred_messages(number)
    assert str(deferred) == "aside"
    await receiver.complete_message(deferred)
    with pytest.raises(MessageNotFoundError):
        await receiver.receive_deferred_messages(number)


@pytest.mark.parametrize("settlement", ["abandon", "dead_letter", "defer"])
async def test_a_deferred_message_can_be_settled_in_every_way(links: Links, settlement: str) -> None:
    """The SDK settles these through `$management`, not by disposition."""
    sender, receiver = await links.both("plain")
    await sender.send_messages(ServiceBusMessage("aside"))
    message = await one(receiver)
    number = message.sequence_number
    assert number is not None
    await receiver.defer_message(message)
    [deferred] = await receiver.receive_deferred_messages(number)
    await getattr(receiver, f"{settlement}_message")(deferred)
    if settlement == "dead_letter":
        dead_letters = await links.dead_letters("plain")
        await dead_letters.complete_message(await one(dead_letters))
    else:
        [again] = await receiver.receive_deferred_messages(number)
        await receiver.complete_message(again)


# ---- time


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


# ---- what is not there


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


# ---- the synchronous client


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
