"""One session of a connection: its links, its flow-control windows, and the deliveries that are not settled yet."""

from collections import deque
from datetime import datetime
from typing import TYPE_CHECKING

from local.servicebus.amqp_types import Described, UInt
from local.servicebus.errors import ServiceBusError
from local.servicebus.wire import outcomes
from local.servicebus.wire.links import IncomingLink, Link, ReplyLink
from local.servicebus.wire.nodes import link_for
from local.servicebus.wire.outcomes import Outcome
from local.servicebus.wire.performatives import Attach, Begin, Detach, Disposition, Flow, Performative, Transfer

if TYPE_CHECKING:
    import uuid

    from local.servicebus.queue import Queue
    from local.servicebus.wire.connection import Connection

WINDOW = 5000  # transfers, each way
_SERIAL = 0xFFFFFFFF
_ROOM_FOR_TRANSFER = 100  # bytes that a transfer performative and its frame header take at most


class Session:
    """`links` are by the client's handle, which we use for our end too."""

    def __init__(self, connection: "Connection", channel: int, begin: Begin) -> None:
        self.connection = connection
        self.links: dict[int, Link] = {}
        self.unsettled: dict[int, tuple[Queue, uuid.UUID]] = {}  # by delivery id
        self._channel = channel
        self._next_incoming_id: int = begin.next_outgoing_id
        self._incoming_window = WINDOW
        self._next_outgoing_id = 1
        self._remote_window: int = begin.incoming_window
        self._next_delivery_id = 0
        self._waiting: deque[tuple[Transfer, bytes]] = deque()  # for the client's window to open

    def client_time(self, when: datetime) -> datetime:
        return self.connection.server.client_time(when)

    def close(self) -> None:
        for link in self.links.values():
            link.closed()
        self.links.clear()
        self._waiting.clear()

    # ---- frames in

    def on_frame(self, performative: Performative, payload: bytes) -> None:
        match performative:
            case Transfer():
                self._on_transfer(performative, payload)
            case Disposition():
                self._on_disposition(performative)
            case Flow():
                self._on_flow(performative)
            case Attach():
                self._on_attach(performative)
            case Detach():
                self._on_detach(performative)
            case _:
                raise ServiceBusError("amqp:not-allowed", f"{type(performative).__name__} has no place in a session.")

    def _on_attach(self, attach: Attach) -> None:
        if attach.handle in self.links:
            raise ServiceBusError("amqp:session:handle-in-use", f"Handle {attach.handle} is attached already.")
        try:
            link = link_for(self, attach)
        except ServiceBusError as refused:
            self._refuse(attach, refused)
            return
        self.links[attach.handle] = link
        link.answer()
        link.opened()

    def _refuse(self, attach: Attach, refused: ServiceBusError) -> None:
        """AMQP refuses a link by attaching it to nothing and detaching it at once."""
        initial = UInt(0) if attach.role else None
        self.send(Attach(attach.name, attach.handle, not attach.role, initial_delivery_count=initial))
        self.send(Detach(attach.handle, closed=True, error=outcomes.error(refused)))

    def _on_detach(self, detach: Detach) -> None:
        link = self.links.pop(detach.handle, None)
        if link is not None:
            link.closed()
            self._waiting = deque(item for item in self._waiting if item[0].handle != detach.handle)
            self.send(Detach(detach.handle, closed=bool(detach.closed)))

    def _on_transfer(self, transfer: Transfer, payload: bytes) -> None:
        self._next_incoming_id = (self._next_incoming_id + 1) & _SERIAL
        self._incoming_window -= 1
        link = self.links.get(transfer.handle)
        if isinstance(link, IncomingLink):
            link.on_transfer(transfer, payload)
        if self._incoming_window < WINDOW // 2:
            self._incoming_window = WINDOW
            self.send_flow()

    def _on_flow(self, flow: Flow) -> None:
        seen = self._next_outgoing_id if flow.next_incoming_id is None else flow.next_incoming_id
        window = (seen + flow.incoming_window - self._next_outgoing_id) & _SERIAL
        self._remote_window = window if window <= _SERIAL // 2 else 0
        self._send_waiting()
        link = self.links.get(flow.handle) if flow.handle is not None else None
        if link is not None:
            link.on_flow(flow)
        elif flow.echo:
            self.send_flow()

    def _on_disposition(self, disposition: Disposition) -> None:
        """The client settles what it received; its word on what it sent itself changes nothing."""
        state = disposition.state
        if not disposition.role or state is None or state.descriptor == Outcome.RECEIVED:
            return
        first = disposition.first
        last = first if disposition.last is None else disposition.last
        if last - first <= len(self.unsettled):
            ids = [number for number in range(first, last + 1) if number in self.unsettled]
        else:  # a range may span four billion ids
            ids = [number for number in self.unsettled if first <= number <= last]
        for delivery_id in ids:
            outcome = self._settle(delivery_id, state)
            if not disposition.settled:
                self.send_disposition(delivery_id, outcome, role=False)

    def _settle(self, delivery_id: int, state: Described) -> Described:
        queue, token = self.unsettled.pop(delivery_id)
        try:
            return outcomes.settle(queue, token, state)
        except ServiceBusError as refused:
            return outcomes.rejected(refused)

    # ---- frames out

    def send(self, performative: Performative, payload: bytes = b"") -> None:
        self.connection.send(self._channel, performative, payload)

    def send_disposition(self, delivery_id: int, outcome: Described, *, role: bool) -> None:
        self.send(Disposition(role, UInt(delivery_id), UInt(delivery_id), settled=True, state=outcome))

    def send_flow(
        self,
        handle: UInt | None = None,
        delivery_count: UInt | None = None,
        link_credit: UInt | None = None,
        drain: bool | None = None,
    ) -> None:
        self.send(
            Flow(
                next_incoming_id=UInt(self._next_incoming_id),
                incoming_window=UInt(self._incoming_window),
                next_outgoing_id=UInt(self._next_outgoing_id),
                outgoing_window=UInt(WINDOW),
                handle=handle,
                delivery_count=delivery_count,
                link_credit=link_credit,
                drain=drain,
            )
        )

    def send_message(self, handle: UInt, tag: bytes, payload: bytes, settled: bool) -> UInt:
        """Send a message, in frames that fit and as the client's window allows; returns its delivery id."""
        delivery_id = UInt(self._next_delivery_id)
        self._next_delivery_id = (self._next_delivery_id + 1) & _SERIAL
        room = self.connection.max_frame_size - _ROOM_FOR_TRANSFER
        for start in range(0, max(len(payload), 1), room):
            more = start + room < len(payload)
            transfer = Transfer(handle, delivery_id, tag, UInt(0), settled=settled, more=more)
            self._waiting.append((transfer, payload[start : start + room]))
        self._send_waiting()
        return delivery_id

    def _send_waiting(self) -> None:
        while self._waiting and self._remote_window > 0:
            self.send(*self._waiting.popleft())
            self._next_outgoing_id = (self._next_outgoing_id + 1) & _SERIAL
            self._remote_window -= 1

    def reply_link(self, node: str, reply_to: str | None) -> ReplyLink | None:
        """The client's receiving link of a request node: the one with the wanted address, else the latest."""
        links = [
            link
            for link in self.links.values()
            if isinstance(link, ReplyLink) and link.node == node and reply_to in (None, link.reply_address)
        ]
        return links[-1] if links else None
