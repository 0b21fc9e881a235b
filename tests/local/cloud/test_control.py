"""The control API, as another process uses it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from azure.core.exceptions import AzureError

from local.clock import VirtualClock
from local.cloud import Cloud
from tests.local.cloud.clients import ArmClient
from tests.local.cloud.conftest import BLUE, COLD_START_S

SCALE = {"sku": {"capacity": 3}}


@pytest.fixture
async def control(cloud: Cloud) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(cloud.control_url) as session:
        yield session


async def answer(control: aiohttp.ClientSession, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    async with control.request(method, path, json=body) as response:
        return response.status, (await response.json() if response.content_type == "application/json" else None)


async def test_requests_with_filters(control: aiohttp.ClientSession, arm: ArmClient) -> None:
    await arm.send("GET", BLUE)
    await arm.send("PATCH", BLUE, SCALE)
    await arm.send("PATCH", BLUE, {"nonsense": 1})
    status, found = await answer(control, "GET", "/requests?mutating=true&accepted=true&path=deployments/BLUE")
    (patched,) = found["value"]
    assert (status, patched["method"], patched["body"], patched["status"]) == (200, "PATCH", SCALE, 202)
    assert patched["client_request_id"]
    assert patched["principal"]
    since = found["next"]
    assert (await answer(control, "GET", f"/requests?since={since}"))[1]["value"] == []
    assert len((await answer(control, "GET", "/requests?method=GET&host=management"))[1]["value"]) == 1


async def test_another_process_kills_at_the_exact_request(
    control: aiohttp.ClientSession, arm: ArmClient, cloud: Cloud
) -> None:
    fault = {"method": "PATCH", "path": "deployments/blue$", "when": "after", "withhold": "hang"}
    status, added = await answer(control, "POST", "/faults", fault)
    assert (status, added["hits"]) == (201, 0)
    name = added["name"]
    assert (await answer(control, "GET", f"/faults/{name}/hit?timeout_s=0.05"))[1] == {"hit": False}
    sending = asyncio.create_task(arm.send("PATCH", BLUE, SCALE))
    assert (await answer(control, "GET", f"/faults/{name}/hit?timeout_s=10"))[1] == {"hit": True}
    assert len(cloud.instances(BLUE)) == 3, "after the effect, and before the answer"
    await answer(control, "POST", f"/faults/{name}/release")
    with pytest.raises(AzureError):
        await sending
    assert (await answer(control, "GET", "/faults"))[1][0]["hits"] == 1
    assert (await answer(control, "DELETE", "/faults"))[0] == 204
    assert (await answer(control, "GET", "/faults"))[1] == []


async def test_assumptions_are_read_and_turned(control: aiohttp.ClientSession, cloud: Cloud) -> None:
    status, values = await answer(control, "PUT", "/assumptions", {"deployment.patch_answer": "ok_200"})
    assert (status, values["deployment.patch_answer"]) == (200, "ok_200")
    assert cloud.assumptions["deployment.patch_answer"] == "ok_200"
    status, problem = await answer(control, "PUT", "/assumptions", {"graph.age_s": "0", "graph.age": "0"})
    assert status == 400
    assert "unknown assumption 'graph.age'" in problem["error"]
    assert (await answer(control, "GET", "/assumptions"))[1]["graph.age_s"] == "30", "all or none"


async def test_a_persons_change(
    control: aiohttp.ClientSession, arm: ArmClient, clock: VirtualClock, cloud: Cloud
) -> None:
    change = {"id": BLUE, "body": SCALE, "principal": "ada@watchkeeper.example"}
    assert (await answer(control, "POST", "/estate/patch", change))[1]["status"] == 202
    assert (await answer(control, "POST", "/estate/patch", change))[1]["status"] == 409, "Azure treats people alike"
    await clock.advance(COLD_START_S)
    shown = await arm.get(BLUE)
    assert shown["sku"]["capacity"] == 3
    assert shown["systemData"]["lastModifiedBy"] == "ada@watchkeeper.example"
    assert shown["systemData"]["lastModifiedByType"] == "User"
    assert cloud.mutations()[0].principal == "ada@watchkeeper.example"


async def test_the_estate_with_its_instances(control: aiohttp.ClientSession, arm: ArmClient) -> None:
    await arm.send("PATCH", BLUE, SCALE)
    deployments = (await answer(control, "GET", "/estate"))[1]["deployments"]
    blue = next(deployment for deployment in deployments if deployment["id"] == BLUE)
    assert (blue["provisioning_state"], blue["traffic_pct"]) == ("Updating", 100)
    assert [instance["state"] for instance in blue["instances"]] == ["ready", "ready", "pending"]
    assert blue["instances"][2]["ready_at"] == "2026-01-05T00:02:00+00:00"


async def test_outcomes_of_operations(control: aiohttp.ClientSession, arm: ArmClient, clock: VirtualClock) -> None:
    assert (await answer(control, "POST", "/estate/outcome", {"id": BLUE, "kind": "never"}))[0] == 204
    await arm.send("PATCH", BLUE, SCALE)
    await clock.advance(7200)
    assert (await arm.get(BLUE))["properties"]["provisioningState"] == "Updating"
    assert (await answer(control, "POST", "/estate/release", {"id": BLUE}))[0] == 204
    assert (await arm.get(BLUE))["properties"]["provisioningState"] == "Succeeded"
    failure = {"id": BLUE, "code": "OutOfCapacity", "message": "none left", "after_s": 1}
    await answer(control, "POST", "/estate/outcome", failure)
    await arm.send("PATCH", BLUE, {"sku": {"capacity": 4}})
    await clock.advance(1)
    assert (await arm.get(BLUE))["properties"]["provisioningState"] == "Failed"


async def test_tokens_expire_on_demand(control: aiohttp.ClientSession, arm: ArmClient) -> None:
    await arm.get(BLUE)
    await answer(control, "POST", "/identity/expire")
    assert (await arm.send("GET", BLUE)).status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "says"),
    [
        ("POST", "/faults", {"route": "x"}, 400, "keys of: body, delay_s"),
        ("POST", "/faults", {"path": "("}, 400, "not a regular expression"),
        ("POST", "/faults/none/release", None, 404, "none"),
        ("POST", "/estate/outcome", {"id": "nowhere"}, 404, "no deployment nowhere"),
        ("POST", "/estate/outcome", {"id": BLUE, "kind": "perhaps"}, 400, "error or never"),
        ("POST", "/estate/patch", {"body": {}}, 404, "id"),
        ("PUT", "/assumptions", ["x"], 400, "a JSON object is expected"),
        ("GET", "/requests?since=yesterday", None, 400, "yesterday"),
    ],
)
async def test_bad_input_gets_a_clear_error(
    control: aiohttp.ClientSession, arm: ArmClient, method: str, path: str, body: Any, status: int, says: str
) -> None:
    await arm.send("GET", BLUE)
    found, problem = await answer(control, method, path, body)
    assert found == status
    assert says in problem["error"]
