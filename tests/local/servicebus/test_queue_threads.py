"""Who watches a queue, and threads that share one."""

import threading
from collections import Counter
from datetime import datetime, timedelta

from local.clock import RealClock, VirtualClock
from local.servicebus import Broker, Queue, QueueCounts
from local.servicebus.message import new_message
from tests.local.servicebus.builders import MakeBroker, counts
from tests.local.servicebus.conftest import config


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
