"""The request/response nodes: `$cbs` (authorization) and `{entity}/$management`."""

import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any

from local.servicebus import codec
from local.servicebus.amqp_types import Array, Int, Symbol
from local.servicebus.codec import ARRAY_OF_LONGS, ARRAY_OF_TIMESTAMPS
from local.servicebus.errors import ServiceBusError, invalid_argument, not_implemented
from local.servicebus.message import (
    APPLICATION_PROPERTIES,
    PROPERTIES,
    VALUE,
    Message,
    section,
    split_sections,
    timestamp,
)
from local.servicebus.queue import Queue
from local.servicebus.topic import Topic
from local.servicebus.wire.outcomes import text_keys

CBS_NODE = "$cbs"
MANAGEMENT_SUFFIX = "/$management"
_CORRELATION_ID = 5
_MAX_PEEK = 1000

type ClientTime = Callable[[datetime], datetime]
type Body = dict[Any, Any]
type Operation[E] = Callable[[E, Body, ClientTime], Body | None]


class NoContent(Exception):
    """The answer is 204: nothing matched, which is no error."""


def authorize(request: Message) -> bytes:
    """`put-token`: every token will do, because nothing here is secret."""
    return _response(request, {"status-code": Int(202), "status-description": "Accepted"}, None)


def manage(entity: Queue | Topic, request: Message, client_time: ClientTime) -> bytes:
    """Do what the request asks of the queue or the topic; errors are answers, with their status and condition."""
    status, description, condition, answer = 200, "OK", None, None
    try:
        name = str(request.user_properties().get("operation"))
        if name in _ON_SENDING:
            answer = _ON_SENDING[name](entity, _body(request), client_time)
        elif isinstance(entity, Queue) and name in _OPERATIONS:
            answer = _OPERATIONS[name](entity, _body(request), client_time)
        else:
            raise not_implemented(f"the management operation {name} of {entity.name}")
    except NoContent:
        status, description = 204, "No Content"
    except ServiceBusError as refused:
        status, description, condition = refused.status, refused.description, refused.condition
    properties: Body = {"statusCode": Int(status), "statusDescription": description}
    if condition is not None:
        properties["errorCondition"] = Symbol(condition)
    return _response(request, properties, answer)


def _response(request: Message, properties: Body, answer: Body | None) -> bytes:
    correlated: list[Any] = [None] * (_CORRELATION_ID + 1)
    correlated[_CORRELATION_ID] = request.message_id
    return (
        section(PROPERTIES, codec.encode(correlated))
        + section(APPLICATION_PROPERTIES, codec.encode(properties))
        + section(VALUE, codec.encode(answer))
    )


def _body(request: Message) -> Body:
    value = next((codec.decode(value)[0] for code, value in split_sections(request.body) if code == VALUE), None)
    if not isinstance(value, dict):
        raise invalid_argument("The body of a management request is a map.")
    return value


def _field[T](body: Body, name: str, kind: type[T]) -> T:
    value = body.get(name)
    if not isinstance(value, kind):
        raise invalid_argument(f"'{name}' must be {kind.__name__.lower()}, not {type(value).__name__}.")
    return value


def _items[T](body: Body, name: str, kind: type[T]) -> list[T]:
    """A list or an array, all of one kind."""
    value = body.get(name)
    items = value.values if isinstance(value, Array) else value
    if not isinstance(items, (list, tuple)) or not all(isinstance(item, kind) for item in items):
        raise invalid_argument(f"'{name}' must be a list of {kind.__name__.lower()}s.")
    return list(items)


def _renew_locks(queue: Queue, body: Body, client_time: ClientTime) -> Body:
    ends = [client_time(queue.renew_lock(token)) for token in _items(body, "lock-tokens", uuid.UUID)]
    return {"expirations": Array(ARRAY_OF_TIMESTAMPS, tuple(timestamp(end) for end in ends))}


def _peek(queue: Queue, body: Body, _: ClientTime) -> Body:
    first, count = _field(body, "from-sequence-number", int), _field(body, "message-count", int)
    found = queue.peek(first, min(max(count, 0), _MAX_PEEK))
    if not found:
        raise NoContent
    return {"messages": [{"message": message.encode()} for message in found]}


def _schedule(entity: Queue | Topic, body: Body, _: ClientTime) -> Body:
    messages = [Message(_field(item, "message", bytes)) for item in _items(body, "messages", dict)]
    return {"sequence-numbers": Array(ARRAY_OF_LONGS, tuple(entity.enqueue(messages)))}


def _cancel_scheduled(entity: Queue | Topic, body: Body, _: ClientTime) -> None:
    entity.cancel_scheduled(_items(body, "sequence-numbers", int))


def _receive_deferred(queue: Queue, body: Body, client_time: ClientTime) -> Body:
    numbers = _items(body, "sequence-numbers", int)
    if _field(body, "receiver-settle-mode", int) == 0:
        return {"messages": [{"message": message.encode()} for message in queue.take_deferred(numbers)]}
    locks = queue.lock_deferred(numbers)
    return {
        "messages": [
            {"message": lock.message.encode(client_time(lock.until)), "lock-token": lock.token} for lock in locks
        ]
    }


def _update_disposition(queue: Queue, body: Body, _: ClientTime) -> None:
    status, changes = _field(body, "disposition-status", str), text_keys(body.get("properties-to-modify"))
    for token in _items(body, "lock-tokens", uuid.UUID):
        match status:
            case "completed":
                queue.complete(token)
            case "abandoned":
                queue.abandon(token, changes)
            case "defered":  # Service Bus spells it so
                queue.defer(token, changes)
            case "suspended":
                queue.dead_letter(token, body.get("deadletter-reason"), body.get("deadletter-description"), changes)
            case _:
                raise invalid_argument(f"Unknown disposition '{status}'.")


_ON_SENDING: dict[str, Operation[Queue | Topic]] = {
    "com.microsoft:schedule-message": _schedule,
    "com.microsoft:cancel-scheduled-message": _cancel_scheduled,
}
_OPERATIONS: dict[str, Operation[Queue]] = {
    "com.microsoft:renew-lock": _renew_locks,
    "com.microsoft:peek-message": _peek,
    "com.microsoft:receive-by-sequence-number": _receive_deferred,
    "com.microsoft:update-disposition": _update_disposition,
}
