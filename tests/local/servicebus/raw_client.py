"""An AMQP client that says exactly what a test wants, right or wrong."""

import asyncio
from typing import Any, Self

from local.servicebus.amqp_types import Described, Symbol, UByte, UInt, ULong
from local.servicebus.wire import framing
from local.servicebus.wire.framing import Frame, FrameReader, ProtocolHeader
from local.servicebus.wire.performatives import Attach, Begin, Disposition, Flow, Open, Performative, SaslInit, Transfer

GREETING = (
    framing.protocol_header(framing.SASL_PROTOCOL)
    + framing.encode_frame(0, SaslInit(Symbol("ANONYMOUS")), kind=framing.SASL_FRAME)
    + framing.protocol_header(framing.AMQP_PROTOCOL)
)
TIMEOUT_S = 10.0
BATCH = UInt(0x80013700)
ACCEPTED = Described(ULong(0x24), [])


class RawClient:
    """`async with RawClient(port) as client`; `opened()` is one that has a connection and a session on channel 0."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._frames = FrameReader()
        self._received: list[Frame] = []

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    def write(self, data: bytes) -> None:
        self._writer.write(data)

    async def flush(self) -> None:
        await self._writer.drain()

    async def read_until(self, expected: bytes) -> None:
        """Read past the next occurrence of these bytes, whatever comes before them."""
        await asyncio.wait_for(self._reader.readuntil(expected), TIMEOUT_S)

    def send(self, performative: Performative, payload: bytes = b"", channel: int = 0) -> None:
        self.write(framing.encode_frame(channel, performative, payload))

    async def open_session(self, *, max_frame_size: int = 65536, incoming_window: int = 1000) -> None:
        self.write(GREETING)
        self.send(Open("test", max_frame_size=UInt(max_frame_size)))
        self.send(Begin(None, UInt(0), UInt(incoming_window), UInt(1000)))
        await self.expect(Begin)

    def attach_sender(self, address: str, handle: int = 0) -> None:
        self.send(Attach("s", UInt(handle), False, target=terminus(address, 0x29), source=terminus(None, 0x28)))

    def attach_receiver(self, address: str, handle: int = 0, credit: int = 0, settled: bool = False) -> None:
        mode = UByte(1) if settled else UByte(0)
        source, target = terminus(address, 0x28), terminus("here", 0x29)
        self.send(Attach(f"r{handle}", UInt(handle), True, snd_settle_mode=mode, source=source, target=target))
        if credit:
            self.grant(credit, handle)

    def grant(self, credit: int, handle: int = 0, **options: Any) -> None:
        """Credit for a link on which nothing has come yet, or (with `delivery_count`) as much has come as that."""
        options = {"delivery_count": UInt(0), "incoming_window": UInt(1000), "next_incoming_id": UInt(1), **options}
        self.send(
            Flow(
                next_outgoing_id=UInt(0),
                outgoing_window=UInt(1000),
                handle=UInt(handle),
                link_credit=UInt(credit),
                **options,
            )
        )

    async def next_frame(self) -> Frame | None:
        """The next frame; None when the broker has closed the connection."""
        while not self._received:
            data = await asyncio.wait_for(self._reader.read(65536), TIMEOUT_S)
            if not data:
                return None
            self._received += [piece for piece in self._frames.feed(data) if not isinstance(piece, ProtocolHeader)]
        return self._received.pop(0)

    async def expect[P](self, kind: type[P]) -> P:
        """The next frame of this kind; others before it are passed over."""
        while (frame := await self.next_frame()) is not None:
            if isinstance(frame.performative, kind):
                return frame.performative
        raise AssertionError(f"the connection ended without a {kind.__name__}")

    async def frames_until_close(self) -> list[Performative]:
        self._writer.write_eof()
        found = []
        while (frame := await self.next_frame()) is not None:
            found.append(frame.performative)
        return found


def terminus(address: str | None, code: int) -> Described:
    return Described(ULong(code), [address])


def condition(error: Described | None) -> str:
    assert error is not None
    return str(error.value[0])


def transfer(delivery_id: int = 0, handle: int = 0, **fields: Any) -> Transfer:
    return Transfer(UInt(handle), UInt(delivery_id), b"tag", fields.pop("message_format", UInt(0)), **fields)


async def sent(client: RawClient, payload: bytes, **fields: Any) -> str:
    """How the broker answers a message: the condition of its refusal, or `accepted`."""
    client.send(transfer(**fields), payload)
    state = (await client.expect(Disposition)).state
    assert state is not None
    return "accepted" if state == ACCEPTED else condition(state.value[0])
