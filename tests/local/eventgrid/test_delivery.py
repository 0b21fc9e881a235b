"""At least once, in no order, on the documented schedule; nothing is lost without a record."""

import json
import random
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.clock import VirtualClock
from local.eventgrid import Disorder, EventGrid, EventSubscription, Schema, ServiceBusQueue, Topic, Webhook
from local.eventgrid.delivery import retry_delay_s
from local.servicebus.broker import Broker
from tests.local.eventgrid.conftest import Messages, Subscriber
from tests.local.eventgrid.test_publishing import WORKSPACE, raw_event


@pytest.fixture
def topic(grid: EventGrid) -> Topic:
    return grid.system_topic("vision", WORKSPACE)


async def hook(grid: EventGrid, topic: Topic, subscriber: Subscriber, **rules: Any) -> EventSubscription:
    subscription = EventSubscription(name="watch", destination=Webhook(subscriber.url), **rules)
    await grid.subscribe(topic, subscription)
    return subscription


async def test_one_event_a_request_with_the_headers_of_event_grid(
    grid: EventGrid, topic: Topic, clock: VirtualClock, subscriber: Subscriber
) -> None:
    await hook(grid, topic, subscriber)
    topic.publish([raw_event(id="a", dataVersion="3"), raw_event(id="b")])
    await clock.settle()
    by_id = {request.body[0]["id"]: request for request in subscriber.received}
    assert set(by_id) == {"a", "b"}
    assert all(len(request.body) == 1 for request in subscriber.received)
    aeg = {name: value for name, value in by_id["a"].headers.items() if name.startswith("aeg-")}
    assert aeg == {
        "aeg-event-type": "Notification",
        "aeg-subscription-name": "WATCH",
        "aeg-delivery-count": "0",
        "aeg-metadata-version": "1",
        "aeg-data-version": "3",
        "aeg-output-event-id": "a",
    }
    assert by_id["a"].headers["Content-Type"] == "application/json; charset=utf-8"
    assert by_id["a"].body[0] == {**raw_event(id="a", dataVersion="3"), "topic": WORKSPACE, "metadataVersion": "1"}


async def test_an_event_grid_event_becomes_one_cloud_event(
    grid: EventGrid, topic: Topic, clock: VirtualClock, subscriber: Subscriber
) -> None:
    await hook(grid, topic, subscriber, schema=Schema.CLOUD_EVENTS)
    topic.publish([raw_event(data={"n": 1})])
    await clock.settle()
    (request,) = subscriber.received
    assert request.headers["Content-Type"] == "application/cloudevents+json; charset=utf-8"
    assert request.headers["aeg-metadata-version"] == "1.0"
    assert request.body == {
        "specversion": "1.0",
        "id": "e-1",
        "source": WORKSPACE,
        "type": "T",
        "subject": "/a",
        "time": "2026-01-05T00:00:00Z",
        "data": {"n": 1},
    }


async def test_only_the_event_types_of_the_filter_are_delivered(
    grid: EventGrid, topic: Topic, clock: VirtualClock, subscriber: Subscriber
) -> None:
    subscription = await hook(grid, topic, subscriber, event_types=frozenset({"Wanted"}))
    topic.publish([raw_event(id="1", eventType="Wanted"), raw_event(id="2", eventType="Other")])
    await clock.settle()
    assert [event["id"] for event in subscriber.events] == ["1"]
    assert [(delivery.event_id, delivery.status) for delivery in subscription.deliveries] == [("1", 200)]


async def test_failures_are_retried_on_the_schedule_until_success(
    grid: EventGrid, topic: Topic, clock: VirtualClock, subscriber: Subscriber
) -> None:
    subscriber.statuses = [500, 503, 302, 404, 408]
    subscription = await hook(grid, topic, subscriber)
    start = clock.now()
    topic.publish([raw_event()])
    await clock.settle()
    assert subscription.pending == 1
    assert not grid.busy()
    await clock.advance(3600)
    waits = (0, 10, 30, 60, 300, 600)
    expected = [start + timedelta(seconds=sum(waits[: n + 1])) for n in range(len(waits))]
    assert [delivery.at for delivery in subscription.deliveries] == expected
    assert [request.headers["aeg-delivery-count"] for request in subscriber.received] == ["0", "1", "2", "3", "4", "5"]
    outcomes = [delivery.outcome for delivery in subscription.deliveries]
    assert outcomes == ["GenericError", "Busy", "GenericError", "NotFound", "TimedOut", "Delivered"]
    assert (subscription.pending, subscription.dropped, subscription.dead_letters) == (0, [], [])


