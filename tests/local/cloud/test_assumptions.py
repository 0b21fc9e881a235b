"""Every assumption is a live switch; for each, a real client sees the behaviour of every value."""

from typing import Any

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.core.rest import AsyncHttpResponse

from local.clock import VirtualClock
from local.cloud import Cloud, FixedQueues, Outcome, QueueCounts
from local.cloud.estate import Deployment
from shared.assumptions import BY_NAME
from tests.local.cloud.clients import ArmClient
from tests.local.cloud.conftest import BLUE, COLD_START_S, ENDPOINT, NAMESPACE, SUB
from tests.local.cloud.metrics_client import query, query_batch

GRAPH = "/providers/Microsoft.ResourceGraph/resources"
DEPLOYMENTS = "resources | where type =~ 'microsoft.machinelearningservices/workspaces/onlineendpoints/deployments'"
LOCATIONS = f"/subscriptions/{SUB}/providers/Microsoft.MachineLearningServices/locations/westeurope"


async def scale(arm: ArmClient, capacity: int) -> AsyncHttpResponse:
    return await arm.send("PATCH", BLUE, {"sku": {"name": "Default", "capacity": capacity}})


async def capacity_in_graph(arm: ArmClient) -> list[Any]:
    body = {"query": f"{DEPLOYMENTS} | project name, capacity = sku.capacity | order by name asc"}
    answer = await arm.send("POST", GRAPH, body, api="2022-10-01")
    return [row["capacity"] for row in answer.json()["data"] if row["name"] == "blue"]


def test_every_assumption_has_a_test_here() -> None:
    tested = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    of_azure = [name for name in BY_NAME if not name.startswith("durable.")]  # the local host's: tests/local/durable
    missing = [name for name in of_azure if name.replace(".", "_") not in tested]
    assert not missing


def test_an_unknown_value_is_refused_with_the_known_ones(cloud: Cloud) -> None:
    with pytest.raises(ValueError, match="accepted, conflict"):
        cloud.assumptions["endpoint.traffic_put_during_update"] = "perhaps"


async def test_deployment_patch_answer(arm: ArmClient, clock: VirtualClock, cloud: Cloud) -> None:
    cloud.assumptions["deployment.patch_answer"] = "ok_200"
    answer = await scale(arm, 3)
    assert (answer.status_code, answer.json()["properties"]["provisioningState"]) == (200, "Updating")
    assert not {"Location", "Azure-AsyncOperation"} & set(answer.headers)
    await clock.advance(COLD_START_S)

    cloud.assumptions["deployment.patch_answer"] = "accepted_location"
    answer = await scale(arm, 4)
    assert (answer.status_code, answer.text(), "Azure-AsyncOperation" in answer.headers) == (202, "", False)
    assert "/mfeOperationResults/" in answer.headers["Location"]
    await clock.advance(COLD_START_S)

    cloud.assumptions["deployment.patch_answer"] = "accepted_async_operation"
    answer = await scale(arm, 5)
    assert (answer.status_code, "Location" in answer.headers) == (202, False)
    assert (await arm.get(answer.headers["Azure-AsyncOperation"]))["status"] == "InProgress"
    await clock.advance(COLD_START_S)
    assert (await arm.get(answer.headers["Azure-AsyncOperation"]))["status"] == "Succeeded"


async def test_deployment_get_during_update(arm: ArmClient, clock: VirtualClock, cloud: Cloud) -> None:
    for value in ("old_capacity", "new_capacity"):
        cloud.assumptions["deployment.get_during_update"] = value
        capacity = (await arm.get(BLUE))["sku"]["capacity"]
        await scale(arm, capacity + 3)
        assert (await arm.get(BLUE))["sku"]["capacity"] == capacity + 3 * (value == "new_capacity")
        await clock.advance(COLD_START_S)
        assert (await arm.get(BLUE))["sku"]["capacity"] == capacity + 3


