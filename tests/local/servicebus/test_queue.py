"""What a queue does with messages and time, in process and in virtual time."""

import threading
import uuid
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from local.clock import RealClock, VirtualClock
from local.servicebus import Broker, Queue, QueueCounts, ServiceBusError
from local.servicebus.message import new_message
from tests.local.servicebus.conftest import config

MakeBroker = Callable[..., Broker]
LOCK_LOST = "com.microsoft:message-lock-lost"


@pytest.fixture
def queue(make_broker: MakeBroker) -> Queue:
    return make_broker(q={}).queue("q")


def counts(queue: Queue, **expected: int) -> bool:
    """Whether the queue has exactly these messages, and none in any other state."""
    empty = {"active": 0, "locked": 0, "dead_letter": 0, "scheduled": 0, "deferred": 0}
    return queue.counts() == QueueCounts(**{**empty, **expected})


def refused(condition: str, action: Callable[[], Any]) -> bool:
    with pytest.raises(ServiceBusError) as problem:
        action()
    return problem.value.condition == condition


def schedule(queue: Queue, body: bytes, due: datetime) -> int:
    message = new_message(body, None, None)
    message.scheduled_for = due
    return queue.enqueue([message])[0]


def send_with_time_to_live(queue: Queue, body: bytes, time_to_live: timedelta) -> None:
    message = new_message(body, None, None)
    message.time_to_live = time_to_live
    queue.enqueue([message])


# ---- sending and receiving


def test_a_delivery_has_what_was_sent(queue: Queue, clock: VirtualClock) -> None:
    queue.send(b"body", message_id="m1", properties={"model": "a", "n": 3, "ok": True})
    [delivery] = queue.receive(10)
    assert (delivery.body, delivery.message_id, delivery.delivery_count) == (b"body", "m1", 0)
    assert delivery.properties == {"model": "a", "n": 3, "ok": True}
    assert delivery.enqueued_at == clock.now()


def test_messages_come_in_order_and_no_more_than_asked(queue: Queue) -> None:
    for number in range(5):
        queue.send(b"%d" % number)
    assert [d.body for d in queue.receive(3)] == [b"0", b"1", b"2"]
    assert [d.body for d in queue.receive(3)] == [b"3", b"4"]
    assert queue.receive(3) == []


def test_active_excludes_locked(queue: Queue) -> None:
    queue.send(b"a")
    queue.send(b"b")
    [delivery] = queue.receive(1)
    assert counts(queue, active=1, locked=1)
    queue.complete(delivery.lock_token)
    assert counts(queue, active=1)


def test_size_is_what_the_messages_take_and_includes_dead_letters(queue: Queue) -> None:
    assert queue.size_bytes == 0
    queue.send(b"x" * 1000)
    queue.send(b"y" * 500)
    whole = queue.size_bytes
    assert 1500 < whole < 1600
    first, second = queue.receive(2)
    queue.dead_letter(first.lock_token, "bad", "worse")
    assert queue.size_bytes == whole
    queue.complete(second.lock_token)
    assert 1000 < queue.size_bytes < 1100


def test_a_property_that_amqp_has_no_type_for_is_refused(queue: Queue) -> None:
    with pytest.raises(TypeError, match="cannot encode set as AMQP"):
        queue.send(b"", properties={"tags": {"a"}})
    assert counts(queue)


def test_the_queues_of_the_namespace_are_found_in_any_case(make_broker: MakeBroker) -> None:
    broker = make_broker(Orders={})
    assert broker.queue("ORDERS") is broker.queue("orders")
    assert broker.queue("orders").name == "Orders"
    assert broker.queue("orders/$deadletterqueue") is broker.queue("Orders").dead_letter_queue
    assert refused("amqp:not-found", lambda: broker.queue("other"))
    assert refused("amqp:not-found", lambda: broker.queue("$DeadLetterQueue"))


# ---- settlement


def test_abandon_gives_it_back_first_in_line_and_counts(queue: Queue) -> None:
    queue.send(b"first")
    queue.send(b"second")
    queue.abandon(queue.receive(1)[0].lock_token)
    [again, _] = queue.receive(2)
    assert (again.body, again.delivery_count) == (b"first", 1)


def test_release_gives_it_back_without_counting(queue: Queue) -> None:
    queue.send(b"a")
    queue.release(queue.receive(1)[0].lock_token)
    assert queue.receive(1)[0].delivery_count == 0


