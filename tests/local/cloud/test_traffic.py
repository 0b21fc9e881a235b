"""Traffic and tags of an endpoint: only a full PUT changes traffic."""

import copy
from typing import Any

from local.clock import VirtualClock
from local.cloud import Cloud
from tests.local.cloud.clients import ArmClient
from tests.local.cloud.conftest import BLUE, ENDPOINT


async def put_traffic(arm: ArmClient, traffic: dict[str, int]) -> Any:
    document = await arm.get(ENDPOINT)
    document["properties"]["traffic"] = traffic
    return await arm.send("PUT", ENDPOINT, document)


async def test_a_put_of_what_was_read_changes_only_the_traffic(arm: ArmClient, clock: VirtualClock) -> None:
    before = await arm.get(ENDPOINT)
    accepted = await put_traffic(arm, {"blue": 90, "Green": 10})
    assert accepted.status_code == 200
    status = await arm.get(accepted.headers["Azure-AsyncOperation"])
    assert status["status"] == "InProgress"
    updating = await arm.get(ENDPOINT)
    assert updating["properties"]["traffic"] == {"blue": 100, "Green": 0}
    assert updating["properties"]["provisioningState"] == "Updating"

    await clock.advance(2)
    assert (await arm.get(accepted.headers["Azure-AsyncOperation"]))["status"] == "Succeeded"
    after = await arm.get(ENDPOINT)
    expected = copy.deepcopy(before)
    expected["properties"]["traffic"] = {"blue": 90, "Green": 10}
    assert {k: v for k, v in after.items() if k != "systemData"} == {
        k: v for k, v in expected.items() if k != "systemData"
    }


async def test_traffic_that_makes_no_sense_is_refused(arm: ArmClient) -> None:
    wrong = {"blue": 90}, {"blue": 100, "purple": 0}, {"blue": 150, "Green": -50}
    for traffic in wrong:
        assert (await put_traffic(arm, traffic)).status_code == 400, traffic
    assert (await put_traffic(arm, {"blue": 0, "Green": 0})).status_code == 200


async def test_a_patch_takes_tags_and_identity_and_no_traffic(arm: ArmClient, clock: VirtualClock) -> None:
    refused = await arm.send("PATCH", ENDPOINT, {"properties": {"traffic": {"Green": 100}}})
    assert refused.status_code == 400
    assert "'properties'" in refused.json()["error"]["message"]
    accepted = await arm.send("PATCH", ENDPOINT, {"tags": {"tier": "gold"}})
    assert (accepted.status_code, "Location" in accepted.headers) == (202, True)
    await clock.advance(2)
    assert (await arm.send("GET", accepted.headers["Location"])).json()["tags"] == {"tier": "gold"}


async def test_nothing_else_changes_while_an_endpoint_updates(arm: ArmClient, cloud: Cloud) -> None:
    await put_traffic(arm, {"blue": 50, "Green": 50})
    assert (await put_traffic(arm, {"blue": 100})).status_code == 409
    assert (await arm.send("PATCH", BLUE, {"sku": {"capacity": 3}})).status_code == 409


async def test_a_put_does_not_create_what_is_not_there(arm: ArmClient) -> None:
    body = {"location": "westeurope", "properties": {"authMode": "Key"}}
    refused = await arm.send("PUT", f"{ENDPOINT}-2", body)
    assert refused.status_code == 404


async def test_a_put_drops_what_it_does_not_repeat(arm: ArmClient, clock: VirtualClock) -> None:
    await arm.send("PATCH", ENDPOINT, {"tags": {"tier": "gold"}})
    await clock.advance(2)
    before = await arm.get(ENDPOINT)
    body = {
        "location": before["location"],
        "identity": {"type": "SystemAssigned"},
        "properties": {"authMode": "Key", "traffic": {"blue": 100}},
    }
    assert (await arm.send("PUT", ENDPOINT, body)).status_code == 200
    await clock.advance(2)
    after = await arm.get(ENDPOINT)
    assert (after["tags"], after["identity"]) == ({}, before["identity"])
    assert "publicNetworkAccess" not in after["properties"]
    assert after["properties"]["scoringUri"] == before["properties"]["scoringUri"]
    assert (after["id"], after["name"], after["type"]) == (before["id"], before["name"], before["type"])
