"""Whatever is done to a queue in whatever order: every message is in exactly one place, and the counts add up."""

import asyncio
import uuid
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from local.clock import VirtualClock
from local.servicebus import Broker, Queue, QueueCounts, ServiceBusError
from local.servicebus.message import Message, MessageState, new_message
from tests.local.servicebus.conftest import config


class QueueMachine(RuleBasedStateMachine):
    """Keeps its own book of what must be in the queue, by message id, and compares after every step."""

    @initialize(
        max_delivery_count=st.integers(1, 4),
        time_to_live_s=st.sampled_from([None, 5, 60]),
        dead_letter_on_expiry=st.booleans(),
        lock_s=st.sampled_from([3, 30]),
    )
    def create(
        self, max_delivery_count: int, time_to_live_s: int | None, dead_letter_on_expiry: bool, lock_s: int
    ) -> None:
        properties: dict[str, Any] = {
            "MaxDeliveryCount": max_delivery_count,
            "DeadLetteringOnMessageExpiration": dead_letter_on_expiry,
            "LockDuration": f"PT{lock_s}S",
        }
        if time_to_live_s is not None:
            properties["DefaultMessageTimeToLive"] = f"PT{time_to_live_s}S"
        self.dead_letter_on_expiry = dead_letter_on_expiry
        self.clock = VirtualClock()
        self.loop = asyncio.new_event_loop()
        self.queue: Queue = Broker(config(q=properties), self.clock).queue("q")
        self.sent: dict[str, Message] = {}
        self.finished: set[str] = set()
        self.tokens: dict[uuid.UUID, str] = {}

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            self.loop.close()

    # ---- what can happen

    @rule(delay_s=st.sampled_from([0, 0, 0, 2, 20]))
    def send(self, delay_s: int) -> None:
        message_id = str(len(self.sent))
        message = new_message(b"body", message_id, None)
        if delay_s:
            message.scheduled_for = self.clock.now() + timedelta(seconds=delay_s)
        self.queue.enqueue([message])
        self.sent[message_id] = message

    @rule(max_count=st.integers(1, 3))
    def receive(self, max_count: int) -> None:
        for delivery in self.queue.receive(max_count):
            assert delivery.message_id is not None
            assert delivery.message_id not in self.finished
            self.tokens[delivery.lock_token] = delivery.message_id

    @rule()
    def receive_and_delete(self) -> None:
        message = self.queue.take_next()
        if message is not None:
            self.finished.add(str(message.message_id))

    @precondition(lambda self: self.tokens)
    @rule(
        data=st.data(), action=st.sampled_from(["complete", "abandon", "release", "defer", "dead_letter", "renew_lock"])
    )
    def settle(self, data: st.DataObject, action: str) -> None:
        token = data.draw(st.sampled_from(list(self.tokens)))
        try:
            getattr(self.queue, action)(token)
        except ServiceBusError as refused:
            assert refused.condition == "com.microsoft:message-lock-lost"
            assert not self.holds_lock(token)
            return
        if action == "complete":
            assert self.tokens[token] not in self.finished
            self.finished.add(self.tokens[token])

    @rule()
    def take_a_deferred_one(self) -> None:
        deferred = [m for m in self.queue.peek(0, 1000) if m.state is MessageState.DEFERRED]
        for message in deferred[:1]:
            [lock] = self.queue.lock_deferred([message.sequence_number])
            self.tokens[lock.token] = str(message.message_id)

    @rule()
    def cancel_a_scheduled_one(self) -> None:
        scheduled = [m for m in self.queue.peek(0, 1000) if m.state is MessageState.SCHEDULED]
        for message in scheduled[:1]:
            self.queue.cancel_scheduled([message.sequence_number])
            self.finished.add(str(message.message_id))

    @rule(delay_s=st.sampled_from([0.5, 3, 30, 61]))
    def wait(self, delay_s: float) -> None:
        self.loop.run_until_complete(self.clock.advance(delay_s))

    # ---- what must always be true

    def holds_lock(self, token: uuid.UUID) -> bool:
        return any(message.lock_token == token for message in self.queue.peek(0, 1000))

    @invariant()
    def every_message_is_in_exactly_one_place(self) -> None:
        if not hasattr(self, "queue"):
            return
        dead_letters = self.queue.dead_letter_queue
        assert dead_letters is not None
        held = [str(message.message_id) for message in self.queue.peek(0, 1000) + dead_letters.peek(0, 1000)]
        assert len(held) == len(set(held)), "a message is in two places"
        assert not set(held) & self.finished, "a finished message is back"
        for message_id in set(self.sent) - self.finished - set(held):
            expires_at = self.sent[message_id].expires_at
            expired = expires_at is not None and expires_at <= self.clock.now()
            assert expired and not self.dead_letter_on_expiry, f"message {message_id} is lost"

    @invariant()
    def the_counts_are_those_of_the_messages(self) -> None:
        if not hasattr(self, "queue"):
            return
        messages = self.queue.peek(0, 1000)
        by_state = {state: sum(m.state is state for m in messages) for state in MessageState}
        dead = self.queue.dead_letter_queue
        assert dead is not None
        assert self.queue.counts() == QueueCounts(
            active=by_state[MessageState.ACTIVE],
            locked=by_state[MessageState.LOCKED],
            dead_letter=len(dead.peek(0, 1000)),
            scheduled=by_state[MessageState.SCHEDULED],
            deferred=by_state[MessageState.DEFERRED],
        )
        assert self.queue.size_bytes == sum(m.size_bytes for m in messages + dead.peek(0, 1000))


QueueMachine.TestCase.settings = settings(max_examples=30, stateful_step_count=40, deadline=None)
TestQueueMachine = QueueMachine.TestCase


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_two_deadlines_at_the_same_instant_both_happen(order: tuple[int, int]) -> None:
    clock = VirtualClock()
    queue = Broker(config(q={"LockDuration": "PT10S"}), clock).queue("q")
    for index in order:
        lock_one(queue) if index == 0 else schedule_in(queue, clock, 10)
    await clock.advance(10)
    assert queue.counts().active == 2


def lock_one(queue: Queue) -> None:
    queue.send(b"locked")
    assert len(queue.receive(1)) == 1


def schedule_in(queue: Queue, clock: VirtualClock, delay_s: float) -> None:
    message = new_message(b"scheduled", None, None)
    message.scheduled_for = clock.now() + timedelta(seconds=delay_s)
    queue.enqueue([message])
