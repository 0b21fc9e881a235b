"""Noise against the broker: it never hangs, never breaks, and goes on serving."""

import asyncio
import random
import struct
from collections import Counter

from local.servicebus import Broker, codec
from local.servicebus.amqp_types import Described, UInt, ULong
from local.servicebus.message import DATA, PROPERTIES, section
from local.servicebus.wire import framing
from local.servicebus.wire.performatives import (
    Attach,
    Begin,
    Close,
    Detach,
    Disposition,
    End,
    Flow,
    Open,
    Performative,
    Transfer,
)
from tests.local.servicebus.conftest import port_of
from tests.local.servicebus.raw_client import BATCH, GREETING, RawClient, sent, terminus, transfer


def conversation() -> list[bytes]:
    """A correct exchange, frame by frame, for the fuzzer to damage."""
    message = section(PROPERTIES, codec.encode(["m"])) + section(DATA, codec.encode(b"x"))
    frames: list[tuple[Performative, bytes]] = [
        (Open("fuzz", max_frame_size=UInt(65536), idle_timeout_ms=UInt(60000)), b""),
        (Begin(None, UInt(0), UInt(100), UInt(100)), b""),
        (Attach("s", UInt(0), False, source=terminus(None, 0x28), target=terminus("q", 0x29)), b""),
        (Attach("r", UInt(1), True, source=terminus("q", 0x28), target=terminus("t", 0x29)), b""),
        (transfer(), message),
        (transfer(1, message_format=BATCH), section(DATA, codec.encode(message))),
        (Flow(UInt(1), UInt(100), UInt(2), UInt(100), UInt(1), UInt(0), UInt(5), drain=True), b""),
        (Disposition(True, UInt(0), UInt(1), state=Described(ULong(0x25), [None])), b""),
        (Detach(UInt(0), True), b""),
        (End(), b""),
        (Close(), b""),
    ]
    return [framing.encode_frame(0, performative, payload) for performative, payload in frames]


def noise(rng: random.Random, kind: int) -> bytes:
    """One malformed stream."""
    if kind == 0:
        return rng.randbytes(rng.randint(1, 300))
    if kind == 1:
        return GREETING + rng.randbytes(200)
    if kind == 2:
        body = b"\x00\x53" + bytes((rng.randint(0x10, 0x18), 0xC0, rng.randint(1, 40))) + rng.randbytes(40)
        return GREETING + struct.pack(">IBBH", len(body) + 8, 2, 0, 0) + body
    frames = [bytearray(frame) for frame in conversation()]
    for _ in range(rng.randint(1, 4)):
        damaged = rng.choice(frames)
        damaged[rng.randrange(4, len(damaged))] = rng.randint(0, 255)
    if rng.random() < 0.3:
        frames.pop(rng.randrange(len(frames)))
    return GREETING + b"".join(frames)


async def test_malformed_streams_never_hang_or_break_the_broker(broker: Broker) -> None:
    rng = random.Random(7)

    async def answers(stream: bytes) -> set[type]:
        async with RawClient(port_of(broker)) as client:
            client.write(stream)
            return {type(performative) for performative in await client.frames_until_close()}

    heard: Counter[type] = Counter()
    for _ in range(40):
        for found in await asyncio.gather(*(answers(noise(rng, number % 5)) for number in range(20))):
            heard.update(found)
    # The noise got past the front door: links were attached, messages answered, and errors told.
    assert min(heard[kind] for kind in (Attach, Disposition, Transfer, Close)) > 20, heard
    async with RawClient(port_of(broker)) as client:
        await client.open_session()
        client.attach_sender("q")
        assert await sent(client, section(DATA, codec.encode(b"still here"))) == "accepted"
