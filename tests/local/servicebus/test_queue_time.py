"""What a queue does with time: locks, expiry, schedules, duplicates and deferral, in process and in virtual time."""

import threading
from datetime import datetime, timedelta

from local.clock import RealClock, VirtualClock
from local.servicebus import Broker, Queue
from tests.local.servicebus.builders import MakeBroker, counts, refused, schedule, send_with_time_to_live
from tests.local.servicebus.conftest import config


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
