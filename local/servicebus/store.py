"""Where a queue keeps its messages: each in exactly one state, each in order, and counted as it moves."""

import heapq
import uuid
from collections.abc import Iterator
from datetime import datetime

from local.servicebus.deadlines import Deadlines
from local.servicebus.message import Message, MessageState


class MessageStore:
    """Messages by sequence number, by state and by lock. The queue serialises all calls.

    A state may end by itself: a lock and a schedule always do, an active message may expire. Each message therefore
    has at most one deadline at a time, and every move replaces it.
    """

    def __init__(self, deadlines: Deadlines[Message]) -> None:
        self._deadlines = deadlines
        self._messages: dict[int, Message] = {}  # in the order of their numbers
        self._locked: dict[uuid.UUID, Message] = {}
        self._ready: list[tuple[int, Message]] = []  # heap; one that left the queue stays in it until it surfaces
        self._count = dict.fromkeys(MessageState, 0)
        self._last_sequence_number = 0
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._messages)

    def count(self, state: MessageState) -> int:
        return self._count[state]

    def add(self, message: Message, state: MessageState, until: datetime | None = None) -> int:
        """Take in a new message; `until` is when the state ends by itself. Returns its sequence number."""
        self._last_sequence_number += 1
        message.sequence_number = self._last_sequence_number
        self._messages[message.sequence_number] = message
        self.size_bytes += message.size_bytes
        self._enter(message, state, until)
        return message.sequence_number

    def move(self, message: Message, state: MessageState, until: datetime | None = None) -> None:
        self._leave(message)
        self._enter(message, state, until)

    def lock(self, message: Message, token: uuid.UUID, until: datetime) -> None:
        self._leave(message)
        message.resume_state, message.lock_token, message.locked_until = message.state, token, until
        self._locked[token] = message
        self._enter(message, MessageState.LOCKED, until)

    def renew(self, message: Message, until: datetime) -> None:
        message.locked_until = until
        self._set_deadline(message, until)

    def remove(self, message: Message) -> None:
        self._leave(message)
        del self._messages[message.sequence_number]
        self.size_bytes -= message.size_bytes

    def first_active(self) -> Message | None:
        """The active message with the lowest number; it must be moved or removed before the next call."""
        while self._ready:
            number, message = heapq.heappop(self._ready)
            if message.state is MessageState.ACTIVE and self._messages.get(number) is message:
                return message
        return None

    def locked(self, token: uuid.UUID) -> Message | None:
        return self._locked.get(token)

    def find(self, sequence_number: int, state: MessageState) -> Message | None:
        message = self._messages.get(sequence_number)
        return message if message is not None and message.state is state else None

    def from_number(self, sequence_number: int) -> Iterator[Message]:
        return (message for number, message in self._messages.items() if number >= sequence_number)

    def _enter(self, message: Message, state: MessageState, until: datetime | None) -> None:
        message.state = state
        self._count[state] += 1
        self._set_deadline(message, until)
        if state is MessageState.ACTIVE:
            heapq.heappush(self._ready, (message.sequence_number, message))

    def _leave(self, message: Message) -> None:
        self._count[message.state] -= 1
        self._set_deadline(message, None)
        if message.lock_token is not None:
            del self._locked[message.lock_token]
            message.lock_token = None

    def _set_deadline(self, message: Message, until: datetime | None) -> None:
        if message.deadline is not None:
            self._deadlines.cancel(message.deadline)
        message.deadline = None if until is None else self._deadlines.add(until, message)