def test_too_many_deliveries_make_a_dead_letter(make_broker: MakeBroker) -> None:
    queue = make_broker(q={"MaxDeliveryCount": 3}).queue("q")
    queue.send(b"poison", message_id="p")
    for delivery_count in range(3):
        [delivery] = queue.receive(1)
        assert delivery.delivery_count == delivery_count
        queue.abandon(delivery.lock_token)
    assert counts(queue, dead_letter=1)
    assert queue.dead_letter_queue is not None
    [dead] = queue.dead_letter_queue.receive(1)
    assert (dead.body, dead.message_id) == (b"poison", "p")
    assert dead.properties["DeadLetterReason"] == "MaxDeliveryCountExceeded"


def test_a_dead_letter_keeps_its_properties_and_says_why(queue: Queue) -> None:
    queue.send(b"bad", properties={"model": "a"})
    queue.dead_letter(queue.receive(1)[0].lock_token, "BadInput", "no such model")
    assert queue.dead_letter_queue is not None
    [dead] = queue.dead_letter_queue.receive(1)
    assert dead.properties == {
        "model": "a",
        "DeadLetterReason": "BadInput",
        "DeadLetterErrorDescription": "no such model",
    }
    queue.dead_letter_queue.complete(dead.lock_token)
    assert counts(queue)


def test_a_dead_letter_stays_whatever_happens_to_it(make_broker: MakeBroker, clock: VirtualClock) -> None:
    queue = make_broker(q={"MaxDeliveryCount": 1, "DefaultMessageTimeToLive": "PT1M"}).queue("q")
    queue.send(b"a")
    queue.abandon(queue.receive(1)[0].lock_token)
    dead_letters = queue.dead_letter_queue
    assert dead_letters is not None
    for _ in range(5):
        dead_letters.abandon(dead_letters.receive(1)[0].lock_token)
    [dead] = dead_letters.receive(1)
    assert refused("amqp:not-allowed", lambda: dead_letters.dead_letter(dead.lock_token, "again", "and again"))
    assert counts(dead_letters, locked=1)
    dead_letters.release(dead.lock_token)
    assert counts(queue, dead_letter=1)


@pytest.mark.parametrize("settlement", ["complete", "abandon", "release", "defer", "dead_letter", "renew_lock"])
async def test_nothing_can_be_settled_twice_or_late(queue: Queue, clock: VirtualClock, settlement: str) -> None:
    settle = getattr(queue, settlement)
    queue.send(b"a")
    queue.send(b"b")
    first, second = queue.receive(2)
    queue.complete(first.lock_token)
    await clock.advance(60)
    assert refused(LOCK_LOST, lambda: settle(first.lock_token))
    assert refused(LOCK_LOST, lambda: settle(second.lock_token))
    assert refused(LOCK_LOST, lambda: settle(uuid.uuid4()))
    assert counts(queue, active=1)


# ---- time


async def test_a_lock_ends_exactly_when_it_should(make_broker: MakeBroker, clock: VirtualClock) -> None:
    queue = make_broker(q={"LockDuration": "PT30S"}).queue("q")
    queue.send(b"a")
    [first] = queue.receive(1)
    await clock.advance(29.999)
    assert counts(queue, locked=1)
    await clock.advance(0.001)
    assert counts(queue, active=1)
    [again] = queue.receive(1)
    assert again.delivery_count == 1
    assert again.lock_token != first.lock_token


async def test_a_renewed_lock_lasts_from_its_renewal(make_broker: MakeBroker, clock: VirtualClock) -> None:
    queue = make_broker(q={"LockDuration": "PT30S"}).queue("q")
    queue.send(b"a")
    [delivery] = queue.receive(1)
    for _ in range(4):
        await clock.advance(20)
        assert queue.renew_lock(delivery.lock_token) == clock.now() + timedelta(seconds=30)
    await clock.advance(29.999)
    queue.complete(delivery.lock_token)
    assert counts(queue)


