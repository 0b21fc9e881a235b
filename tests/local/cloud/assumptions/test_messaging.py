"""Of Service Bus and Event Grid: what a client sees under each value."""

import pytest
from azure.core.exceptions import ResourceNotFoundError, ServiceRequestError, ServiceResponseError
from azure.core.messaging import CloudEvent
from azure.eventgrid.aio import EventGridPublisherClient
from azure.identity.aio import ManagedIdentityCredential
from azure.servicebus import ServiceBusSubQueue
from azure.servicebus.aio import ServiceBusClient

from local.clock import VirtualClock
from local.cloud import Cloud, FixedQueues, QueueCounts
from local.world import Shape, World
from tests.local.cloud.clients import ArmClient
from tests.local.cloud.conftest import NAMESPACE


async def test_servicebus_list_carries_counts(arm: ArmClient, cloud: Cloud, orders: FixedQueues) -> None:
    orders.set("orders", QueueCounts(active=7))
    for value in ("yes", "no"):
        cloud.assumptions["servicebus.list_carries_counts"] = value
        row = (await arm.get(f"{NAMESPACE}/queues", api="2024-01-01"))["value"][0]
        assert ("countDetails" in row["properties"]) == (value == "yes")
        assert row["properties"]["messageCount"] == 7


async def test_servicebus_queue_location(arm: ArmClient, cloud: Cloud) -> None:
    for value, location in (("yes", "westeurope"), ("no", None)):
        cloud.assumptions["servicebus.queue_location"] = value
        read = await arm.get(f"{NAMESPACE}/queues/orders", api="2024-01-01")
        listed = (await arm.get(f"{NAMESPACE}/queues", api="2024-01-01"))["value"][0]
        assert (read.get("location"), listed.get("location")) == (location, location)


async def active(arm: ArmClient) -> int:
    queue = await arm.get(f"{NAMESPACE}/queues/orders", api="2024-01-01")
    return int(queue["properties"]["countDetails"]["activeMessageCount"])


async def test_servicebus_count_lag_s(arm: ArmClient, clock: VirtualClock, cloud: Cloud, orders: FixedQueues) -> None:
    orders.set("orders", QueueCounts(active=1))
    assert await active(arm) == 1
    cloud.assumptions["servicebus.count_lag_s"] = "3"
    await clock.advance(120)
    orders.set("orders", QueueCounts(active=9))
    await clock.advance(2.5)
    assert await active(arm) == 1
    await clock.advance(2)
    assert await active(arm) == 9


async def test_servicebus_locked_are_active(arm: ArmClient, cloud: Cloud, orders: FixedQueues) -> None:
    orders.set("orders", QueueCounts(active=5, locked=3))
    for value, count in (("yes", 8), ("no", 5)):
        cloud.assumptions["servicebus.locked_are_active"] = value
        assert await active(arm) == count


@pytest.mark.parametrize(("value", "age_s"), [("when_it_was_sent", 60), ("when_it_died", 0)])
async def test_servicebus_dead_letter_time(clock: VirtualClock, value: str, age_s: int) -> None:
    world = World(clock, Shape(over_the_wire=False), assumptions={"servicebus.dead_letter_time": value})
    await world.start()
    queue = world.broker.queue("signals")
    queue.send(b"{}")
    await clock.advance(60)
    (delivery,) = queue.receive(1)
    queue.dead_letter(delivery.lock_token)
    async with (
        ServiceBusClient.from_connection_string(world.broker.connection_string) as client,
        client.get_queue_receiver("signals", sub_queue=ServiceBusSubQueue.DEAD_LETTER) as receiver,
    ):
        (seen,) = await receiver.peek_messages(1)
    assert seen.enqueued_time_utc is not None
    assert (clock.now() - seen.enqueued_time_utc).total_seconds() == pytest.approx(age_s, abs=0.01)
    await world.stop()


async def test_eventgrid_deleted_topic(notes: Cloud) -> None:
    url = "https://gone.westeurope-1.eventgrid.azure.net/api/events"
    unreachable = (ServiceRequestError, ServiceResponseError)
    for value, error in (("answers_404", ResourceNotFoundError), ("no_address", unreachable)):
        notes.assumptions["eventgrid.deleted_topic"] = value
        credential = ManagedIdentityCredential()
        async with credential, EventGridPublisherClient(url, credential, retry_total=0) as client:
            with pytest.raises(error):
                await client.send([CloudEvent(source="s", type="t", data={})])
