"""A Service Bus queue, with no wire in sight: what may happen to a message, and when.

The wire (`wire/`) and the local Azure's own parts call the same methods, from any thread. All time is the clock's.
"""

import itertools
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from local.clock import Clock
from local.servicebus.config import QueueSettings
from local.servicebus.deadlines import Deadlines
from local.servicebus.errors import ServiceBusError, lock_lost, message_not_found
from local.servicebus.message import Message, MessageId, MessageState, new_message
from local.servicebus.store import MessageStore
from local.servicebus.transaction import Action, Transaction

DEAD_LETTER_SUFFIX = "$DeadLetterQueue"

type Count = Callable[[str, str, int, datetime], None]


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """Messages by state. `active` are those that a receiver could have now: neither locked, deferred nor scheduled.

    Azure Resource Manager's activeMessageCount is `active + locked + deferred`.
    """

    active: int
    locked: int
    dead_letter: int
    scheduled: int
    deferred: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message under lock, for callers in this process. `delivery_count` is 0 the first time, as in the Python SDK."""

    body: bytes
    lock_token: uuid.UUID
    delivery_count: int
    message_id: str | None
    enqueued_at: datetime
    properties: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Lock:
    """A message that was handed out until `until`, unless it is settled or renewed."""

    message: Message
    token: uuid.UUID
    until: datetime


class Queue:
    """One queue, or the dead-letter queue in it. Errors are `ServiceBusError`s with the conditions of Service Bus."""

    def __init__(
        self, name: str, settings: QueueSettings, clock: Clock, count: Count, parent: "Queue | None" = None
    ) -> None:
        self.name = name
        self.settings = settings
        self.ready_listeners: list[Action] = []  # called, from any thread, when there is something to receive
        self._clock = clock
        self._report = count
        self._transaction: Transaction = parent._transaction if parent else Transaction()
        self._deadlines: Deadlines[Message] = Deadlines(clock, self._on_alarm)
        self._store = MessageStore(self._deadlines)
        self._forget_id_at: OrderedDict[MessageId, datetime] = OrderedDict()
        self.dead_letter_queue: Queue | None = None
        if parent is None:
            of_dead = replace(settings, time_to_live=None, dead_letter_on_expiry=False, duplicate_window=None)
            self.dead_letter_queue = Queue(f"{name}/{DEAD_LETTER_SUFFIX}", of_dead, clock, count, parent=self)

    # ---- what one can see

    def counts(self) -> QueueCounts:
        with self._transaction:
            self._catch_up()
            count = self._store.count
            return QueueCounts(
                active=count(MessageState.ACTIVE),
                locked=count(MessageState.LOCKED),
                dead_letter=len(self.dead_letter_queue._store) if self.dead_letter_queue else 0,
                scheduled=count(MessageState.SCHEDULED),
                deferred=count(MessageState.DEFERRED),
            )

    @property
    def size_bytes(self) -> int:
        """Encoded size of all messages, those in the dead-letter queue included."""
        dead = self.dead_letter_queue.size_bytes if self.dead_letter_queue else 0
        return self._store.size_bytes + dead

    def peek(self, from_sequence_number: int, max_count: int) -> list[Message]:
        """Up to `max_count` messages in any state, without locking them."""
        with self._transaction:
            self._catch_up()
            return list(itertools.islice(self._store.from_number(from_sequence_number), max_count))

    # ---- in

    def send(self, body: bytes, *, message_id: str | None = None, properties: Mapping[str, Any] | None = None) -> None:
        self.enqueue([new_message(body, message_id, properties)])

    def enqueue(self, messages: Iterable[Message]) -> list[int]:
        """Store messages and return their sequence numbers; 0 for a detected duplicate, which is dropped."""
        with self._transaction:
            numbers = [self._accept(message) for message in messages]
            self._count("IncomingMessages", sum(number > 0 for number in numbers))
            return numbers

    def cancel_scheduled(self, sequence_numbers: Iterable[int]) -> None:
        """Remove scheduled messages, all or none."""
        with self._transaction:
            self._catch_up()
            for message in self._find_all(sequence_numbers, MessageState.SCHEDULED):
                self._store.remove(message)

    # ---- out

    def receive(self, max_count: int) -> list[Delivery]:
        """Lock up to `max_count` messages, in order; an empty list when there are none."""
        deliveries: list[Delivery] = []
        while len(deliveries) < max_count and (lock := self.lock_next()) is not None:
            message = lock.message
            deliveries.append(
                Delivery(
                    body=message.data(),
                    lock_token=lock.token,
                    delivery_count=message.delivery_count,
                    message_id=None if message.message_id is None else str(message.message_id),
                    enqueued_at=message.enqueued_at,
                    properties=message.user_properties(),
                )
            )
        return deliveries

    def lock_next(self) -> Lock | None:
        with self._transaction:
            self._catch_up()
            message = self._store.first_active()
            return None if message is None else self._lock(message)

    def take_next(self) -> Message | None:
        """Receive and delete."""
        with self._transaction:
            self._catch_up()
            message = self._store.first_active()
            return None if message is None else self._take(message)

    def lock_deferred(self, sequence_numbers: Iterable[int]) -> list[Lock]:
        with self._transaction:
            self._catch_up()
            return [self._lock(message) for message in self._find_all(sequence_numbers, MessageState.DEFERRED)]

    def take_deferred(self, sequence_numbers: Iterable[int]) -> list[Message]:
        with self._transaction:
            self._catch_up()
            return [self._take(message) for message in self._find_all(sequence_numbers, MessageState.DEFERRED)]

    # ---- settlement: each raises `com.microsoft:message-lock-lost` when the lock is no longer held

    def complete(self, lock_token: uuid.UUID) -> None:
        with self._transaction:
            self._store.remove(self._locked(lock_token))
            self._count("CompleteMessage", 1)

    def abandon(self, lock_token: uuid.UUID, changes: Mapping[str, Any] | None = None) -> None:
        """Give the message back; `changes` are merged into its application properties."""
        with self._transaction:
            message = self._locked(lock_token)
            message.add_user_properties(changes or {})
            self._delivery_failed(message)
            self._count("AbandonMessage", 1)

    def release(self, lock_token: uuid.UUID) -> None:
        """Give the message back as if it had never been delivered (a receiver closes, with messages prefetched)."""
        with self._transaction:
            self._resume(self._locked(lock_token))

    def defer(self, lock_token: uuid.UUID, changes: Mapping[str, Any] | None = None) -> None:
        """Set the message aside: only `lock_deferred` or `take_deferred` get it, and it no longer expires."""
        with self._transaction:
            message = self._locked(lock_token)
            message.add_user_properties(changes or {})
            message.delivery_count += 1
            self._store.move(message, MessageState.DEFERRED)

    def dead_letter(
        self,
        lock_token: uuid.UUID,
        reason: str | None = None,
        description: str | None = None,
        changes: Mapping[str, Any] | None = None,
    ) -> None:
        with self._transaction:
            message = self._locked(lock_token)
            if self.dead_letter_queue is None:
                raise ServiceBusError("amqp:not-allowed", f"A message in {self.name} is a dead letter already.")
            message.add_user_properties(changes or {})
            self._to_dead_letters(message, reason, description)

    def renew_lock(self, lock_token: uuid.UUID) -> datetime:
        """Lock for another lock duration from now; returns the new end."""
        with self._transaction:
            message = self._locked(lock_token)
            self._store.renew(message, self._clock.now() + self.settings.lock_duration)
            return message.locked_until

    # ---- what happens inside (always within the transaction)

    def _accept(self, message: Message) -> int:
        now = self._clock.now()
        if self._is_duplicate(message, now):
            return 0
        if message.scheduled_for is not None and message.scheduled_for > now:
            return self._store.add(message, MessageState.SCHEDULED, message.scheduled_for)
        message.enqueued_at = now
        message.expires_at = self._expiry(message)
        self._announce_ready()
        return self._store.add(message, MessageState.ACTIVE, message.expires_at)

    def _is_duplicate(self, message: Message, now: datetime) -> bool:
        window = self.settings.duplicate_window
        if window is None or message.message_id is None:
            return False
        while self._forget_id_at and next(iter(self._forget_id_at.values())) <= now:
            self._forget_id_at.popitem(last=False)
        if message.message_id in self._forget_id_at:
            return True
        self._forget_id_at[message.message_id] = now + window
        return False

    def _expiry(self, message: Message) -> datetime | None:
        """The queue's time to live is the default for messages without one, and the ceiling for the others."""
        limits = [ttl for ttl in (message.time_to_live, self.settings.time_to_live) if ttl is not None]
        return message.enqueued_at + min(limits) if limits else None

    def _lock(self, message: Message) -> Lock:
        token, until = uuid.uuid4(), self._clock.now() + self.settings.lock_duration
        self._store.lock(message, token, until)
        self._count("OutgoingMessages", 1)
        return Lock(message, token, until)

    def _take(self, message: Message) -> Message:
        self._store.remove(message)
        self._count("OutgoingMessages", 1)
        return message

    def _locked(self, lock_token: uuid.UUID) -> Message:
        self._catch_up()
        message = self._store.locked(lock_token)
        if message is None:
            raise lock_lost()
        return message

    def _find_all(self, sequence_numbers: Iterable[int], state: MessageState) -> list[Message]:
        found = []
        for number in dict.fromkeys(sequence_numbers):
            message = self._store.find(number, state)
            if message is None:
                raise message_not_found(state.name.lower(), number)
            found.append(message)
        return found

    def _delivery_failed(self, message: Message) -> None:
        message.delivery_count += 1
        if self.dead_letter_queue is not None and message.delivery_count >= self.settings.max_delivery_count:
            self._to_dead_letters(
                message,
                "MaxDeliveryCountExceeded",
                f"Message could not be consumed after {message.delivery_count} delivery attempts.",
            )
        else:
            self._resume(message)

    def _resume(self, message: Message) -> None:
        """Back to where the message was before it was locked; what expired under lock is due at once."""
        if message.resume_state is MessageState.DEFERRED:
            self._store.move(message, MessageState.DEFERRED)
        else:
            self._store.move(message, MessageState.ACTIVE, message.expires_at)
            self._announce_ready()

    def _expire(self, message: Message) -> None:
        if self.settings.dead_letter_on_expiry:
            self._to_dead_letters(message, "TTLExpiredException", "The message expired and was dead lettered.")
        else:
            self._store.remove(message)

    def _to_dead_letters(self, message: Message, reason: str | None, description: str | None) -> None:
        assert self.dead_letter_queue is not None
        notes = {"DeadLetterReason": reason, "DeadLetterErrorDescription": description}
        message.add_user_properties({name: text for name, text in notes.items() if text is not None})
        self._store.remove(message)
        self.dead_letter_queue._take_in(message)
        self._count("DeadletteredMessages", 1)

    def _take_in(self, message: Message) -> None:
        """Dead letters do not expire, and are not incoming messages."""
        message.expires_at = None
        if not self.settings.dead_letters_keep_time:
            message.enqueued_at = self._clock.now()
        self._store.add(message, MessageState.ACTIVE)
        self._announce_ready()

    # ---- time

    def _on_alarm(self) -> None:
        with self._transaction:
            self._catch_up()

    def _catch_up(self) -> None:
        """Let everything happen that is due: the clock's alarm may come a little late."""
        while (message := self._deadlines.pop_due()) is not None:
            if message.state is MessageState.SCHEDULED:
                message.enqueued_at = self._clock.now()
                message.expires_at = self._expiry(message)
                self._store.move(message, MessageState.ACTIVE, message.expires_at)
                self._announce_ready()
            elif message.state is MessageState.LOCKED:
                self._delivery_failed(message)
            else:
                self._expire(message)

    # ---- telling others

    def _announce_ready(self) -> None:
        for listener in list(self.ready_listeners):  # receivers come and go on another thread
            self._transaction.afterwards(listener)

    def _count(self, metric: str, n: int) -> None:
        if n:
            at = self._clock.now()
            self._transaction.afterwards(lambda: self._report(self.name, metric, n, at))