async def test_deployment_get_lag_s(arm: ArmClient, clock: VirtualClock, cloud: Cloud) -> None:
    async def state() -> str:
        (listed,) = [row for row in (await arm.get(f"{ENDPOINT}/deployments"))["value"] if row["name"] == "blue"]
        shown = await arm.get(BLUE)
        assert listed == shown
        return str(shown["properties"]["provisioningState"])

    await scale(arm, 3)
    assert await state() == "Updating"
    await clock.advance(COLD_START_S)
    cloud.assumptions["deployment.get_lag_s"] = "5"
    await scale(arm, 4)
    await clock.advance(4.9)
    assert await state() == "Succeeded", "as before the PATCH"
    await clock.advance(0.1)
    assert await state() == "Updating"


async def test_deployment_failed_operation_status(
    arm: ArmClient, clock: VirtualClock, cloud: Cloud, blue: Deployment
) -> None:
    for answer in ("accepted_location", "accepted_async_operation"):
        cloud.assumptions["deployment.patch_answer"] = answer
        blue.next_outcome = Outcome(code="OutOfCapacity")
        headers = (await scale(arm, 3)).headers
        url = headers.get("Location") or headers["Azure-AsyncOperation"]
        await clock.advance(5)
        for value in ("200", "409"):
            cloud.assumptions["deployment.failed_operation_status"] = value
            ended = await arm.send("GET", url)
            assert ended.status_code == int(value)
            assert (ended.json()["status"], ended.json()["error"]["code"]) == ("Failed", "OutOfCapacity")


async def test_arm_conflict_retry_after(arm: ArmClient, cloud: Cloud) -> None:
    await scale(arm, 3)
    for value, header in (("absent", None), ("present", "10")):
        cloud.assumptions["arm.conflict_retry_after"] = value
        conflict = await scale(arm, 4)
        assert (conflict.status_code, conflict.headers.get("Retry-After")) == (409, header)


async def test_endpoint_traffic_put_during_update(arm: ArmClient, cloud: Cloud) -> None:
    await scale(arm, 3)
    document = await arm.get(ENDPOINT)
    document["properties"]["traffic"] = {"blue": 80, "Green": 20}
    for value, status in (("conflict", 409), ("accepted", 200)):
        cloud.assumptions["endpoint.traffic_put_during_update"] = value
        assert (await arm.send("PUT", ENDPOINT, document)).status_code == status


async def test_arm_deployment_busy_with_endpoint(arm: ArmClient, clock: VirtualClock, cloud: Cloud) -> None:
    document = await arm.get(ENDPOINT)
    document["properties"]["traffic"] = {"blue": 80, "Green": 20}
    assert (await arm.send("PUT", ENDPOINT, document)).status_code == 200
    for value, status in (("conflict", 409), ("accepted", 202)):
        cloud.assumptions["arm.deployment_busy_with_endpoint"] = value
        assert (await scale(arm, 3)).status_code == status
    await clock.advance(COLD_START_S)
    assert (await arm.get(BLUE))["sku"]["capacity"] == 3
    assert (await arm.get(ENDPOINT))["properties"]["traffic"]["blue"] == 80


@pytest.fixture
def orders(cloud: Cloud) -> FixedQueues:
    queues = FixedQueues("orders-bus", ["orders", "returns"])
    cloud.attach_queues(queues)
    return queues


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


async def test_monitor_delay_s(clock: VirtualClock, cloud: Cloud) -> None:
    cloud.metrics.add(NAMESPACE, "IncomingMessages", 5, clock.now(), {"EntityName": "orders"})
    await clock.advance(60 + 60)
    cloud.assumptions["monitor.delay_s"] = "180"
    assert await query(cloud, NAMESPACE, "IncomingMessages", "Total") == []
    cloud.assumptions["monitor.delay_s"] = "60"
    assert [value for _, value in (await query(cloud, NAMESPACE, "IncomingMessages", "Total"))[0].values] == [5]


