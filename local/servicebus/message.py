"""A message as a queue holds it, and its AMQP form as senders write it and receivers read it.

The broker looks into a message only where Service Bus does; every other section stays the bytes that were sent.
"""

import enum
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from local.servicebus import codec
from local.servicebus.amqp_types import Int, Symbol, Timestamp, UInt, ULong
from local.servicebus.errors import ServiceBusError, invalid_argument

if TYPE_CHECKING:
    from local.servicebus.deadlines import Deadline

HEADER, DELIVERY_ANNOTATIONS, ANNOTATIONS, PROPERTIES, APPLICATION_PROPERTIES = range(0x70, 0x75)
DATA, SEQUENCE, VALUE, FOOTER = range(0x75, 0x79)
_HEADER_TTL, _HEADER_DELIVERY_COUNT = 2, 4
_BINARY_CODES = (0xA0, 0xB0)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

type MessageId = str | bytes | uuid.UUID | ULong | None


class MessageState(enum.Enum):
    """Where in its queue a message is: always in exactly one of these."""

    ACTIVE = 0
    DEFERRED = 1
    SCHEDULED = 2
    LOCKED = 3


class Message:
    """One message: what was sent, and what its queue knows about it.

    `resume_state` is where a locked message goes back to: a deferred one stays deferred when it is abandoned.
    """

    __slots__ = (
        "_tail",
        "annotations",
        "application_properties",
        "body",
        "deadline",
        "delivery_count",
        "enqueued_at",
        "expires_at",
        "header",
        "lock_token",
        "locked_until",
        "message_id",
        "properties",
        "resume_state",
        "scheduled_for",
        "sequence_number",
        "size_bytes",
        "state",
        "time_to_live",
    )

    def __init__(self, payload: bytes) -> None:
        """Read an encoded AMQP message. Raises `ServiceBusError` when it is none."""
        self.header: list[Any] = []
        self.annotations: dict[Any, Any] = {}
        self.properties = self.application_properties = b""
        self.body = b""
        self.size_bytes = len(payload)
        try:
            self._read_sections(payload)
            known = self.known_properties()
            self.user_properties()  # nonsense is the sender's error, not a surprise for whoever dead-letters it
        except codec.DecodeError as problem:
            raise ServiceBusError("amqp:decode-error", f"The message is malformed: {problem}.") from None
        self.message_id = _message_id(known[0] if known else None)
        self.time_to_live = self._time_to_live()
        self.scheduled_for = self._scheduled_for()
        self.sequence_number = 0
        self.enqueued_at = _EPOCH
        self.expires_at: datetime | None = None
        self.delivery_count = 0
        self.state = self.resume_state = MessageState.ACTIVE
        self.lock_token: uuid.UUID | None = None
        self.locked_until = _EPOCH
        self.deadline: Deadline[Message] | None = None
        self._tail = b""

    def _read_sections(self, payload: bytes) -> None:
        body = bytearray()
        for code, value in split_sections(payload):
            if code == HEADER:
                self.header = _decoded(value, list, "header")
            elif code == ANNOTATIONS:
                self.annotations = _decoded(value, dict, "message annotations")
            elif code == PROPERTIES:
                self.properties = value
            elif code == APPLICATION_PROPERTIES:
                self.application_properties = value
            elif code == DATA and value[0] not in _BINARY_CODES:
                raise codec.DecodeError("a data section is not binary")
            elif code != DELIVERY_ANNOTATIONS:  # those are for this hop only
                body += section(code, value)
        self.body = bytes(body)

    def _time_to_live(self) -> timedelta | None:
        ttl_ms = self.header[_HEADER_TTL] if len(self.header) > _HEADER_TTL else None
        if ttl_ms is None:
            return None
        if not isinstance(ttl_ms, UInt):
            raise invalid_argument("The time to live in the message header is not a uint.")
        return timedelta(milliseconds=ttl_ms)

    def _scheduled_for(self) -> datetime | None:
        due = self.annotations.get("x-opt-scheduled-enqueue-time")
        if due is None:
            return None
        if not isinstance(due, int):
            raise invalid_argument(f"x-opt-scheduled-enqueue-time is no timestamp: {due!r}.")
        try:
            return _EPOCH + due * _MILLISECOND
        except OverflowError:
            raise invalid_argument(f"x-opt-scheduled-enqueue-time is after the year 9999: {due} ms.") from None

    def known_properties(self) -> list[Any]:
        """The AMQP properties section, by position: message-id, user-id, to, subject, reply-to, correlation-id."""
        return _decoded(self.properties, list, "properties") if self.properties else []

    def user_properties(self) -> dict[str, Any]:
        """The application properties. Raises `codec.DecodeError` when the sender encoded nonsense."""
        encoded = self.application_properties
        return _decoded(encoded, dict, "application properties") if encoded else {}

    def add_user_properties(self, extra: Mapping[str, Any]) -> None:
        if not extra:
            return
        self.application_properties = codec.encode({**self.user_properties(), **extra})
        self._tail = b""

    def data(self) -> bytes:
        """The body's bytes; a body of another kind than data (an AMQP value) comes as its encoded sections."""
        sections = list(split_sections(self.body))
        if any(code not in (DATA, FOOTER) for code, _ in sections):
            return self.body
        return b"".join(codec.decode(value)[0] for code, value in sections if code == DATA)

    def encode(self, locked_until: datetime | None = None) -> bytes:
        """The message as a receiver sees it: annotated by the broker, with its delivery count in the header."""
        header = (self.header + [None] * 5)[:5]
        header[_HEADER_DELIVERY_COUNT] = UInt(self.delivery_count)
        state = self.state
        if state is MessageState.LOCKED:
            state = self.resume_state
        annotations = {
            **self.annotations,
            Symbol("x-opt-sequence-number"): self.sequence_number,
            Symbol("x-opt-enqueued-time"): timestamp(self.enqueued_at),
            Symbol("x-opt-message-state"): Int(state.value),
        }
        if locked_until is not None:
            annotations[Symbol("x-opt-locked-until")] = timestamp(locked_until)
        if not self._tail:
            self._tail = self._encode_tail()
        return section(HEADER, codec.encode(header)) + section(ANNOTATIONS, codec.encode(annotations)) + self._tail

    def _encode_tail(self) -> bytes:
        properties = section(PROPERTIES, self.properties) if self.properties else b""
        application = self.application_properties
        return properties + (section(APPLICATION_PROPERTIES, application) if application else b"") + self.body


