"""Dead letters through the real client: looked at, taken out, given back; nothing that fails loses one."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest
import pytest_asyncio
from azure.servicebus import ServiceBusMessage, ServiceBusReceivedMessage
from azure.servicebus._pyamqp.message import Message
from azure.servicebus.aio import ServiceBusClient

from local.clock import RealClock
from local.servicebus import Broker
from local.servicebus.message import new_message
from shared.estate import dead_letters as module
from shared.estate.dead_letter_failures import BrokerUnreachable, EntityMissing, NoRight
from shared.estate.dead_letter_messages import DeadLetter, NotCopied, copy_of
from shared.estate.dead_letters import DeadLetters, Entity, Send
from tests.local.servicebus.conftest import broker_in_thread

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential

pytestmark = pytest.mark.asyncio(loop_scope="module")

NAMES = ("many", "copied", "order", "killed", "unsent", "denied", "cut")
SETTINGS = {
    "UserConfig": {
        "Namespaces": [
            {
                "Name": "sbemulatorns",
                "Queues": [{"Name": name, "Properties": {"LockDuration": "PT30S"}} for name in NAMES],
                "Topics": [{"Name": "news", "Subscriptions": [{"Name": "a"}, {"Name": "b"}]}],
            }
        ]
    }
}
NO_CREDENTIAL = cast("AsyncTokenCredential", None)  # the local namespace has a connection string


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with broker_in_thread(SETTINGS, RealClock()) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def letters(broker: Broker) -> AsyncIterator[DeadLetters]:
    made = DeadLetters(NO_CREDENTIAL)
    yield made
    await made.close()


def queue_of(broker: Broker, name: str) -> Entity:
    return Entity(name=name, queue=name, namespace=broker.connection_string)


def bury(broker: Broker, path: str, *bodies: bytes, reason: str | None = "Poison") -> None:
    """Send these, and give up all that is in the queue or the subscription."""
    queue = broker.queue(path)
    for number, body in enumerate(bodies):
        queue.send(body, message_id=f"id-{number}")
    for delivery in queue.receive(1000):
        queue.dead_letter(delivery.lock_token, reason, "it was no good")


def bodies(broker: Broker, path: str) -> list[bytes]:
    return [message.data() for message in broker.queue(path).peek(1, 1000)]


async def again(_letter: DeadLetter, send: Send) -> None:
    await send()


async def test_they_are_looked_at_in_pages_without_a_trace(
    broker: Broker, letters: DeadLetters, monkeypatch: pytest.MonkeyPatch
) -> None:
    entity = queue_of(broker, "many")
    assert (await letters.look(entity)).oldest_at is None
    bury(broker, "many", *(b"%d" % number for number in range(7)))
    bury(broker, "many", b"7", reason=None)
    monkeypatch.setattr(module, "_PAGE", 3)
    page = await letters.peek(entity, 5)
    assert [letter.body for letter in page] == [b"0", b"1", b"2", b"3", b"4"]
    rest = await letters.peek(entity, 5, after=page[-1].sequence_number)
    assert [(letter.body, letter.reason) for letter in rest] == [(b"5", "Poison"), (b"6", "Poison"), (b"7", "")]
    first = page[0]
    assert (first.message_id, first.description, first.delivery_count) == ("id-0", "it was no good", 0)
    monkeypatch.setattr(module, "LOOKED_AT", 8)
    seen = await letters.look(entity)
    assert (seen.count, seen.complete, seen.oldest_at) == (8, True, first.enqueued_at)
    assert seen.reasons == {"Poison": 7, "no reason given": 1}
    monkeypatch.setattr(module, "LOOKED_AT", 4)
    assert (await letters.look(entity)).complete is False
    assert broker.queue("many/$DeadLetterQueue").counts().locked == 0


async def test_the_oldest_of_too_many_connections_are_closed(
    broker: Broker, letters: DeadLetters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEPT_OPEN", 2)
    for _ in range(2):
        await asyncio.gather(*(letters.peek(queue_of(broker, name), 1) for name in ("many", "order", "killed")))
        assert len(letters._receivers) <= 2


async def test_those_that_are_wanted_go_and_the_others_stay(broker: Broker, letters: DeadLetters) -> None:
    entity = queue_of(broker, "order")
    bury(broker, "order", b"a", b"b", b"c", b"d")
    broker.deny("order", "Send")  # whoever discards needs no right to send
    numbers = [letter.sequence_number for letter in await letters.peek(entity, 10)]
    seen: list[bytes] = []

    async def note(letter: DeadLetter, _send: Send) -> None:
        assert letter.body in bodies(broker, "order/$DeadLetterQueue"), "it is still there while it is dealt with"
        seen.append(letter.body)

    taken = await letters.take(entity, [numbers[3], numbers[1], 999_999], note)
    assert (taken.done, taken.missing, dict(taken.failed)) == ((numbers[1], numbers[3]), (999_999,), {})
    assert (seen, bodies(broker, "order/$DeadLetterQueue")) == ([b"b", b"d"], [b"a", b"c"])
    dead = broker.queue("order/$DeadLetterQueue")
    assert (dead.counts().active, dead.counts().locked) == (2, 0), "the others were given back"


async def test_a_copy_is_what_was_sent(broker: Broker, letters: DeadLetters) -> None:
    # `big` does not fit into what the client writes by default.
    big: Any = {"TYPE": "LONG", "VALUE": 2**40}
    own: dict[Any, Any] = {"text": "ü", "big": big, "small": 7, "yes": True, "half": 0.5, "none": None}
    sent = ServiceBusMessage(
        b'{"a": 1}',
        message_id="m-1",
        application_properties=own,
        subject="s",
        content_type="application/json",
        correlation_id="c-1",
        session_id="k",
        to="there",
        reply_to="back",
        reply_to_session_id="rk",
        time_to_live=timedelta(hours=3),
    )
    async with ServiceBusClient.from_connection_string(broker.connection_string) as client:
        async with client.get_queue_sender("copied") as sender:
            await sender.send_messages(sent)
        bury(broker, "copied")
        entity = queue_of(broker, "copied")
        (letter,) = await letters.peek(entity, 10)
        assert (letter.details["subject"], letter.details["session_id"]) == ("s", "k")
        assert letter.properties == {"text": "ü", "big": 2**40, "small": 7, "yes": True, "half": 0.5, "none": None}
        taken = await letters.take(entity, [letter.sequence_number], again)
        assert (taken.done, dict(taken.failed)) == ((letter.sequence_number,), {})
        async with client.get_queue_receiver("copied") as receiver:
            (came,) = await receiver.receive_messages(max_wait_time=5)
            assert came.dead_letter_reason is None
            assert (b"".join(came.body), came.delivery_count) == (b'{"a": 1}', 0)
            assert came.application_properties == {
                b"text": "ü".encode(),
                b"big": 2**40,
                b"small": 7,
                b"yes": True,
                b"half": 0.5,
                b"none": None,
            }
            shown = ("message_id", "subject", "content_type", "correlation_id", "session_id", "to", "reply_to")
            assert [_text(getattr(came, name)) for name in shown] == [
                "m-1",
                "s",
                "application/json",
                "c-1",
                "k",
                "there",
                "back",
            ]
            assert (_text(came.reply_to_session_id), came.time_to_live) == ("rk", timedelta(hours=3))
            await receiver.complete_message(came)


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


async def test_a_subscriptions_goes_back_to_its_topic(broker: Broker, letters: DeadLetters) -> None:
    broker.topic("news").enqueue([new_message(b"x", "1", None)])
    bury(broker, "news/Subscriptions/a")
    entity = Entity(name="n", topic="news", subscription="a", namespace=broker.connection_string)
    (letter,) = await letters.peek(entity, 10)
    assert (await letters.take(entity, [letter.sequence_number], again)).done == (letter.sequence_number,)
    counts = {name: broker.queue(f"news/Subscriptions/{name}").counts() for name in ("a", "b")}
    assert [(one.active, one.dead_letter) for one in counts.values()] == [(1, 0), (2, 0)]


async def test_who_is_killed_after_sending_sends_again_and_loses_nothing(broker: Broker, letters: DeadLetters) -> None:
    entity = queue_of(broker, "killed")
    bury(broker, "killed", b"x")
    (letter,) = await letters.peek(entity, 10)
    mortal = DeadLetters(NO_CREDENTIAL)

    async def killed(_letter: DeadLetter, send: Send) -> None:
        await send()
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await mortal.take(entity, [letter.sequence_number], killed)
    await mortal.close()
    assert bodies(broker, "killed") == bodies(broker, "killed/$DeadLetterQueue") == [b"x"]
    assert (await letters.take(entity, [letter.sequence_number], again)).done == (letter.sequence_number,)
    assert (bodies(broker, "killed"), bodies(broker, "killed/$DeadLetterQueue")) == ([b"x", b"x"], [])


async def test_what_cannot_be_dealt_with_stays_and_says_why(broker: Broker, letters: DeadLetters) -> None:
    entity = queue_of(broker, "unsent")
    bury(broker, "unsent", b"x", b"y")
    numbers = [letter.sequence_number for letter in await letters.peek(entity, 10)]

    async def storage_refuses(_letter: DeadLetter, _send: Send) -> None:
        raise OSError("the table is away")

    taken = await letters.take(entity, numbers, storage_refuses)
    assert (taken.done, dict(taken.failed)) == ((), dict.fromkeys(numbers, "OSError: the table is away"))
    broker.deny("unsent", "Send")
    taken = await letters.take(entity, numbers, again)
    assert taken.done == ()
    assert all("Azure Service Bus Data Sender" in why for why in taken.failed.values())
    assert bodies(broker, "unsent/$DeadLetterQueue") == [b"x", b"y"]


async def test_an_entity_that_cannot_be_read_says_why_and_hides_no_other(broker: Broker, letters: DeadLetters) -> None:
    broker.deny("denied", "Listen")
    with pytest.raises(NoRight, match="assign the role 'Azure Service Bus Data Receiver'"):
        await letters.look(queue_of(broker, "denied"))
    with pytest.raises(EntityMissing, match=r"nowhere of 127\.0\.0\.1.* check its name in the policy"):
        await letters.look(queue_of(broker, "nowhere"))
    with pytest.raises(EntityMissing, match="set WATCHKEEPER_SIGNALS"):
        await letters.look(Entity(name="n", queue="q", namespace=""))
    away = "Endpoint=sb://127.0.0.1:1;SharedAccessKeyName=n;SharedAccessKey=hidden;UseDevelopmentEmulator=true;"
    with pytest.raises(BrokerUnreachable) as refused:
        await letters.look(Entity(name="n", queue="q", namespace=away))
    assert "hidden" not in f"{refused.value}{refused.value.__cause__}"
    bury(broker, "cut", b"x")
    assert (await letters.look(queue_of(broker, "cut"))).count == 1


async def test_a_connection_that_was_cut_is_opened_anew(broker: Broker, letters: DeadLetters) -> None:
    entity = queue_of(broker, "cut")
    before = (await letters.look(entity)).count
    for _ in range(2):
        broker.drop_connections()
        await asyncio.sleep(0.05)
        assert (await letters.look(entity)).count == before


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"properties": {b"key": b"\xff"}}, "its property 'key' is binary"),
        ({"properties": {b"key": [1]}}, "its property 'key' is a list"),
        ({"value": {b"a": 1}}, "its body is an AMQP value"),
    ],
)
async def test_what_the_client_cannot_write_again_is_refused(changed: dict[str, Any], why: str) -> None:
    body = {"value": changed["value"]} if "value" in changed else {"data": [b"x"]}
    raw = Message(application_properties=changed.get("properties"), **body)
    received = ServiceBusReceivedMessage(raw, receiver=None, frame=None)
    with pytest.raises(NotCopied, match=why):
        copy_of(received)


async def test_nothing_says_the_connection_string() -> None:
    secret = f"Endpoint=sb://host.example:1/;SharedAccessKey={uuid.uuid4()};"
    entity = Entity(name="n", queue="q", namespace=secret)
    assert (str(entity), entity.host) == ("q of host.example:1", "host.example:1")
    assert "SharedAccessKey" not in repr(entity)
