"""Links: the two directions in which messages travel within a session."""

import uuid
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from local.servicebus.amqp_types import UByte, UInt, ULong
from local.servicebus.errors import ServiceBusError
from local.servicebus.queue import Queue
from local.servicebus.wire import outcomes
from local.servicebus.wire.dispatcher import Dispatcher
from local.servicebus.wire.performatives import Attach, Flow, Transfer

if TYPE_CHECKING:
    from local.servicebus.wire.session import Session

MAX_MESSAGE_BYTES = 1024 * 1024  # below 1 MiB the SDK makes smaller batches
_CREDIT = 1000
_MIXED_SETTLEMENT, _SETTLED = 2, 1
_SERIAL = 0xFFFFFFFF  # sequence numbers of AMQP wrap at 32 bits

type Accept = Callable[[bytes, int], None]


class Link:
    """What both directions share; `peer` is the client's attach."""

    def __init__(self, session: "Session", peer: Attach) -> None:
        self.session = session
        self.peer = peer

    @property
    def handle(self) -> UInt:
        return self.peer.handle

    def answer(self) -> None:
        """Echo the attach from our end. The SDK insists on a source and a target."""
        peer = self.peer
        self.session.send(
            Attach(
                name=peer.name,
                handle=peer.handle,
                role=not peer.role,
                snd_settle_mode=UByte(_MIXED_SETTLEMENT) if peer.snd_settle_mode is None else peer.snd_settle_mode,
                rcv_settle_mode=UByte(0) if peer.rcv_settle_mode is None else peer.rcv_settle_mode,
                source=peer.source,
                target=peer.target,
                initial_delivery_count=UInt(0) if peer.role else None,
                max_message_size=ULong(MAX_MESSAGE_BYTES),
                properties=peer.properties,
            )
        )

    def opened(self) -> None:
        """The attach was answered."""

    def closed(self) -> None:
        """The link is gone, whoever ended it."""

    def on_flow(self, flow: Flow) -> None:
        """The client says what it may send or would take."""


class IncomingLink(Link):
    """Messages from the client. `accept` gets each (payload, message format) and refuses by `ServiceBusError`."""

    def __init__(self, session: "Session", peer: Attach, accept: Accept) -> None:
        super().__init__(session, peer)
        self._accept = accept
        self._first: Transfer | None = None  # of a message whose frames are still coming
        self._partial = bytearray()
        self._received = 0

    def opened(self) -> None:
        self._grant_credit()

    def on_transfer(self, transfer: Transfer, payload: bytes) -> None:
        first = self._first or transfer
        if len(self._partial) <= MAX_MESSAGE_BYTES:  # of a larger one, only the fact matters
            self._partial += payload
        if transfer.aborted:
            self._first, self._partial = None, bytearray()
        elif transfer.more:
            self._first = first
        else:
            whole, self._first, self._partial = bytes(self._partial), None, bytearray()
            self._on_message(first, whole)

    def _on_message(self, first: Transfer, payload: bytes) -> None:
        outcome = outcomes.accepted()
        try:
            if len(payload) > MAX_MESSAGE_BYTES:
                problem = f"A message may have at most {MAX_MESSAGE_BYTES} bytes."
                raise ServiceBusError("amqp:link:message-size-exceeded", problem)
            self._accept(payload, first.message_format or 0)
        except ServiceBusError as refused:
            outcome = outcomes.rejected(refused)
        if not first.settled and first.delivery_id is not None:
            self.session.send_disposition(first.delivery_id, outcome, role=True)
        self._received = (self._received + 1) & _SERIAL
        if self._received % (_CREDIT // 2) == 0:
            self._grant_credit()

    def _grant_credit(self) -> None:
        self.session.send_flow(
            handle=self.handle, delivery_count=UInt(self._received), link_credit=UInt(_CREDIT), drain=False
        )


class OutgoingLink(Link):
    """Messages to the client, as many as it gave credit for."""

    def __init__(self, session: "Session", peer: Attach) -> None:
        super().__init__(session, peer)
        self.credit = 0
        self._delivery_count = 0

    def _credit_came(self) -> None:
        """Send what there is, now or soon."""
        raise NotImplementedError

    def _send_all(self) -> None:
        """Send now what there is and what the credit allows."""
        raise NotImplementedError

    def _transfer(self, tag: bytes, payload: bytes, settled: bool) -> UInt:
        self.credit -= 1
        self._delivery_count = (self._delivery_count + 1) & _SERIAL
        return self.session.send_message(self.handle, tag, payload, settled)

    def on_flow(self, flow: Flow) -> None:
        if flow.link_credit is not None:
            credit = ((flow.delivery_count or 0) + flow.link_credit - self._delivery_count) & _SERIAL
            self.credit = credit if credit <= _SERIAL // 2 else 0  # negative: the client took credit back
        if not flow.drain:
            self._credit_came()
        else:
            self._send_all()
            self._delivery_count = (self._delivery_count + self.credit) & _SERIAL
            self.credit = 0
            self.session.send_flow(
                handle=self.handle, delivery_count=UInt(self._delivery_count), link_credit=UInt(0), drain=True
            )


class ReplyLink(OutgoingLink):
    """The answers of a request node; `reply_address` is where the client's requests ask to be answered."""

    def __init__(self, session: "Session", peer: Attach, node: str, reply_address: str | None) -> None:
        super().__init__(session, peer)
        self.node = node
        self.reply_address = reply_address
        self._replies: deque[bytes] = deque()

    def reply(self, payload: bytes) -> None:
        self._replies.append(payload)
        self._send_all()

    def _send_all(self) -> None:
        while self.credit > 0 and self._replies:
            self._transfer(b"\0" * 4, self._replies.popleft(), settled=True)

    _credit_came = _send_all


class QueueReceiver(OutgoingLink):
    """A client that receives from a queue, by peek-lock or receive-and-delete."""

    def __init__(self, session: "Session", peer: Attach, queue: Queue, dispatcher: Dispatcher) -> None:
        super().__init__(session, peer)
        self._queue = queue
        self._dispatcher = dispatcher
        self._deletes = peer.snd_settle_mode == _SETTLED

    def opened(self) -> None:
        self._dispatcher.add(self)

    def closed(self) -> None:
        self._dispatcher.remove(self)

    def wants_message(self) -> bool:
        return self.credit > 0

    def _credit_came(self) -> None:
        self._dispatcher.wake()

    def _send_all(self) -> None:
        while self.credit > 0 and self.deliver_next():
            pass

    def deliver_next(self) -> bool:
        return self._deliver_and_delete() if self._deletes else self._deliver_locked()

    def _deliver_and_delete(self) -> bool:
        message = self._queue.take_next()
        if message is not None:
            self._transfer(uuid.uuid4().bytes_le, message.encode(), settled=True)
        return message is not None

    def _deliver_locked(self) -> bool:
        lock = self._queue.lock_next()
        if lock is None:
            return False
        payload = lock.message.encode(self.session.client_time(lock.until))
        delivery_id = self._transfer(lock.token.bytes_le, payload, settled=False)
        self.session.unsettled[delivery_id] = (self._queue, lock.token)
        return True