def new_message(body: bytes, message_id: str | None, properties: Mapping[str, Any] | None) -> Message:
    """A message as a client would have sent it. Raises `TypeError` for a property that AMQP has no type for."""
    payload = section(PROPERTIES, codec.encode([message_id])) if message_id is not None else b""
    if properties:
        payload += section(APPLICATION_PROPERTIES, codec.encode(dict(properties)))
    return Message(payload + section(DATA, codec.encode(body)))


def section(code: int, encoded_value: bytes) -> bytes:
    return bytes((0x00, 0x53, code)) + encoded_value


def split_sections(payload: bytes) -> Iterator[tuple[int, bytes]]:
    """(section code, still encoded value) of each section of an AMQP message. Raises `codec.DecodeError`."""
    position = 0
    while position < len(payload):
        if payload[position] != codec.DESCRIBED:
            raise codec.DecodeError(f"no section starts at byte {position}")
        code, start = codec.decode(payload, position + 1)
        if not isinstance(code, int) or not HEADER <= code <= FOOTER:
            raise codec.DecodeError(f"unknown section {code!r}")
        position = codec.skip(payload, start)
        yield int(code), payload[start:position]


def timestamp(when: datetime) -> Timestamp:
    return Timestamp((when - _EPOCH) // _MILLISECOND)


def _message_id(value: Any) -> MessageId:
    if value is None or isinstance(value, (str, bytes, uuid.UUID, ULong)):
        return value
    raise invalid_argument(f"A message id is a string, a ulong, a uuid or binary, not {type(value).__name__}.")


def _decoded[T](encoded: bytes, kind: type[T], what: str) -> T:
    value, _ = codec.decode(encoded)
    if not isinstance(value, kind):
        raise codec.DecodeError(f"the {what} section is no {kind.__name__}")
    return value
