"""Queue counts as Resource Manager shows them: the depth of a real broker's queues, or of fixed ones."""

from datetime import timedelta

from local.clock import VirtualClock
from local.cloud import BrokerQueues, Cloud, FixedQueues, QueueCounts
from local.servicebus import Broker
from tests.local.cloud.clients import ArmClient
from tests.local.cloud.conftest import DESCRIPTION, NAMESPACE, SUB, StartCloud
from tests.local.cloud.metrics_client import query

API = "2024-01-01"
CONFIG = {
    "UserConfig": {
        "Namespaces": [{"Name": "orders-bus", "Queues": [{"Name": "orders"}, {"Name": "returns"}]}],
        "Logging": {"Type": "File"},
    }
}


async def test_counts_and_metrics_are_those_of_the_brokers_messages(
    cloud: Cloud, arm: ArmClient, clock: VirtualClock
) -> None:
    broker = Broker(CONFIG, clock)
    cloud.attach_queues(BrokerQueues(broker))
    queue = broker.queue("orders")
    for number in range(5):
        queue.send(b"order %d" % number)
    first, second, _third = queue.receive(3)
    queue.complete(first.lock_token)
    queue.dead_letter(second.lock_token, "bad", "cannot be read")

    properties = (await arm.get(f"{NAMESPACE}/queues/Orders", api=API))["properties"]
    assert properties["countDetails"] == {
        "activeMessageCount": 3,
        "deadLetterMessageCount": 1,
        "scheduledMessageCount": 0,
        "transferMessageCount": 0,
        "transferDeadLetterMessageCount": 0,
    }
    assert properties["messageCount"] == 4, "all states together"
    assert properties["sizeInBytes"] == queue.size_bytes > 0

    await clock.advance(180)
    only = {"filter": "EntityName eq 'orders'"}
    for metric, aggregation, value in (
        ("IncomingMessages", "Total", 5),
        ("OutgoingMessages", "Total", 3),
        ("CompleteMessage", "Total", 1),
    ):
        (series,) = await query(cloud, NAMESPACE, metric, aggregation, **only)
        assert series.values[0] == (clock.now() - timedelta(seconds=180), value), metric
    (depth,) = await query(cloud, NAMESPACE, "ActiveMessages", "Maximum", **only)
    assert depth.values[0][1] == 3


async def test_dead_letter_queues_are_no_entities_of_the_metrics(cloud: Cloud, clock: VirtualClock) -> None:
    broker = Broker(CONFIG, clock)
    cloud.attach_queues(BrokerQueues(broker))
    broker.queue("orders").send(b"broken")
    (message,) = broker.queue("orders").receive(1)
    broker.queue("orders").dead_letter(message.lock_token, "bad", "cannot be read")
    assert broker.queue("orders/$DeadLetterQueue").receive(1), "an event of its own"
    await clock.advance(180)
    series = await query(cloud, NAMESPACE, "OutgoingMessages", "Total", filter="EntityName eq '*'")
    assert {each.dimensions["entityname"] for each in series} == {"orders", "returns"}


async def test_a_list_comes_in_pages_of_100(start_cloud: StartCloud) -> None:
    names = [f"queue-{number}" for number in range(250)]
    space = {"name": "orders-bus", "group": "rg-vision", "region": "westeurope", "queues": names}
    await start_cloud({"subscriptions": [{"id": SUB, "namespaces": [space]}]})
    async with ArmClient() as arm:
        url, listed, pages = f"{NAMESPACE}/queues", [], 0
        while url:
            page = await arm.get(url, api=API)
            listed += [row["name"] for row in page["value"]]
            url, pages = page.get("nextLink", ""), pages + 1
        assert (listed, pages) == (names, 3)
        page = await arm.get(f"{NAMESPACE}/queues?api-version={API}&$skip=240&$top=1000")
        assert len(page["value"]) == 10
        assert len((await arm.get(f"{NAMESPACE}/queues?api-version={API}&$top=1000"))["value"]) == 100
        wrong = await arm.send("GET", f"{NAMESPACE}/queues?api-version={API}&$top=many")
        assert wrong.status_code == 400


async def test_a_queue_without_a_source_is_empty_and_an_unknown_one_is_not_found(arm: ArmClient) -> None:
    queue = await arm.get(f"{NAMESPACE}/queues/returns", api=API)
    assert queue["properties"]["messageCount"] == 0
    assert queue["id"] == f"{NAMESPACE}/queues/returns"
    assert (await arm.send("GET", f"{NAMESPACE}/queues/none", api=API)).status_code == 404
    assert (await arm.send("GET", f"{NAMESPACE}-2/queues", api=API)).status_code == 404


async def test_two_namespaces_do_not_mix(start_cloud: StartCloud) -> None:
    second = {"name": "other-bus", "group": "rg-vision", "region": "westeurope", "queues": ["orders"]}
    first = DESCRIPTION["subscriptions"][0]
    description = {"subscriptions": [first | {"namespaces": [*first["namespaces"], second]}]}
    cloud: Cloud = await start_cloud(description)
    for name, active in (("orders-bus", 1), ("other-bus", 2)):
        queues = FixedQueues(name, ["orders"])
        queues.set("orders", QueueCounts(active=active))
        cloud.attach_queues(queues)
    async with ArmClient() as arm:
        shown = [
            (await arm.get(f"{path}/queues/orders", api=API))["properties"]["messageCount"]
            for path in (NAMESPACE, NAMESPACE.replace("orders-bus", "other-bus"))
        ]
    assert shown == [1, 2]
