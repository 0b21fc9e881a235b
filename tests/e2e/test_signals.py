"""What wakes the app between two sweeps, over the real wire; the next sweep is half an hour away."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from azure.core.credentials import AzureKeyCredential
from azure.eventgrid import EventGridEvent
from azure.eventgrid.aio import EventGridPublisherClient
from azure.storage.blob.aio import BlobServiceClient

from local.eventgrid import EventSubscription, Topic, Webhook
from local.eventgrid.subscriptions import ServiceBusQueue, State
from local.world import DEPLOYMENT, NAMESPACE, SIGNALS_QUEUE, WORK_QUEUE
from tests.e2e.stage import Stage, policy_text, stage

SOON_S = 15.0
# A message whose settlement was cut off is locked for a minute.
DROPPED_S = 120.0


def far_from_now() -> str:
    """A sweep once an hour, half an hour from now."""
    return f"0 {(datetime.now(UTC) + timedelta(minutes=30)).minute} * * * *"


@pytest.fixture
async def on(azurite: str, tmp_path: Path) -> AsyncIterator[Stage]:
    async with stage(azurite, tmp_path, sweep=far_from_now()) as made:
        yield made


def written(resource: str) -> EventGridEvent:
    """Somebody has changed a resource."""
    return EventGridEvent(
        subject=resource,
        event_type="Microsoft.Resources.ResourceWriteSuccess",
        data={"resourceUri": resource, "operationName": "write"},
        data_version="2.0",
    )


def alert(target: str, queue: str) -> dict[str, Any]:
    """A metric alert in the common alert schema, as an action group posts it."""
    criterion = {"metricName": "ActiveMessages", "dimensions": [{"name": "EntityName", "value": queue}]}
    return {
        "schemaId": "azureMonitorCommonAlertSchema",
        "data": {
            "essentials": {
                "alertId": f"/subscriptions/s/providers/Microsoft.AlertsManagement/alerts/{queue}",
                "alertRule": "the queue is deep",
                "monitorCondition": "Fired",
                "alertTargetIDs": [target],
                "firedDateTime": datetime.now(UTC).isoformat(),
            },
            "alertContext": {"condition": {"allOf": [criterion]}},
        },
    }


async def publish(topic: Topic, event: EventGridEvent) -> None:
    credential = AzureKeyCredential(topic.key or "")
    async with EventGridPublisherClient(topic.endpoint, credential, retry_total=0) as publisher:
        await publisher.send(event)


async def assert_a_signal_leads_to_a_change(on: Stage, cause: str) -> None:
    """One decision, for that cause, and its one accepted request, long before the next sweep."""
    await on.until("the signal leads to an accepted PATCH", lambda: len(on.accepted()) == 1, SOON_S)
    (decision,) = await on.entries("decision")
    explained = await on.call("GET", f"explain/{decision['id']}")
    assert explained["cause"].startswith(cause)
    assert (await on.outcome_of(decision))["summary"].startswith("Done (verified)")
    assert len(on.accepted()) == 1


async def test_an_event_reaches_the_loop_through_the_queue(on: Stage) -> None:
    topic = on.world.events.custom_topic("estate")
    await on.world.events.subscribe(
        topic, EventSubscription(name="to-queue", destination=ServiceBusQueue(SIGNALS_QUEUE))
    )
    on.set_least(2)
    await publish(topic, written(DEPLOYMENT))
    await assert_a_signal_leads_to_a_change(on, "signal resource.written")
    counts = on.world.broker.queue(SIGNALS_QUEUE).counts()
    assert (counts.active, counts.locked, counts.dead_letter) == (0, 0, 0)


async def test_an_event_reaches_the_loop_through_the_webhook_after_its_handshake(on: Stage) -> None:
    webhook = f"{on.host.url}/runtime/webhooks/eventgrid?functionName=intake_event_grid&code={on.host.event_grid_key}"
    topic = on.world.events.custom_topic("estate")
    subscription = EventSubscription(name="to-app", destination=Webhook(webhook))
    assert await on.world.events.subscribe(topic, subscription) is State.SUCCEEDED, subscription.problem
    on.set_least(2)
    await publish(topic, written(DEPLOYMENT))
    await assert_a_signal_leads_to_a_change(on, "signal resource.written")
    assert [delivery.outcome for delivery in subscription.deliveries] == ["Delivered"]


async def test_a_webhook_with_a_wrong_key_is_never_subscribed(on: Stage) -> None:
    webhook = f"{on.host.url}/runtime/webhooks/eventgrid?functionName=intake_event_grid&code=wrong"
    topic = on.world.events.custom_topic("estate")
    subscription = EventSubscription(name="to-app", destination=Webhook(webhook))
    assert await on.world.events.subscribe(topic, subscription) is State.FAILED


async def test_an_alert_on_the_queue_wakes_its_target_and_one_on_another_queue_does_not(on: Stage) -> None:
    on.set_least(2)
    others = await on.call("POST", "alerts", alert(NAMESPACE, "another-queue"))
    assert [item["targets"] for item in others["items"]] == [0]
    taken = await on.call("POST", "alerts", alert(NAMESPACE.upper(), WORK_QUEUE))
    assert [(item["kind"], item["targets"], item["decided"]) for item in taken["items"]] == [("alert.metric", 1, 1)]
    await assert_a_signal_leads_to_a_change(on, "signal alert.metric")


async def test_the_same_event_many_times_is_one_change(on: Stage) -> None:
    queue = on.world.broker.queue(SIGNALS_QUEUE)
    on.set_least(2)
    event = {"id": "e-1", "eventType": "Microsoft.Resources.ResourceWriteSuccess", "eventTime": "2026-01-05T12:00:00Z"}
    body = json.dumps(event | {"data": {"resourceUri": DEPLOYMENT}}).encode()
    for _ in range(12):
        queue.send(body)
    await assert_a_signal_leads_to_a_change(on, "signal resource.written e-1")
    await on.until("all are settled", lambda: queue.counts().active + queue.counts().locked == 0)
    assert len(on.accepted()) == len(await on.entries("decision")) == 1


async def test_a_broker_that_drops_connections_loses_no_signal(on: Stage) -> None:
    """What was received and not settled comes again, and is known."""
    queue = on.world.broker.queue(SIGNALS_QUEUE)
    on.set_least(2)
    event = {"eventType": "Microsoft.Resources.ResourceWriteSuccess", "eventTime": "2026-01-05T12:00:00Z"}
    for number in range(15):
        queue.send(json.dumps(event | {"id": f"e-{number}", "data": {"resourceUri": DEPLOYMENT}}).encode())
        if number % 4 == 0:
            on.world.broker.drop_connections()
        await asyncio.sleep(0.1)
    await on.until("all are settled", lambda: queue.counts().active + queue.counts().locked == 0, DROPPED_S)
    signals = (await on.call("GET", "signals?limit=100"))["signals"]
    assert sorted(one["signal"]["id"] for one in signals) == sorted(f"e-{number}" for number in range(15))
    assert queue.counts().dead_letter == 0
    await on.until("they lead to an accepted PATCH", lambda: len(on.accepted()) == 1, SOON_S)


async def test_a_malformed_message_is_kept_in_the_quarantine_and_stops_no_other(on: Stage) -> None:
    """A trigger cannot say why it gives a message up: so it is kept where the reason is, and settled."""
    queue = on.world.broker.queue(SIGNALS_QUEUE)
    on.set_least(2)
    queue.send(b'{"no": "event"}')
    await publish_into_queue(on, written(DEPLOYMENT))
    await assert_a_signal_leads_to_a_change(on, "signal resource.written")
    await on.until("all are settled", lambda: queue.counts().active + queue.counts().locked == 0)
    assert queue.counts().dead_letter == 0
    (kept,) = (await on.call("GET", "quarantine"))["entries"]
    assert "is neither an Event Grid event" in kept["reason"]
    assert [(origin["trigger"], origin["queue"]) for origin in kept["origins"]] == [("service_bus", SIGNALS_QUEUE)]
    assert (await on.call("GET", f"quarantine/{kept['id']}"))["body"] == '{"no": "event"}'


async def test_a_cloud_event_reaches_the_loop_through_the_webhook(on: Stage) -> None:
    webhook = f"{on.host.url}/runtime/webhooks/eventgrid?functionName=intake_event_grid&code={on.host.event_grid_key}"
    on.set_least(2)
    cloud_event = {
        "specversion": "1.0",
        "id": "ce-1",
        "source": NAMESPACE.partition("/resourceGroups")[0],
        "type": "Microsoft.Resources.ResourceWriteSuccess",
        "time": "2026-01-05T12:00:00.1234567Z",
        "data": {"resourceUri": DEPLOYMENT},
    }
    async with ClientSession() as http:
        for _ in range(2):
            sent = http.post(webhook, json=cloud_event, headers={"aeg-event-type": "Notification"})
            async with sent as answer:
                assert answer.status == 202
    await assert_a_signal_leads_to_a_change(on, "signal resource.written ce-1")
    (signal,) = (await on.call("GET", "signals"))["signals"]
    assert (signal["signal"]["id"], signal["origin"]["trigger"]) == ("ce-1", "event_grid")


async def publish_into_queue(on: Stage, event: EventGridEvent) -> None:
    topic = on.world.events.custom_topic("estate")
    await on.world.events.subscribe(
        topic, EventSubscription(name="to-queue", destination=ServiceBusQueue(SIGNALS_QUEUE))
    )
    await publish(topic, event)


async def test_the_policy_in_a_blob_is_read_again_when_it_changes(azurite: str, tmp_path: Path) -> None:
    async with BlobServiceClient.from_connection_string(azurite) as blobs:
        container = blobs.get_container_client("e2e-policies")
        await container.create_container()
        await container.upload_blob("policy.yaml", policy_text(1))
        async with stage(
            azurite,
            tmp_path,
            WATCHKEEPER_POLICY_FILE="",
            WATCHKEEPER_POLICY_BLOB="e2e-policies/policy.yaml",
        ) as on:
            pid = on.host.pid
            await asyncio.sleep(2)
            assert not on.accepted()
            await container.upload_blob("policy.yaml", policy_text(2), overwrite=True)
            await on.until("the new minimum is met", lambda: on.capacity() == 2, SOON_S)
            await container.upload_blob("policy.yaml", "version: 1\ntargets: nonsense\n", overwrite=True)
            await on.until("the refusal is shown", lambda: _refused(on), SOON_S)
            assert (on.host.pid, on.capacity()) == (pid, 2)
            assert (await on.call("GET", "targets/chat"))["scaling"]["min"] == 2


async def _refused(on: Stage) -> bool:
    return (await on.call("GET", "targets"))["policy"]["refused"] is not None
