"""The AMQP engine against clients that say exactly what a test wants: flow control, refusals, malformed input."""

import os
import struct
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import pytest

from local.servicebus import Broker, codec
from local.servicebus.amqp_types import Array, Described, Symbol, UInt, ULong
from local.servicebus.message import (
    APPLICATION_PROPERTIES,
    DATA,
    PROPERTIES,
    VALUE,
    new_message,
    section,
    split_sections,
)
from local.servicebus.wire import framing
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
from tests.local.servicebus.conftest import port_of
from tests.local.servicebus.raw_client import (
    ACCEPTED,
    BATCH,
    GREETING,
    RawClient,
    condition,
    sent,
    terminus,
    transfer,
)

NULL_BOMB = b"\xf0" + struct.pack(">I", 5) + b"\xff\xff\xff\xff\x40"


@pytest.fixture
async def client(broker: Broker) -> AsyncIterator[RawClient]:
    async with RawClient(port_of(broker)) as connected:
        yield connected


async def next_performative(client: RawClient) -> Performative | None:
    frame = await client.next_frame()
    return None if frame is None else frame.performative


# ---- flow control


async def test_no_more_messages_than_credit(broker: Broker, client: RawClient) -> None:
    for number in range(5):
        broker.queue("q").send(b"%d" % number)
    await client.open_session()
    client.attach_receiver("q", credit=2)
    assert [(await client.expect(Transfer)).delivery_id for _ in range(2)] == [0, 1]
    client.grant(1, delivery_count=UInt(2))
    assert (await client.expect(Transfer)).delivery_id == 2
    assert broker.queue("q").counts().active == 2


async def test_draining_ends_the_credit_at_once(broker: Broker, client: RawClient) -> None:
    broker.queue("q").send(b"only one")
    await client.open_session()
    client.attach_receiver("q")
    client.grant(10, drain=True)
    await client.expect(Transfer)
    drained = await client.expect(Flow)
    assert (drained.link_credit, drained.delivery_count, drained.drain) == (0, 10, True)
    broker.queue("q").send(b"another")
    client.grant(1, delivery_count=UInt(10))
    assert (await client.expect(Transfer)).delivery_id == 1


async def test_a_drain_takes_no_more_than_the_credit(broker: Broker, client: RawClient) -> None:
    for _ in range(3):
        broker.queue("q").send(b"x")
    await client.open_session()
    client.attach_receiver("q")
    client.grant(2, drain=True)
    drained = await client.expect(Flow)
    assert (drained.link_credit, drained.delivery_count) == (0, 2)
    assert (broker.queue("q").counts().locked, broker.queue("q").counts().active) == (2, 1)


async def test_the_window_of_the_session_is_respected(broker: Broker, client: RawClient) -> None:
    for _ in range(5):
        broker.queue("q").send(b"x")
    await client.open_session(incoming_window=3)
    client.attach_receiver("q")
    client.grant(10, incoming_window=UInt(3))
    assert [(await client.expect(Transfer)).delivery_id for _ in range(3)] == [0, 1, 2]
    echo = Flow(UInt(4), UInt(0), UInt(0), UInt(0), echo=True)
    client.send(echo)
    assert isinstance(await next_performative(client), Flow)  # and no transfer before it
    client.grant(7, incoming_window=UInt(2), next_incoming_id=UInt(4), delivery_count=UInt(3))
    assert [(await client.expect(Transfer)).delivery_id for _ in range(2)] == [3, 4]


async def test_what_waited_for_the_window_goes_with_its_link(broker: Broker, client: RawClient) -> None:
    broker.queue("q").send(b"x")
    await client.open_session(incoming_window=0)
    client.attach_receiver("q")
    client.grant(1, incoming_window=UInt(0))
    client.send(Flow(UInt(1), UInt(0), UInt(0), UInt(0), echo=True))
    await client.expect(Flow)
    client.send(Detach(UInt(0), True))
    await client.expect(Detach)
    client.send(Flow(UInt(1), UInt(10), UInt(0), UInt(0), echo=True))
    assert isinstance(await next_performative(client), Flow)
    assert broker.queue("q").counts().locked == 1  # until its lock expires, as when a client dies


async def test_the_broker_opens_its_own_window_again(client: RawClient) -> None:
    await client.open_session()
    for number in range(2501):
        client.send(transfer(number, handle=9))
    renewed = await client.expect(Flow)
    assert (renewed.handle, renewed.incoming_window, renewed.next_incoming_id) == (None, 5000, 2501)


async def test_a_receiver_gets_more_than_one_turn_of_the_loop_can_send(broker: Broker, client: RawClient) -> None:
    broker.queue("q").enqueue([new_message(b"x", None, None) for _ in range(500)])
    await client.open_session()
    client.attach_receiver("q", credit=500)
    assert [(await client.expect(Transfer)).delivery_id for _ in range(500)] == list(range(500))


async def test_a_client_that_asks_for_it_hears_heartbeats(client: RawClient) -> None:
    client.write(GREETING)
    client.send(Open("test", idle_timeout_ms=UInt(100)))
    for _ in range(3):
        await client.read_until(framing.HEARTBEAT)