def test_a_busy_or_slow_endpoint_is_left_alone_for_longer() -> None:
    assert [retry_delay_s(1, status) for status in (500, None, 503, 408)] == [10, 10, 30, 120]


@given(st.integers(1, 100), st.sampled_from([None, 404, 408, 500, 503]))
def test_waits_never_shrink_and_end_at_twelve_hours(attempts: int, status: int | None) -> None:
    assert retry_delay_s(attempts, status) <= retry_delay_s(attempts + 1, status) <= 12 * 3600


@pytest.mark.parametrize(
    ("status", "reason"), [(400, "BadRequest"), (401, "Unauthorized"), (403, "Forbidden"), (413, "PayloadTooLarge")]
)
@pytest.mark.parametrize("dead_lettering", [True, False])
async def test_what_a_retry_cannot_mend_is_given_up_at_once(
    grid: EventGrid,
    topic: Topic,
    clock: VirtualClock,
    subscriber: Subscriber,
    status: int,
    reason: str,
    dead_lettering: bool,
) -> None:
    subscriber.statuses = [status]
    subscription = await hook(grid, topic, subscriber, dead_lettering=dead_lettering)
    topic.publish([raw_event()])
    await clock.advance(24 * 3600)
    assert len(subscriber.received) == 1
    kept, empty = subscription.dead_letters, subscription.dropped
    if not dead_lettering:
        kept, empty = empty, kept
    assert empty == []
    (letter,) = kept
    assert (letter["id"], letter["deadLetterReason"], letter["deliveryAttempts"]) == (
        "e-1",
        f"UndeliverableDueTo{reason}",
        1,
    )
    assert letter["lastDeliveryOutcome"] == reason


async def test_attempts_are_limited(grid: EventGrid, topic: Topic, clock: VirtualClock, subscriber: Subscriber) -> None:
    subscriber.statuses = [500] * 9
    subscription = await hook(grid, topic, subscriber, max_attempts=3, dead_lettering=True)
    topic.publish([raw_event()])
    await clock.advance(3600)
    assert len(subscriber.received) == 3
    (letter,) = subscription.dead_letters
    assert letter["deadLetterReason"] == "MaxDeliveryAttemptsExceeded"
    assert letter["lastDeliveryAttemptTime"] == "2026-01-05T00:00:40.000000Z"


async def test_an_old_event_expires_when_its_next_attempt_is_due(
    grid: EventGrid, topic: Topic, clock: VirtualClock, subscriber: Subscriber
) -> None:
    subscriber.statuses = [500] * 9
    subscription = await hook(grid, topic, subscriber, ttl_s=50, schema=Schema.CLOUD_EVENTS, dead_lettering=True)
    topic.publish([raw_event()])
    await clock.advance(99)
    assert (subscription.pending, subscription.dead_letters) == (1, [])
    await clock.advance(1)
    (letter,) = subscription.dead_letters
    assert (letter["deadletterreason"], letter["deliveryattempts"]) == ("TimeToLiveExceeded", 3)


async def test_an_endpoint_that_is_down_is_retried_until_it_is_back(
    grid: EventGrid, topic: Topic, clock: VirtualClock, subscriber: Subscriber
) -> None:
    subscription = await hook(grid, topic, subscriber)
    subscription.destination = Webhook("http://127.0.0.1:1/")
    topic.publish([raw_event()])
    await clock.settle()
    subscription.destination = Webhook(subscriber.url)
    await clock.advance(10)
    assert [(d.status, d.outcome) for d in subscription.deliveries] == [(None, "SocketError"), (200, "Delivered")]


