"""The AMQP engine against clients that say exactly what a test wants: refusals, malformed input."""

import struct

import pytest

from local.servicebus import Broker, codec
from local.servicebus.amqp_types import Described, Symbol, UInt, ULong
from local.servicebus.message import APPLICATION_PROPERTIES, DATA, PROPERTIES, section
from local.servicebus.wire.performatives import (
    Attach,
    Begin,
    Close,
    Detach,
    Disposition,
    Flow,
    Open,
    Performative,
    Transfer,
)
from tests.local.servicebus.raw_client import ACCEPTED, BATCH, GREETING, RawClient, condition, sent, terminus

NULL_BOMB = b"\xf0" + struct.pack(">I", 5) + b"\xff\xff\xff\xff\x40"


async def refusal(client: RawClient) -> str:
    return condition((await client.expect(Close)).error)


async def test_what_is_no_amqp_frame_ends_the_connection_with_the_reason(client: RawClient) -> None:
    client.write(GREETING + b"\x00\x00\x00\x04\x02\x00\x00\x00")
    assert await refusal(client) == "amqp:connection:framing-error"


async def test_a_frame_larger_than_agreed_is_refused_before_it_comes(client: RawClient) -> None:
    client.write(GREETING + struct.pack(">IBBH", 256 * 1024 + 1, 2, 0, 0))
    assert await refusal(client) == "amqp:connection:framing-error"


async def test_four_billion_nulls_are_refused_at_once(client: RawClient) -> None:
    await client.open_session()
    body = b"\x00\x53\x12" + NULL_BOMB
    client.write(struct.pack(">IBBH", 8 + len(body), 2, 0, 0) + body)
    assert await refusal(client) == "amqp:decode-error"


@pytest.mark.parametrize(
    "performative",
    [
        Begin(None, UInt(0), UInt(1), UInt(1)),
        Open("again"),
        Flow(None, UInt(1), UInt(0), UInt(1)),
        Close(),
    ],
    ids=lambda performative: type(performative).__name__,
)
async def test_frames_in_the_wrong_place_end_the_connection(client: RawClient, performative: Performative) -> None:
    if isinstance(performative, Open):
        await client.open_session()
    else:
        client.write(GREETING)
    client.send(performative, channel=7 if isinstance(performative, Flow) else 0)
    assert await refusal(client) == "amqp:not-allowed"


async def test_a_channel_without_a_session_is_refused(client: RawClient) -> None:
    await client.open_session()
    client.send(Flow(None, UInt(1), UInt(0), UInt(1)), channel=7)
    assert await refusal(client) == "amqp:not-allowed"


async def test_a_handle_can_be_attached_once(client: RawClient) -> None:
    await client.open_session()
    client.attach_sender("q")
    client.attach_sender("q")
    assert await refusal(client) == "amqp:session:handle-in-use"


async def test_another_version_of_amqp_is_answered_with_ours(client: RawClient) -> None:
    client.write(b"AMQP\x00\x00\x09\x01")
    assert await client.next_frame() is None


@pytest.mark.parametrize(
    ("attach", "expected"),
    [
        (Attach("s", UInt(0), False, target=terminus("missing", 0x29)), "amqp:not-found"),
        (Attach("s", UInt(0), False, target=terminus("q/$DeadLetterQueue", 0x29)), "amqp:not-allowed"),
        (Attach("s", UInt(0), False, target=Described(ULong(0x30), [])), "amqp:not-implemented"),
        (Attach("s", UInt(0), False), "amqp:not-found"),
        (Attach("r", UInt(0), True, source=Described(ULong(0x28), None)), "amqp:not-found"),
        (Attach("r", UInt(0), True, source=terminus("missing/$management", 0x28)), "amqp:not-found"),
    ],
)
async def test_a_refused_link_is_detached_with_the_reason(client: RawClient, attach: Attach, expected: str) -> None:
    await client.open_session()
    client.send(attach)
    assert (await client.expect(Attach)).target is None
    assert condition((await client.expect(Detach)).error) == expected
    client.attach_sender("q")  # the handle is free again
    assert (await client.expect(Attach)).target is not None


@pytest.mark.parametrize(
    "payload",
    [
        b"no section",
        b"\x00",
        b"\x00\x53\x75",
        section(0x79, codec.encode(b"unknown section")),
        section(DATA, codec.encode(["not binary"])),
        section(PROPERTIES, codec.encode("not a list")),
        section(APPLICATION_PROPERTIES, codec.encode(["not a map"])),
        section(APPLICATION_PROPERTIES, NULL_BOMB),
        section(0x70, NULL_BOMB),
    ],
)
async def test_a_malformed_message_is_refused_and_the_link_goes_on(
    broker: Broker, client: RawClient, payload: bytes
) -> None:
    await client.open_session()
    client.attach_sender("q")
    assert await sent(client, payload) == "amqp:decode-error"
    assert await sent(client, section(DATA, codec.encode(b"fine")), delivery_id=1) == "accepted"
    assert [delivery.body for delivery in broker.queue("q").receive(9)] == [b"fine"]


@pytest.mark.parametrize(
    "payload",
    [
        section(PROPERTIES, codec.encode([["a list"]])),
        section(0x70, codec.encode([True, None, "soon"])),
        section(0x72, codec.encode({Symbol("x-opt-scheduled-enqueue-time"): "tomorrow"})),
        section(0x72, codec.encode({Symbol("x-opt-scheduled-enqueue-time"): 2**62})),
    ],
)
async def test_a_message_that_makes_no_sense_is_refused(client: RawClient, payload: bytes) -> None:
    await client.open_session()
    client.attach_sender("q")
    assert await sent(client, payload) == "com.microsoft:argument-error"


async def test_a_batch_is_stored_whole_or_not_at_all(broker: Broker, client: RawClient) -> None:
    good = section(DATA, codec.encode(section(DATA, codec.encode(b"good"))))
    bad = section(DATA, codec.encode(b"\x00\x53"))
    await client.open_session()
    client.attach_sender("q")
    assert await sent(client, good + bad, message_format=BATCH) == "amqp:decode-error"
    assert await sent(client, good + b"\x00\x53\x75", message_format=BATCH) == "amqp:decode-error"
    assert broker.queue("q").counts().active == 0
    assert await sent(client, good + good, message_format=BATCH) == "accepted"
    assert broker.queue("q").counts().active == 2


async def test_one_disposition_may_settle_four_billion_deliveries(broker: Broker, client: RawClient) -> None:
    for _ in range(3):
        broker.queue("q").send(b"x")
    await client.open_session()
    client.attach_receiver("q", credit=3)
    for _ in range(3):
        await client.expect(Transfer)
    client.send(Disposition(True, UInt(0), UInt(2**32 - 1), state=ACCEPTED))
    assert [(await client.expect(Disposition)).first for _ in range(3)] == [0, 1, 2]
    assert broker.queue("q").counts().locked == 0


async def test_an_unknown_outcome_is_refused_and_the_lock_kept(broker: Broker, client: RawClient) -> None:
    broker.queue("q").send(b"x")
    await client.open_session()
    client.attach_receiver("q", credit=1)
    await client.expect(Transfer)
    client.send(Disposition(True, UInt(0), state=Described(ULong(0x99), [])))
    state = (await client.expect(Disposition)).state
    assert state is not None
    assert condition(state.value[0]) == "com.microsoft:argument-error"
    assert broker.queue("q").counts().locked == 1
