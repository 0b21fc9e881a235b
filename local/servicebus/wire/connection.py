"""One client's connection: SASL, open, heartbeats, sessions. Whatever is no AMQP ends this connection and no other."""

import asyncio
import logging
from typing import TYPE_CHECKING

from local.servicebus.amqp_types import Array, Symbol, UByte, UInt, UShort
from local.servicebus.codec import ARRAY_OF_SYMBOLS
from local.servicebus.errors import ServiceBusError
from local.servicebus.wire import framing, outcomes
from local.servicebus.wire.framing import MAX_FRAME_SIZE, Frame, FrameReader, ProtocolHeader
from local.servicebus.wire.performatives import (
    Begin,
    Close,
    Disposition,
    End,
    Open,
    Performative,
    SaslInit,
    SaslMechanisms,
    SaslOutcome,
    Transfer,
)
from local.servicebus.wire.session import WINDOW, Session

if TYPE_CHECKING:
    from local.servicebus.wire.server import Server

_log = logging.getLogger(__name__)
_IDLE_TIMEOUT_MS = 240_000
_MIN_FRAME_SIZE = 512
_MECHANISMS = tuple(Symbol(name) for name in ("MSSBCBS", "ANONYMOUS", "PLAIN", "EXTERNAL"))


class Connection(asyncio.Protocol):
    def __init__(self, server: "Server") -> None:
        self.server = server
        self.max_frame_size = _MIN_FRAME_SIZE  # what the client can take
        self.sessions: dict[int, Session] = {}
        self._reader = FrameReader()
        self._out = bytearray()
        self._open = False
        self._heartbeat: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport

    # ---- asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.server.connections.add(self)

    def connection_lost(self, _: Exception | None) -> None:
        self.server.connections.discard(self)
        if self._heartbeat is not None:
            self._heartbeat.cancel()
        for session in self.sessions.values():
            session.close()
        self.sessions.clear()

    def data_received(self, data: bytes) -> None:
        try:
            for piece in self._reader.feed(data):
                if self._transport.is_closing():
                    return
                self._on_header(piece) if isinstance(piece, ProtocolHeader) else self._on_frame(piece)
        except ServiceBusError as refused:
            _log.info("closing a connection: %s %s", refused.condition, refused.description)
            self._end(Close(outcomes.error(refused)))

    def abort(self) -> None:
        """Cut the connection as a network failure would."""
        self._transport.abort()

    def has_output(self) -> bool:
        return bool(self._out) or self._transport.get_write_buffer_size() > 0

    # ---- in

    def _on_header(self, header: ProtocolHeader) -> None:
        known = header.protocol in (framing.AMQP_PROTOCOL, framing.SASL_PROTOCOL)
        self._write(framing.protocol_header(header.protocol if known else framing.SASL_PROTOCOL))
        if not known or header.version != b"\x01\x00\x00" or self._open:
            self._flush()
            self._transport.close()
        elif header.protocol == framing.SASL_PROTOCOL:
            self._send_sasl(SaslMechanisms(Array(ARRAY_OF_SYMBOLS, _MECHANISMS)))

    def _on_frame(self, frame: Frame) -> None:
        performative = frame.performative
        if isinstance(performative, SaslInit):  # who may do what is decided at $cbs, not here
            self._send_sasl(SaslOutcome(UByte(0)))
        elif isinstance(performative, Open):
            self._on_open(performative)
        elif not self._open:
            raise ServiceBusError("amqp:not-allowed", f"{type(performative).__name__} came before open.")
        elif isinstance(performative, Begin):
            self._on_begin(frame.channel, performative)
        elif isinstance(performative, End):
            self._on_end(frame.channel)
        elif isinstance(performative, Close):
            self._end(Close())
        elif frame.channel in self.sessions:
            self._note_traffic(performative)
            self.sessions[frame.channel].on_frame(performative, frame.payload)
        else:
            raise ServiceBusError("amqp:not-allowed", f"There is no session on channel {frame.channel}.")

    def _on_open(self, peer: Open) -> None:
        if self._open:
            raise ServiceBusError("amqp:not-allowed", "The connection is open already.")
        self._open = True
        self.max_frame_size = min(max(peer.max_frame_size or MAX_FRAME_SIZE, _MIN_FRAME_SIZE), MAX_FRAME_SIZE)
        self.send(
            0,
            Open(
                container_id=self.server.name,
                max_frame_size=UInt(MAX_FRAME_SIZE),
                channel_max=UShort(255),
                idle_timeout_ms=UInt(_IDLE_TIMEOUT_MS),
            ),
        )
        if peer.idle_timeout_ms:
            self._beat(peer.idle_timeout_ms / 2000)

    def _beat(self, interval_s: float) -> None:
        """The client hangs up when it hears nothing. Sockets live in real time, whatever clock the queues have."""
        self._write(framing.HEARTBEAT)
        self._heartbeat = asyncio.get_running_loop().call_later(interval_s, self._beat, interval_s)

    def _on_begin(self, channel: int, begin: Begin) -> None:
        if channel in self.sessions:
            raise ServiceBusError("amqp:not-allowed", f"Channel {channel} has a session already.")
        self.sessions[channel] = Session(self, channel, begin)
        window = UInt(WINDOW)
        self.send(channel, Begin(UShort(channel), UInt(1), window, window, handle_max=UInt(255)))

    def _on_end(self, channel: int) -> None:
        session = self.sessions.pop(channel, None)
        if session is not None:
            session.close()
            self.send(channel, End())

    # ---- out

    def send(self, channel: int, performative: Performative, payload: bytes = b"") -> None:
        self._note_traffic(performative)
        self._write(framing.encode_frame(channel, performative, payload))

    def _send_sasl(self, performative: Performative) -> None:
        self._write(framing.encode_frame(0, performative, kind=framing.SASL_FRAME))

    def _note_traffic(self, performative: Performative) -> None:
        if isinstance(performative, Transfer | Disposition):
            self.server.note_traffic()

    def _write(self, data: bytes) -> None:
        """Collect what one turn of the event loop produces into one write."""
        if not self._out:
            asyncio.get_running_loop().call_soon(self._flush)
        self._out += data

    def _flush(self) -> None:
        if self._out and not self._transport.is_closing():
            self._transport.write(bytes(self._out))
        self._out.clear()

    def _end(self, close: Close) -> None:
        self.send(0, close)
        self._flush()
        self._transport.close()