async def test_monitor_idle_totals(clock: VirtualClock, cloud: Cloud, orders: FixedQueues) -> None:
    for value, totals in (("absent", []), ("zero", [0.0])):
        cloud.assumptions["monitor.idle_totals"] = value
        await clock.advance(300)
        for metric in ("IncomingMessages", "CompleteMessage"):
            series = await query(cloud, NAMESPACE, metric, "Total", filter="EntityName eq 'orders'")
            assert [each.values[-1][1] for each in series] == totals


async def test_monitor_unknown_resource(clock: VirtualClock, cloud: Cloud) -> None:
    batch = [BLUE, f"{ENDPOINT}/deployments/gone", f"{ENDPOINT}/deployments/Green"]
    await clock.advance(180)
    with pytest.raises(ResourceNotFoundError, match="gone"):
        await query_batch(cloud, batch, "DeploymentCapacity", "Average")
    cloud.assumptions["monitor.unknown_resource"] = "left_out"
    answers = await query_batch(cloud, batch, "DeploymentCapacity", "Average")
    assert [series[0].values[-1][1] for series in answers] == [2, 1]


async def instances_now(cloud: Cloud, filter_by: str) -> list[tuple[str, float]]:
    """State and average of each series in the newest minute that has any."""
    found = await query(cloud, BLUE, "DeploymentCapacity", "Average", filter=filter_by)
    newest = max((series.values[-1][0] for series in found), default=None)
    return sorted((s.dimensions["state"], s.values[-1][1]) for s in found if s.values[-1][0] == newest)


async def test_monitor_capacity_states(arm: ArmClient, clock: VirtualClock, cloud: Cloud, blue: Deployment) -> None:
    blue.next_outcome = Outcome(kind="never")
    await scale(arm, 3)
    blue.instances[0].state = "draining"
    for value, words in (
        ("ready_pending_draining", ("Draining", "Pending", "Ready")),
        ("running_creating_deleting", ("Creating", "Deleting", "Running")),
    ):
        cloud.assumptions["monitor.capacity_states"] = value
        await clock.advance(300)
        assert await instances_now(cloud, "State eq '*'") == [(word, 1) for word in words]


async def test_monitor_capacity_counts(clock: VirtualClock, cloud: Cloud) -> None:
    for value, by_state, by_instance in (
        ("per_state", [("Ready", 2)], []),
        ("per_instance", [("Ready", 1)], [("Ready", 1), ("Ready", 1)]),
    ):
        cloud.assumptions["monitor.capacity_counts"] = value
        await clock.advance(300)
        assert await instances_now(cloud, "State eq '*'") == by_state
        assert await instances_now(cloud, "State eq '*' and instanceId eq '*'") == by_instance


async def test_graph_lists_deployments(arm: ArmClient, cloud: Cloud) -> None:
    assert await capacity_in_graph(arm) == [2]
    cloud.assumptions["graph.lists_deployments"] = "no"
    assert await capacity_in_graph(arm) == []


async def test_graph_age_s(arm: ArmClient, clock: VirtualClock, cloud: Cloud) -> None:
    await scale(arm, 3)
    await clock.advance(COLD_START_S)
    await clock.advance(29)
    assert await capacity_in_graph(arm) == [2]
    cloud.assumptions["graph.age_s"] = "0"
    assert await capacity_in_graph(arm) == [3]
    cloud.assumptions["graph.age_s"] = "30"
    await clock.advance(1)
    assert await capacity_in_graph(arm) == [3]


async def test_quota_family_names_join(arm: ArmClient, cloud: Cloud) -> None:
    def letters(text: str) -> str:
        return "".join(character for character in text.lower() if character.isalnum())

    async def joined() -> set[str]:
        sizes = (await arm.get(f"{LOCATIONS}/vmSizes"))["value"]
        usages = (await arm.get(f"{LOCATIONS}/usages"))["value"]
        rows = {letters(row["id"].rsplit("/", 1)[1]) for row in usages}
        return {size["family"] for size in sizes if letters(size["family"] + "ClusterDedicatedvCPUs") in rows}

    assert await joined() == {"standardDSv2Family", "standardFSv2Family", "standardNCSv3Family"}
    cloud.assumptions["quota.family_names_join"] = "no"
    assert await joined() == set()
