"""No event before the endpoint has proved that it wants them."""

from collections.abc import Callable

import aiohttp
import pytest
from aiohttp import web

from local.clock import VirtualClock
from local.eventgrid import EventGrid, EventSubscription, Schema, State, Topic, Webhook
from tests.local.eventgrid.conftest import Subscriber
from tests.local.eventgrid.test_publishing import raw_event


def echo(code: str, status: int) -> web.Response:
    return web.json_response({"validationResponse": code}, status=status)


async def subscribed(grid: EventGrid, topic: Topic, url: str, schema: Schema = Schema.EVENT_GRID) -> EventSubscription:
    subscription = EventSubscription(name="watch", destination=Webhook(url), schema=schema)
    assert await grid.subscribe(topic, subscription) is subscription.state
    return subscription


async def test_the_validation_event_is_as_azure_sends_it(grid: EventGrid, subscriber: Subscriber) -> None:
    topic = grid.custom_topic("notices")
    assert (await subscribed(grid, topic, subscriber.url)).state is State.SUCCEEDED
    (request,) = subscriber.validations
    (event,) = request.body
    assert event["eventType"] == "Microsoft.EventGrid.SubscriptionValidationEvent"
    assert event["topic"] == topic.source
    assert set(event["data"]) == {"validationCode", "validationUrl"}
    assert request.headers["aeg-event-type"] == "SubscriptionValidation"
    assert request.headers["aeg-subscription-name"] == "WATCH"


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (lambda code: echo(code, status=202), State.FAILED),
        (lambda code: echo(code, status=404), State.FAILED),
        (lambda code: web.Response(status=200), State.AWAITING_MANUAL_ACTION),
        (lambda code: web.json_response(["no object"]), State.AWAITING_MANUAL_ACTION),
        (lambda code: echo("another code", status=200), State.AWAITING_MANUAL_ACTION),
    ],
)
async def test_without_the_echoed_code_and_a_200_no_event_flows(
    grid: EventGrid, clock: VirtualClock, subscriber: Subscriber, answer: Callable[[str], web.Response], state: State
) -> None:
    subscriber.validation_answer = answer
    topic = grid.custom_topic("notices")
    subscription = await subscribed(grid, topic, subscriber.url)
    assert subscription.state is state
    assert subscription.problem
    topic.publish([raw_event()])
    await clock.settle()
    assert subscriber.received == []


@pytest.mark.parametrize(
    ("after_s", "status", "state"), [(599, 200, State.SUCCEEDED), (601, 404, State.AWAITING_MANUAL_ACTION)]
)
async def test_a_person_may_open_the_validation_url_within_ten_minutes_once(
    grid: EventGrid, clock: VirtualClock, subscriber: Subscriber, after_s: float, status: int, state: State
) -> None:
    subscriber.validation_answer = lambda code: web.Response(status=200)
    subscription = await subscribed(grid, grid.custom_topic("notices"), subscriber.url)
    url = subscriber.validations[0].body[0]["data"]["validationUrl"]
    await clock.advance(after_s)
    async with aiohttp.ClientSession() as http:
        for expected in (status, 404):
            async with http.get(url) as answer:
                assert answer.status == expected
    assert subscription.state is state


@pytest.mark.parametrize(
    ("allowed", "status", "state"),
    [
        ("eventgrid.azure.net", 200, State.SUCCEEDED),
        ("*", 200, State.SUCCEEDED),
        ("", 200, State.FAILED),
        ("example.com", 200, State.FAILED),
        ("*", 405, State.FAILED),
    ],
)
async def test_cloud_events_ask_for_permission_with_options(
    grid: EventGrid, subscriber: Subscriber, allowed: str, status: int, state: State
) -> None:
    subscriber.allowed_origin, subscriber.options_status = allowed, status
    subscription = await subscribed(grid, grid.custom_topic("notices"), subscriber.url, Schema.CLOUD_EVENTS)
    assert subscription.state is state
    assert subscriber.options[0]["WebHook-Request-Origin"] == "eventgrid.azure.net"


@pytest.mark.parametrize("schema", list(Schema))
async def test_an_endpoint_that_does_not_answer_fails_with_the_reason(grid: EventGrid, schema: Schema) -> None:
    subscription = await subscribed(grid, grid.custom_topic("notices"), "http://127.0.0.1:1/", schema)
    assert subscription.state is State.FAILED
    assert "SocketError" in subscription.problem or "ConnectorError" in subscription.problem