async def test_expired_messages_vanish_or_become_dead_letters(make_broker: MakeBroker, clock: VirtualClock) -> None:
    broker = make_broker(
        gone={"DefaultMessageTimeToLive": "PT10S"},
        kept={"DefaultMessageTimeToLive": "PT10S", "DeadLetteringOnMessageExpiration": True},
    )
    gone, kept = broker.queue("gone"), broker.queue("kept")
    gone.send(b"a")
    kept.send(b"a")
    await clock.advance(9.999)
    assert counts(gone, active=1)
    assert counts(kept, active=1)
    await clock.advance(0.001)
    assert counts(gone)
    assert gone.size_bytes == 0
    assert counts(kept, dead_letter=1)
    assert kept.dead_letter_queue is not None
    assert kept.dead_letter_queue.receive(1)[0].properties["DeadLetterReason"] == "TTLExpiredException"


async def test_the_queue_sets_the_ceiling_of_time_to_live(make_broker: MakeBroker, clock: VirtualClock) -> None:
    queue = make_broker(q={"DefaultMessageTimeToLive": "PT10S"}).queue("q")
    send_with_time_to_live(queue, b"short", timedelta(seconds=5))
    send_with_time_to_live(queue, b"long", timedelta(hours=1))
    await clock.advance(5)
    assert counts(queue, active=1)
    await clock.advance(5)
    assert counts(queue)


async def test_a_message_does_not_expire_under_lock_but_right_after(
    make_broker: MakeBroker, clock: VirtualClock
) -> None:
    queue = make_broker(q={"DefaultMessageTimeToLive": "PT10S", "DeadLetteringOnMessageExpiration": True}).queue("q")
    queue.send(b"completed")
    queue.send(b"abandoned")
    completed, abandoned = queue.receive(2)
    await clock.advance(15)
    assert counts(queue, locked=2)
    queue.complete(completed.lock_token)
    queue.abandon(abandoned.lock_token)
    assert counts(queue, dead_letter=1)


async def test_a_scheduled_message_appears_when_due_and_lives_from_then(
    make_broker: MakeBroker, clock: VirtualClock
) -> None:
    queue = make_broker(q={"DefaultMessageTimeToLive": "PT10S"}).queue("q")
    due = clock.now() + timedelta(minutes=5)
    schedule(queue, b"later", due)
    await clock.advance(299.999)
    assert queue.receive(1) == []
    assert counts(queue, scheduled=1)
    await clock.advance(0.001)
    assert counts(queue, active=1)
    [delivery] = queue.receive(1)
    assert delivery.enqueued_at == due
    queue.release(delivery.lock_token)
    await clock.advance(10)
    assert counts(queue)


def test_a_message_scheduled_for_the_past_is_there_at_once(queue: Queue, clock: VirtualClock) -> None:
    schedule(queue, b"late", clock.now() - timedelta(days=1))
    assert counts(queue, active=1)


async def test_cancelling_takes_all_or_none(queue: Queue, clock: VirtualClock) -> None:
    due = clock.now() + timedelta(minutes=5)
    first, second = schedule(queue, b"1", due), schedule(queue, b"2", due)
    assert refused("com.microsoft:message-not-found", lambda: queue.cancel_scheduled([first, 99]))
    assert counts(queue, scheduled=2)
    queue.cancel_scheduled([first])
    await clock.advance(300)
    assert [delivery.body for delivery in queue.receive(5)] == [b"2"]
    assert refused("com.microsoft:message-not-found", lambda: queue.cancel_scheduled([second]))


async def test_a_schedule_thousands_of_years_away_does_no_harm() -> None:
    """Threads cannot wait that long; the clock's thread must survive it."""
    queue = Broker(config(q={"LockDuration": "PT0.2S"}), RealClock()).queue("q")
    schedule(queue, b"never", datetime.fromisoformat("9999-12-31T23:59:59+00:00"))
    queue.send(b"now")
    back = threading.Event()
    queue.receive(1)
    queue.ready_listeners.append(back.set)
    assert back.wait(5)
    assert queue.receive(1)[0].delivery_count == 1


async def test_duplicates_are_dropped_within_the_window_only(make_broker: MakeBroker, clock: VirtualClock) -> None:
    properties = {"RequiresDuplicateDetection": True, "DuplicateDetectionHistoryTimeWindow": "PT20S"}
    queue = make_broker(q=properties).queue("q")
    for _ in range(3):
        queue.send(b"a", message_id="same")
    queue.send(b"b", message_id="other")
    queue.send(b"c")
    queue.send(b"d")
    assert counts(queue, active=4)
    for delivery in queue.receive(9):
        queue.complete(delivery.lock_token)
    await clock.advance(19.999)
    queue.send(b"a", message_id="same")
    assert counts(queue)
    await clock.advance(0.001)
    queue.send(b"a", message_id="same")
    assert counts(queue, active=1)


