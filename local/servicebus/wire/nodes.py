"""Which link a client gets for the address that it attaches to. New kinds of entity are added here."""

import re
from typing import TYPE_CHECKING

from local.servicebus import codec
from local.servicebus.amqp_types import Described
from local.servicebus.errors import ServiceBusError, not_implemented
from local.servicebus.message import DATA, Message, split_sections
from local.servicebus.queue import Queue
from local.servicebus.topic import Topic
from local.servicebus.wire.links import IncomingLink, Link, QueueReceiver, ReplyLink
from local.servicebus.wire.performatives import Attach
from local.servicebus.wire.requests import CBS_NODE, MANAGEMENT_SUFFIX, authorize, manage

if TYPE_CHECKING:
    from local.servicebus.wire.session import Session

_COORDINATOR = 0x30
_BATCH_FORMAT = 0x80013700  # a message of messages, one in each data section
_SESSION_FILTER = "com.microsoft:session-filter"
_REPLY_TO = 4  # position in a message's properties
_SOURCE_FILTERS = 7  # position in the source


def link_for(session: "Session", attach: Attach) -> Link:
    """The link, not yet announced. Raises `ServiceBusError` when there is no such node or no such feature."""
    terminus = attach.source if attach.role else attach.target
    if terminus is not None and terminus.descriptor == _COORDINATOR:
        raise not_implemented("transactions")
    node = _node(terminus)
    if node == CBS_NODE or node.endswith(MANAGEMENT_SUFFIX):
        return _request_link(session, attach, node)
    server = session.connection.server
    if attach.role:
        queue = server.queue(node)
        _refuse_sessions(attach.source, node)
        return QueueReceiver(session, attach, queue, server.dispatcher(queue))
    inlet = server.inlet(node)
    return IncomingLink(session, attach, lambda payload, message_format: _store(inlet, payload, message_format))


def _request_link(session: "Session", attach: Attach, node: str) -> Link:
    server = session.connection.server
    entity = None if node == CBS_NODE else server.managed(node.removesuffix(MANAGEMENT_SUFFIX))
    if attach.role:
        return ReplyLink(session, attach, node, reply_address=_address(attach.target))

    def answer(payload: bytes, _: int) -> None:
        request = Message(payload)
        response = authorize(request) if entity is None else manage(entity, request, server.client_time)
        link = session.reply_link(node, _reply_to(request))
        if link is not None:  # a client that left does not wait for an answer
            link.reply(response)

    return IncomingLink(session, attach, answer)


def _reply_to(request: Message) -> str | None:
    properties = request.known_properties()
    return properties[_REPLY_TO] if len(properties) > _REPLY_TO else None


def _store(inlet: Queue | Topic, payload: bytes, message_format: int) -> None:
    if message_format != _BATCH_FORMAT:
        inlet.enqueue([Message(payload)])
        return
    try:
        parts = [codec.decode(value)[0] for code, value in split_sections(payload) if code == DATA]
    except codec.DecodeError as problem:
        raise ServiceBusError("amqp:decode-error", f"The batch is malformed: {problem}.") from None
    inlet.enqueue([Message(part) for part in parts])


def _address(terminus: Described | None) -> str | None:
    fields = terminus.value if terminus is not None else None
    return fields[0] if isinstance(fields, list) and fields and isinstance(fields[0], str) else None


def _node(terminus: Described | None) -> str:
    """`amqps://host:port/queue` and `queue` both name the node `queue`."""
    return re.sub(r"^\w+://[^/]*/", "", _address(terminus) or "").strip("/")


def _refuse_sessions(source: Described | None, node: str) -> None:
    fields = source.value if source is not None else []
    filters = fields[_SOURCE_FILTERS] if len(fields) > _SOURCE_FILTERS else None
    if isinstance(filters, dict) and _SESSION_FILTER in filters:
        raise ServiceBusError("amqp:not-allowed", f"'{node}' does not use sessions.")