async def test_large_messages_come_in_frames_that_the_client_can_take(broker: Broker, client: RawClient) -> None:
    broker.queue("q").send(os.urandom(2000))
    await client.open_session(max_frame_size=512)
    client.attach_receiver("q", credit=1)
    sizes, more = [], True
    while more:
        frame = await client.next_frame()
        assert frame is not None
        if isinstance(frame.performative, Transfer):
            sizes.append(len(frame.payload))
            more = bool(frame.performative.more)
    assert sum(sizes) > 2000
    assert max(sizes) <= 512


async def test_receivers_of_one_queue_take_turns(broker: Broker, client: RawClient) -> None:
    await client.open_session()
    client.attach_receiver("q", handle=0, credit=100)
    client.attach_receiver("q", handle=1, credit=100)
    for _ in range(2):
        await client.expect(Attach)
    client.send(Flow(None, UInt(1000), UInt(0), UInt(0), echo=True))
    await client.expect(Flow)
    broker.queue("q").enqueue([new_message(b"x", None, None) for _ in range(10)])
    handles = [int((await client.expect(Transfer)).handle) for _ in range(10)]
    assert handles.count(0) == handles.count(1) == 5


async def test_a_message_in_several_frames_is_put_together(broker: Broker, client: RawClient) -> None:
    payload = section(DATA, codec.encode(b"abcdef" * 100))
    await client.open_session()
    client.attach_sender("q")
    client.send(transfer(more=True), payload[:100])
    client.send(transfer(more=True), payload[100:300])
    client.send(Transfer(UInt(0)), payload[300:])
    assert (await client.expect(Disposition)).state == ACCEPTED
    assert broker.queue("q").receive(1)[0].body == b"abcdef" * 100


async def test_a_message_without_end_takes_no_memory(client: RawClient) -> None:
    await client.open_session()
    client.attach_sender("q")
    tracemalloc.start()
    try:
        for _ in range(80):
            client.send(transfer(more=True), b"x" * 200_000)
            await client.flush()
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 8_000_000  # of 16 million sent
    assert await sent(client, b"the end") == "amqp:link:message-size-exceeded"


async def test_an_aborted_message_leaves_nothing_behind(broker: Broker, client: RawClient) -> None:
    await client.open_session()
    client.attach_sender("q")
    client.send(transfer(more=True), b"rubbish")
    client.send(transfer(aborted=True))
    client.send(transfer(1), section(DATA, codec.encode(b"whole")))
    assert (await client.expect(Disposition)).first == 1
    assert [delivery.body for delivery in broker.queue("q").receive(9)] == [b"whole"]


async def test_senders_get_new_credit(broker: Broker, client: RawClient) -> None:
    payload = section(DATA, codec.encode(b"x"))
    await client.open_session()
    client.attach_sender("q")
    assert (await client.expect(Flow)).link_credit == 1000
    for number in range(500):
        client.send(transfer(number, settled=True), payload)
    renewed = await client.expect(Flow)
    assert (renewed.delivery_count, renewed.link_credit) == (500, 1000)
    assert broker.queue("q").counts().active == 500


# ---- refusals


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


# ---- management requests


async def ask(client: RawClient, operation: Any, body: Any) -> tuple[int, str | None]:
    """(status, error condition) of a management request."""
    client.attach_sender("q/$management", handle=0)
    client.attach_receiver("q/$management", handle=1, credit=1)
    request = section(PROPERTIES, codec.encode(["id-1", None, None, None, "here"]))
    request += section(APPLICATION_PROPERTIES, codec.encode({"operation": operation}))
    client.send(transfer(settled=True), request + section(VALUE, codec.encode(body)))
    while (frame := await client.next_frame()) is not None:
        if isinstance(frame.performative, Transfer):
            sections = {code: codec.decode(value)[0] for code, value in split_sections(frame.payload)}
            assert sections[PROPERTIES][5] == "id-1"
            properties = sections[APPLICATION_PROPERTIES]
            return properties["statusCode"], properties.get("errorCondition")
    raise AssertionError("the connection ended without an answer")


@pytest.mark.parametrize(
    ("operation", "body", "expected"),
    [
        ("com.microsoft:fly", {}, (501, "amqp:not-implemented")),
        (["a list"], {}, (501, "amqp:not-implemented")),
        ("com.microsoft:peek-message", None, (400, "com.microsoft:argument-error")),
        ("com.microsoft:peek-message", {"from-sequence-number": "one"}, (400, "com.microsoft:argument-error")),
        ("com.microsoft:peek-message", {"from-sequence-number": 1, "message-count": 5}, (204, None)),
        ("com.microsoft:renew-lock", {"lock-tokens": ["x"]}, (400, "com.microsoft:argument-error")),
        ("com.microsoft:renew-lock", {}, (400, "com.microsoft:argument-error")),
        ("com.microsoft:schedule-message", {"messages": [1]}, (400, "com.microsoft:argument-error")),
        ("com.microsoft:schedule-message", {"messages": [{"message": b"?"}]}, (400, "amqp:decode-error")),
        ("com.microsoft:cancel-scheduled-message", {"sequence-numbers": [7]}, (404, "com.microsoft:message-not-found")),
        (
            "com.microsoft:update-disposition",
            {"disposition-status": "eaten", "lock-tokens": Array(codec.ARRAY_OF_UUIDS, ())},
            (200, None),
        ),
    ],
)
async def test_management_requests_are_answered_whatever_they_say(
    client: RawClient, operation: Any, body: Any, expected: tuple[int, str | None]
) -> None:
    await client.open_session()
    assert await ask(client, operation, body) == expected
