"""The real azure-eventgrid publisher against the local topics; what they refuse."""

import asyncio
import threading
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.core.messaging import CloudEvent
from azure.eventgrid import EventGridEvent, EventGridPublisherClient
from azure.eventgrid.aio import EventGridPublisherClient as AsyncPublisher

from local.clock import VirtualClock
from local.eventgrid import EventError, EventGrid, EventSubscription, Schema, Topic, Webhook
from tests.local.eventgrid.conftest import Subscriber

WORKSPACE = (
    "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/models"
    "/providers/Microsoft.MachineLearningServices/workspaces/vision"
)


def grid_event(n: int = 1, event_type: str = "Jobs.Done") -> EventGridEvent:
    return EventGridEvent(subject=f"/jobs/{n}", event_type=event_type, data={"n": n}, data_version="2.0")


def cloud_event(n: int = 1) -> CloudEvent[dict[str, int]]:
    return CloudEvent(source="/jobs", type="Jobs.Done", data={"n": n}, subject=f"/jobs/{n}")


def raw_event(**changes: object) -> dict[str, object]:
    event = {"id": "e-1", "subject": "/a", "eventType": "T", "eventTime": "2026-01-05T00:00:00Z", "data": {}}
    return {**event, **changes}


def send_sync(topic: Topic, events: Any, key: str | None = None) -> None:
    with EventGridPublisherClient(topic.endpoint, AzureKeyCredential(key or topic.key or "")) as publisher:
        publisher.send(events, retry_total=0)


async def send_async(topic: Topic, events: Any, key: str | None = None) -> None:
    credential = AzureKeyCredential(key or topic.key or "")
    async with AsyncPublisher(topic.endpoint, credential, retry_total=0) as publisher:
        await publisher.send(events)


async def test_events_of_the_sync_and_the_async_publisher_arrive_stamped_by_the_topic(
    grid: EventGrid, clock: VirtualClock, subscriber: Subscriber
) -> None:
    topic = grid.custom_topic("notices")
    await grid.subscribe(topic, EventSubscription(name="all", destination=Webhook(subscriber.url)))
    await asyncio.to_thread(send_sync, topic, [grid_event(1), grid_event(2)])
    await send_async(topic, grid_event(3))
    await clock.settle()
    assert sorted(event["data"]["n"] for event in subscriber.events) == [1, 2, 3]
    for event in subscriber.events:
        assert event["topic"] == topic.source
        assert (event["metadataVersion"], event["dataVersion"], event["eventType"]) == ("1", "2.0", "Jobs.Done")


async def test_cloud_events_of_both_publishers_arrive_as_they_were_sent(
    grid: EventGrid, clock: VirtualClock, subscriber: Subscriber
) -> None:
    topic = grid.custom_topic("clouds", schema=Schema.CLOUD_EVENTS)
    wish = EventSubscription(name="all", destination=Webhook(subscriber.url), schema=Schema.CLOUD_EVENTS)
    await grid.subscribe(topic, wish)
    await asyncio.to_thread(send_sync, topic, [cloud_event(1), cloud_event(2)])
    await send_async(topic, cloud_event(3))
    await clock.settle()
    got = [CloudEvent[dict[str, int]].from_dict(request.body) for request in subscriber.received]
    assert sorted(event.data["n"] for event in got if event.data) == [1, 2, 3]
    assert {request.body["source"] for request in subscriber.received} == {"/jobs"}


async def test_a_wrong_key_an_unknown_topic_and_a_system_topic_are_refused(grid: EventGrid) -> None:
    topic = grid.custom_topic("notices", key="right")
    with pytest.raises(ClientAuthenticationError):
        await send_async(topic, grid_event(), key="wrong")
    with pytest.raises(ClientAuthenticationError):
        await asyncio.to_thread(send_sync, topic, grid_event(), "wrong")
    watched = grid.system_topic("vision", WORKSPACE)
    with pytest.raises(ValueError, match="system topic"):
        _ = watched.endpoint
    topic.name = "vision"
    with pytest.raises(ResourceNotFoundError):
        await send_async(topic, grid_event())
    topic.name = "nobody"
    with pytest.raises(ResourceNotFoundError):
        await send_async(topic, grid_event())


