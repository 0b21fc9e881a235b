"""What a dead letter says, and the copy of it that goes back to where it came from."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    from azure.servicebus import ServiceBusMessage, ServiceBusReceivedMessage

REASON, DESCRIPTION = "DeadLetterReason", "DeadLetterErrorDescription"
_LONGEST_INT = 2**31


class NotCopied(Exception):
    """The client cannot make an identical copy of this message; the text says why, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """One message that nobody could take. What Service Bus or the sender did not say is "".

    `enqueued_at` is what Service Bus shows, None if it shows nothing. `delivery_count` are the deliveries before the
    one by which it is read. `body` are the bytes, or the text of an AMQP value where `is_data` is false; `details` are
    further properties of the message by name (subject, content type, ...), `properties` those of the application.
    """

    sequence_number: int
    message_id: str
    reason: str
    description: str
    enqueued_at: datetime | None
    delivery_count: int
    body: bytes
    is_data: bool
    details: Mapping[str, str]
    properties: Mapping[str, Any]


def read(message: "ServiceBusReceivedMessage") -> DeadLetter:
    """What a peeked or received message says."""
    from azure.servicebus.amqp import AmqpMessageBodyType

    own = {text_of(name): plain(value) for name, value in (message.application_properties or {}).items()}
    is_data = message.body_type == AmqpMessageBodyType.DATA
    enqueued_at = message.enqueued_time_utc
    return DeadLetter(
        sequence_number=message.sequence_number or 0,
        message_id=text_of(message.message_id),
        reason=str(own.pop(REASON, "")),
        description=str(own.pop(DESCRIPTION, "")),
        enqueued_at=None if enqueued_at is None else enqueued_at.astimezone(UTC),
        delivery_count=message.delivery_count or 0,
        body=_data(message) if is_data else str(plain(message.raw_amqp_message.body)).encode(),
        is_data=is_data,
        details={name: text_of(value) for name, value in _details(message).items() if value is not None},
        properties=own,
    )


def copy_of(message: "ServiceBusReceivedMessage") -> "ServiceBusMessage":
    """The message as it was sent, without what the broker added: no reason, no number, a life that begins anew.

    Raises:
        NotCopied: what the client read is not enough to write the same again.
    """
    from azure.servicebus import ServiceBusMessage
    from azure.servicebus.amqp import AmqpMessageBodyType

    is_data = message.body_type == AmqpMessageBodyType.DATA
    if not is_data and message.raw_amqp_message.body is not None:
        raise NotCopied(
            "its body is an AMQP value, of which the client does not keep the types. To do: send it again with the "
            "program that made it, and discard this one"
        )
    copy = ServiceBusMessage(
        _data(message) if is_data else None,
        application_properties=_own_properties(message),
        message_id=_id_of(message.message_id),
        correlation_id=_id_of(message.correlation_id),
        time_to_live=message.time_to_live,
        partition_key=message.partition_key,
    )
    for name in _GIVEN:
        value = getattr(message, name)
        setattr(copy, name, None if value is None else text_of(value))
    known = message.raw_amqp_message.properties
    if known is not None and known.content_encoding is not None and copy.raw_amqp_message.properties is not None:
        copy.raw_amqp_message.properties.content_encoding = text_of(known.content_encoding)
    return copy


def text_of(value: Any) -> str:
    """A property for people: the client gives texts as bytes. "" for None."""
    return value.decode(errors="replace") if isinstance(value, bytes) else "" if value is None else str(value)


def plain(value: Any) -> Any:
    """A value of a message as JSON."""
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, Mapping):
        return {text_of(name): plain(item) for name, item in value.items()}
    return text_of(value)


_GIVEN = ("subject", "content_type", "session_id", "to", "reply_to", "reply_to_session_id")


def _details(message: "ServiceBusReceivedMessage") -> dict[str, Any]:
    names = (*_GIVEN, "correlation_id", "partition_key", "time_to_live", "dead_letter_source")
    return {name: getattr(message, name) for name in names}


def _data(message: "ServiceBusReceivedMessage") -> bytes:
    return b"".join(message.body)


def _id_of(value: Any) -> Any:
    """An id as it was: the client gives a text as bytes, and would send those as binary."""
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def _own_properties(message: "ServiceBusReceivedMessage") -> Any:
    copies: dict[str | bytes, Any] = {}
    for key, value in (message.application_properties or {}).items():
        name = text_of(key)
        if name not in (REASON, DESCRIPTION):
            copies[name] = _own_value(name, value)
    return copies or None


def _own_value(name: str, value: Any) -> Any:
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise NotCopied(
                f"its property {name!r} is binary, which the client reads and cannot write. To do: send it again with "
                "the program that made it, and discard this one"
            ) from None
    if isinstance(value, bool) or not isinstance(value, int):
        if value is None or isinstance(value, bool | float | str | UUID | datetime):
            return value
        raise NotCopied(f"its property {name!r} is a {type(value).__name__}, which the client cannot write again")
    # The client writes every number as an `int` of 32 bits unless it is told otherwise.
    return value if -_LONGEST_INT <= value < _LONGEST_INT else {"TYPE": "LONG", "VALUE": value}
