"""The AMQP engine against clients that say exactly what a test wants: credit, windows, frames, turns."""

import os
import tracemalloc

from local.servicebus import Broker, codec
from local.servicebus.amqp_types import UInt
from local.servicebus.message import DATA, new_message, section
from local.servicebus.wire import framing
from local.servicebus.wire.performatives import Attach, Detach, Disposition, Flow, Open, Performative, Transfer
from tests.local.servicebus.raw_client import ACCEPTED, GREETING, RawClient, sent, transfer


async def next_performative(client: RawClient) -> Performative | None:
    frame = await client.next_frame()
    return None if frame is None else frame.performative


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
