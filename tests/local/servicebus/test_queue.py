"""What a queue does with messages: order, counts and settlement, in process and in virtual time."""

import uuid

import pytest

from local.clock import VirtualClock
from local.servicebus import Queue
from tests.local.servicebus.builders import LOCK_LOST, MakeBroker, counts, refused


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