async def test_a_topic_takes_its_own_schema_only(grid: EventGrid) -> None:
    classic, clouds = grid.custom_topic("classic"), grid.custom_topic("clouds", schema=Schema.CLOUD_EVENTS)
    for topic, event in ((classic, cloud_event()), (clouds, grid_event())):
        with pytest.raises(HttpResponseError, match="does not fit the topic's"):
            await send_async(topic, event)
    with pytest.raises(ValueError, match="CloudEvents only"):
        await grid.subscribe(clouds, EventSubscription(name="s", destination=Webhook("http://127.0.0.1:1/")))


@pytest.mark.parametrize(
    ("body", "content_type", "status", "complaint"),
    [
        (b"{", "application/json", 400, "Expecting property name"),
        (b"[7]", "application/json", 400, "event 0: expected a JSON object"),
        (b'[{"id": "1"}]', "application/json", 400, "event 0: subject, eventType, eventTime"),
        (b"[" + b" " * 1024 * 1024 + b"]", "application/json", 413, "at most 1048576"),
    ],
)
async def test_malformed_requests_get_a_clear_error(
    grid: EventGrid, body: bytes, content_type: str, status: int, complaint: str
) -> None:
    topic = grid.custom_topic("notices")
    headers = {"aeg-sas-key": topic.key or "", "Content-Type": content_type}
    async with aiohttp.ClientSession() as http, http.post(topic.endpoint, data=body, headers=headers) as answer:
        assert answer.status == status
        assert complaint in (await answer.json())["error"]["message"]


@pytest.mark.parametrize(
    ("event", "complaint"),
    [
        (raw_event(id=""), "event 1: id"),
        (raw_event(subject=None), "event 1: subject"),
        (raw_event(eventTime="yesterday"), "eventTime is not an ISO 8601 time: 'yesterday'"),
        (raw_event(topic="/another"), "topic must be left out or be"),
        (raw_event(data=datetime(2026, 1, 5, tzinfo=UTC)), "cannot be written as JSON"),
        (raw_event(data=float("nan")), "cannot be written as JSON"),
    ],
)
async def test_one_bad_event_refuses_the_whole_batch_and_is_named(
    grid: EventGrid, clock: VirtualClock, subscriber: Subscriber, event: dict[str, object], complaint: str
) -> None:
    topic = grid.system_topic("vision", WORKSPACE)
    await grid.subscribe(topic, EventSubscription(name="all", destination=Webhook(subscriber.url)))
    with pytest.raises(EventError, match=complaint):
        topic.publish([raw_event(), event])
    await clock.settle()
    assert subscriber.received == []


async def test_a_cloud_event_of_another_version_is_refused(grid: EventGrid) -> None:
    topic = grid.custom_topic("clouds", schema=Schema.CLOUD_EVENTS)
    with pytest.raises(EventError, match=r"specversion must be 1\.0, got '0\.3'"):
        topic.publish([{"id": "1", "source": "/s", "type": "T", "specversion": "0.3"}])


async def test_the_publishers_event_may_change_after_publishing(
    grid: EventGrid, clock: VirtualClock, subscriber: Subscriber
) -> None:
    topic = grid.system_topic("vision", WORKSPACE)
    await grid.subscribe(topic, EventSubscription(name="all", destination=Webhook(subscriber.url)))
    event = raw_event(data={"n": 1})
    topic.publish([event])
    event["data"] = {"n": 2}
    await clock.settle()
    assert [got["data"] for got in subscriber.events] == [{"n": 1}]
    assert "topic" not in event


async def test_publishing_from_another_thread_is_in_flight_at_once(
    grid: EventGrid, clock: VirtualClock, subscriber: Subscriber
) -> None:
    topic = grid.system_topic("vision", WORKSPACE)
    await grid.subscribe(topic, EventSubscription(name="all", destination=Webhook(subscriber.url)))
    publisher = threading.Thread(target=topic.publish, args=([raw_event()],))
    publisher.start()
    publisher.join()  # blocks the event loop: nothing was delivered yet
    assert grid.busy()
    await clock.settle()
    assert not grid.busy()
    assert len(subscriber.received) == 1


async def test_two_topics_of_one_name_are_refused(grid: EventGrid) -> None:
    grid.custom_topic("notices")
    with pytest.raises(ValueError, match="notices already"):
        grid.system_topic("notices", WORKSPACE)
