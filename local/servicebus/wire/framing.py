"""Cuts a byte stream into protocol headers and frames, and puts frames into bytes."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from local.servicebus import codec
from local.servicebus.errors import ServiceBusError
from local.servicebus.wire import performatives
from local.servicebus.wire.performatives import Performative

MAX_FRAME_SIZE = 256 * 1024
AMQP_FRAME, SASL_FRAME = 0, 1
AMQP_PROTOCOL, SASL_PROTOCOL = 0, 3
HEARTBEAT = struct.pack(">IBBH", 8, 2, AMQP_FRAME, 0)
_FRAME_HEADER = struct.Struct(">IBBH")


class ProtocolHeader(NamedTuple):
    protocol: int
    version: bytes


class Frame(NamedTuple):
    kind: int
    channel: int
    performative: Performative
    payload: bytes


def protocol_header(protocol: int) -> bytes:
    return b"AMQP" + bytes((protocol, 1, 0, 0))


def encode_frame(channel: int, performative: Performative, payload: bytes = b"", kind: int = AMQP_FRAME) -> bytes:
    body = performatives.encode(performative)
    return _FRAME_HEADER.pack(8 + len(body) + len(payload), 2, kind, channel) + body + payload


class FrameReader:
    """Keeps what is not complete yet. Holds at most one frame's bytes more than it has given out."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[ProtocolHeader | Frame]:
        """What the bytes complete; heartbeats are left out. Raises `ServiceBusError` for what is no AMQP."""
        self._buffer += data
        while (piece := self._cut()) is not None:
            if piece[:4] == b"AMQP":
                yield ProtocolHeader(piece[4], piece[5:])
            elif (frame := _parse(piece)) is not None:
                yield frame

    def _cut(self) -> bytes | None:
        """The next complete header or frame."""
        if len(self._buffer) < 8:
            return None
        size, data_offset, _, _ = _FRAME_HEADER.unpack_from(self._buffer)
        if self._buffer[:4] == b"AMQP":
            size = 8
        elif not 8 <= 4 * data_offset <= size <= MAX_FRAME_SIZE:
            raise ServiceBusError(
                "amqp:connection:framing-error", f"A frame of {size} bytes with its data at {4 * data_offset}."
            )
        if len(self._buffer) < size:
            return None
        piece = bytes(self._buffer[:size])
        del self._buffer[:size]
        return piece


def _parse(piece: bytes) -> Frame | None:
    _, data_offset, kind, channel = _FRAME_HEADER.unpack_from(piece)
    body = piece[4 * data_offset :]
    if not body:
        return None
    try:
        performative, payload = performatives.decode(body)
    except codec.DecodeError as problem:
        raise ServiceBusError("amqp:decode-error", f"Malformed frame: {problem}.") from None
    return Frame(kind, channel, performative, payload)