async def test_a_service_bus_queue_gets_the_bare_event_and_its_properties(
    grid: EventGrid, topic: Topic, clock: VirtualClock, messages: Messages
) -> None:
    messages.refusals = 1
    subscription = EventSubscription(name="to-queue", destination=ServiceBusQueue("signals"))
    await grid.subscribe(topic, subscription)
    topic.publish([raw_event(id="a"), raw_event(id="b")])
    await clock.settle()
    assert [json.loads(body)["id"] for _, body, _ in messages.sent] == ["b"]
    await clock.advance(10)
    queue, body, properties = messages.sent[-1]
    assert (queue, json.loads(body)["id"], json.loads(body)["topic"]) == ("signals", "a", WORKSPACE)
    assert properties["aeg-subscription-name"] == "TO-QUEUE"
    assert (properties["aeg-delivery-count"], properties["aeg-output-event-id"]) == ("1", "a")
    assert [d.outcome for d in subscription.deliveries] == ["GenericError", "Delivered", "Delivered"]


async def test_events_reach_a_queue_of_the_local_service_bus(clock: VirtualClock) -> None:
    config = {"UserConfig": {"Namespaces": [{"Name": "local", "Queues": [{"Name": "signals"}]}]}}
    broker = Broker(config, clock)
    service = EventGrid(
        clock,
        random.Random(1),
        send=lambda queue, body, properties: broker.queue(queue).send(body, properties=properties),
    )
    clock.add_busy_probe(service.busy)
    await service.start()
    topic = service.system_topic("vision", WORKSPACE)
    there = EventSubscription(name="there", destination=ServiceBusQueue("signals"))
    nowhere = EventSubscription(name="nowhere", destination=ServiceBusQueue("missing"), max_attempts=2)
    for subscription in (there, nowhere):
        await service.subscribe(topic, subscription)
    topic.publish([raw_event()])
    await clock.advance(60)
    (message,) = broker.queue("signals").receive(9)
    assert json.loads(message.body)["id"] == "e-1"
    assert message.properties["aeg-event-type"] == "Notification"
    assert [event["deadLetterReason"] for event in nowhere.dropped] == ["MaxDeliveryAttemptsExceeded"]
    await service.stop()


async def test_a_queue_needs_a_way_to_send(clock: VirtualClock) -> None:
    service = EventGrid(clock, random.Random(1))
    with pytest.raises(ValueError, match=r"EventGrid\(send="):
        await service.subscribe(
            service.custom_topic("t"), EventSubscription(name="q", destination=ServiceBusQueue("signals"))
        )


async def test_duplicates_and_reordering_on_demand_lose_nothing(
    grid: EventGrid, topic: Topic, clock: VirtualClock, messages: Messages
) -> None:
    calm = EventSubscription(name="calm", destination=ServiceBusQueue("calm"))
    wild = EventSubscription(
        name="wild", destination=ServiceBusQueue("wild"), disorder=Disorder(duplicate=0.3, reorder=0.5, hold_s=60)
    )
    for subscription in (calm, wild):
        await grid.subscribe(topic, subscription)
    ids = [f"e-{n}" for n in range(60)]
    topic.publish([raw_event(id=event_id) for event_id in ids])
    await clock.advance(60)
    arrived = {queue: [json.loads(b)["id"] for q, b, _ in messages.sent if q == queue] for queue in ("calm", "wild")}
    assert arrived["calm"] == ids
    assert set(arrived["wild"]) == set(ids)
    assert len(ids) < len(arrived["wild"]) <= 2 * len(ids)
    firsts = list(dict.fromkeys(arrived["wild"]))
    assert firsts != ids
    assert [subscription.pending for subscription in (calm, wild)] == [0, 0]


async def test_the_same_seed_gives_the_same_disorder() -> None:
    async def arrivals() -> list[str]:
        clock, got = VirtualClock(), list[str]()
        service = EventGrid(
            clock, random.Random(3), send=lambda queue, body, properties: got.append(json.loads(body)["id"])
        )
        clock.add_busy_probe(service.busy)
        await service.start()
        topic = service.system_topic("vision", WORKSPACE)
        disorder = Disorder(duplicate=0.5, reorder=0.5, hold_s=9)
        await service.subscribe(topic, EventSubscription(name="s", destination=ServiceBusQueue("q"), disorder=disorder))
        topic.publish([raw_event(id=f"e-{n}") for n in range(20)])
        await clock.advance(9)
        await service.stop()
        return got

    assert await arrivals() == await arrivals()