async def test_a_deferred_message_waits_for_its_number_and_never_expires(
    make_broker: MakeBroker, clock: VirtualClock
) -> None:
    queue = make_broker(q={"DefaultMessageTimeToLive": "PT10S"}).queue("q")
    queue.send(b"aside")
    lock = queue.lock_next()
    assert lock is not None
    queue.defer(lock.token)
    await clock.advance(60)
    assert counts(queue, deferred=1)
    assert queue.receive(1) == []
    number = lock.message.sequence_number
    [taken] = queue.lock_deferred([number, number])
    assert counts(queue, locked=1)
    queue.abandon(taken.token)
    assert counts(queue, deferred=1)
    [taken] = queue.lock_deferred([number])
    assert taken.message.delivery_count == 2
    queue.complete(taken.token)
    assert counts(queue)
    assert refused("com.microsoft:message-not-found", lambda: queue.take_deferred([number]))


# ---- observers


async def test_observers_hear_of_every_metric_when_it_happens(make_broker: MakeBroker, clock: VirtualClock) -> None:
    broker = make_broker(q={"MaxDeliveryCount": 2, "DeadLetteringOnMessageExpiration": True})
    heard: Counter[str] = Counter()
    at: list[datetime] = []

    def observe(queue: str, metric: str, n: int, when: datetime) -> None:
        heard[f"{queue} {metric}"] += n
        at.append(when)

    broker.observers.append(observe)
    queue = broker.queue("q")
    queue.enqueue([new_message(b"", None, None) for _ in range(5)])
    completed, abandoned, rejected, _ = queue.receive(4)
    queue.complete(completed.lock_token)
    queue.abandon(abandoned.lock_token)
    queue.dead_letter(rejected.lock_token, "no", "no")
    await clock.advance(60)  # the fourth lock expires
    queue.abandon(queue.receive(1)[0].lock_token)
    assert queue.dead_letter_queue is not None
    queue.dead_letter_queue.complete(queue.dead_letter_queue.receive(1)[0].lock_token)
    queue.take_next()
    assert heard == {
        "q IncomingMessages": 5,
        "q OutgoingMessages": 6,
        "q CompleteMessage": 1,
        "q AbandonMessage": 2,
        "q DeadletteredMessages": 2,
        "q/$DeadLetterQueue OutgoingMessages": 1,
        "q/$DeadLetterQueue CompleteMessage": 1,
    }
    assert set(at) == {clock.now() - timedelta(seconds=60), clock.now()}


def test_an_observer_may_ask_the_queue_and_no_thread_is_locked_out(queue: Queue, make_broker: MakeBroker) -> None:
    """The observer waits for another thread that needs the queue: it must not be called under the queue's lock."""
    broker = make_broker(q={})
    watched = broker.queue("q")
    seen: list[QueueCounts] = []

    def observe(*_: object) -> None:
        asking = threading.Thread(target=lambda: seen.append(watched.counts()))
        asking.start()
        asking.join(5)
        assert not asking.is_alive()

    broker.observers.append(observe)
    watched.send(b"a")
    assert [found.active for found in seen] == [1]


def test_threads_share_a_queue() -> None:
    """Four threads send, four receive: each message is completed by exactly one of them."""
    queue = Broker(config(q={}), RealClock()).queue("q")
    completed: Counter[bytes] = Counter()
    everything_sent = threading.Event()

    def send(sender: int) -> None:
        for number in range(250):
            queue.send(b"%d-%d" % (sender, number))

    def receive() -> None:
        while (deliveries := queue.receive(7)) or not everything_sent.is_set():
            for delivery in deliveries:
                queue.complete(delivery.lock_token)
                completed[delivery.body] += 1

    senders = [threading.Thread(target=send, args=(sender,)) for sender in range(4)]
    receivers = [threading.Thread(target=receive) for _ in range(4)]
    for thread in senders + receivers:
        thread.start()
    for thread in senders:
        thread.join(20)
    everything_sent.set()
    for thread in receivers:
        thread.join(20)
    assert completed == {b"%d-%d" % (sender, number): 1 for sender in range(4) for number in range(250)}
    assert counts(queue)
