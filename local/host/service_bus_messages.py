"""Trigger metadata of Service Bus messages, as the worker library expects it."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from azure.servicebus import ServiceBusReceivedMessage

from local.host.protos import Message, TypedData, typed_json, typed_text
from local.host.runtime import TriggerData


def body_of(message: ServiceBusReceivedMessage) -> bytes:
    """The message's bytes.

    Raises:
        ValueError: an AMQP value or sequence body: the host only reads data sections.
    """
    sections: Any = message.body
    if isinstance(sections, (str, bytes)):
        return sections.encode() if isinstance(sections, str) else sections
    parts = list(sections)
    if not all(isinstance(part, bytes) for part in parts):
        raise ValueError("the message's body is not an AMQP data section")
    return b"".join(parts)


def properties_of(message: ServiceBusReceivedMessage) -> dict[str, Any]:
    """The metadata fields by the host's names. DeliveryCount is 1 at the first delivery, as in .NET."""
    application = {_text(key): _value(value) for key, value in (message.application_properties or {}).items()}
    return {
        "ApplicationProperties": application,
        "UserProperties": application,
        "ContentType": message.content_type,
        "CorrelationId": message.correlation_id,
        "DeadLetterErrorDescription": message.dead_letter_error_description,
        "DeadLetterReason": message.dead_letter_reason,
        "DeadLetterSource": message.dead_letter_source,
        "DeliveryCount": (message.delivery_count or 0) + 1,
        "EnqueuedSequenceNumber": message.enqueued_sequence_number,
        "EnqueuedTimeUtc": _value(message.enqueued_time_utc),
        "ExpiresAtUtc": _value(message.expires_at_utc),
        "Label": message.subject,
        "LockToken": _value(message.lock_token),
        "LockedUntil": _value(message.locked_until_utc),
        "MessageId": message.message_id,
        "PartitionKey": message.partition_key,
        "ReplyTo": message.reply_to,
        "ReplyToSessionId": message.reply_to_session_id,
        "ScheduledEnqueueTimeUtc": _value(message.scheduled_enqueue_time_utc),
        "SequenceNumber": message.sequence_number,
        "SessionId": message.session_id,
        "Subject": message.subject,
        "To": message.to,
    }


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _value(value: Any) -> Any:
    """A JSON value; times in the form that the worker parses."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, uuid.UUID):
        return str(value)
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def one(message: ServiceBusReceivedMessage, *, binary: bool) -> TriggerData:
    """Cardinality one: a field that the message lacks is absent."""
    body = body_of(message)
    fields = {name: typed_json(value) for name, value in properties_of(message).items() if value is not None}
    return TriggerData(TypedData(bytes=body) if binary else typed_text(body), fields)


def many(messages: Sequence[ServiceBusReceivedMessage], *, binary: bool) -> TriggerData:
    """Cardinality many: arrays, one item a message."""
    rows = [properties_of(message) for message in messages]
    fields = {f"{name}Array": typed_json([row[name] for row in rows]) for name in rows[0]}
    bodies = [body_of(message) for message in messages]
    if binary or not all(_is_utf8(body) for body in bodies):
        return TriggerData(TypedData(collection_bytes=Message(bytes=bodies)), fields)
    return TriggerData(TypedData(collection_string=Message(string=[body.decode() for body in bodies])), fields)


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def by_hand(text: str, now: datetime) -> TriggerData:
    """A message that was never in a queue: `POST admin/functions/{name}`."""
    fields = {
        "ApplicationProperties": {}, "UserProperties": {}, "DeliveryCount": 1, "MessageId": uuid.uuid4().hex,
        "EnqueuedTimeUtc": _value(now), "SequenceNumber": 0,
    }  # fmt: skip
    return TriggerData(typed_text(text), {name: typed_json(value) for name, value in fields.items()})
