"""Of Azure Resource Manager, Resource Graph, quota and the activity log: what a client sees under each value."""

from datetime import timedelta
from typing import Any
from urllib.parse import quote

from local.clock import VirtualClock
from local.cloud import Cloud, Outcome
from local.cloud.estate import Deployment
from tests.local.cloud.assumptions.builders import scale
from tests.local.cloud.clients import ArmClient
from tests.local.cloud.conftest import BLUE, COLD_START_S, ENDPOINT, SUB

GRAPH = "/providers/Microsoft.ResourceGraph/resources"
DEPLOYMENTS = "resources | where type =~ 'microsoft.machinelearningservices/workspaces/onlineendpoints/deployments'"
LOCATIONS = f"/subscriptions/{SUB}/providers/Microsoft.MachineLearningServices/locations/westeurope"


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


async def capacity_in_graph(arm: ArmClient) -> list[Any]:
    body = {"query": f"{DEPLOYMENTS} | project name, capacity = sku.capacity | order by name asc"}
    answer = await arm.send("POST", GRAPH, body, api="2022-10-01")
    return [row["capacity"] for row in answer.json()["data"] if row["name"] == "blue"]


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


async def test_activitylog_carries_client_request_id(arm: ArmClient, clock: VirtualClock, cloud: Cloud) -> None:
    await scale(arm, 3)
    for value, carried in (("yes", True), ("no", False)):
        cloud.assumptions["activitylog.carries_client_request_id"] = value
        (event,) = await activity(arm, clock)
        assert ("clientRequestId" in event["httpRequest"]) is carried


async def test_activitylog_delay_s(arm: ArmClient, clock: VirtualClock, cloud: Cloud) -> None:
    cloud.assumptions["activitylog.delay_s"] = "600"
    await scale(arm, 3)
    assert await activity(arm, clock) == []
    await clock.advance(600)
    assert len(await activity(arm, clock)) == 1


async def activity(arm: ArmClient, clock: VirtualClock) -> list[Any]:
    start, end = clock.now() - timedelta(hours=1), clock.now() + timedelta(seconds=1)
    within = f"eventTimestamp ge '{start.isoformat()}' and eventTimestamp le '{end.isoformat()}'"
    path = f"/subscriptions/{SUB}/providers/Microsoft.Insights/eventtypes/management/values"
    answer = await arm.send("GET", f"{path}?$filter={quote(within)}", api="2015-04-01")
    found: list[Any] = answer.json()["value"]
    return found
