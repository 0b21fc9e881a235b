"""A PATCH of sku.capacity from the request to the instances, through a real client."""

from local.clock import VirtualClock
from local.cloud import Cloud
from local.cloud.estate import Deployment
from tests.local.cloud.clients import ArmClient
from tests.local.cloud.conftest import BLUE, COLD_START_S


def scale_to(capacity: int) -> dict[str, dict[str, object]]:
    return {"sku": {"name": "Default", "capacity": capacity}}


async def test_scale_out_is_done_when_its_instances_are_ready(
    arm: ArmClient, clock: VirtualClock, blue: Deployment, cloud: Cloud
) -> None:
    accepted = await arm.send("PATCH", BLUE, scale_to(4))
    assert accepted.status_code == 202
    assert (await arm.get(BLUE))["properties"]["provisioningState"] == "Updating"
    assert [i.state for i in blue.instances] == ["ready", "ready", "pending", "pending"]

    await clock.advance(COLD_START_S - 1)
    still = await arm.send("GET", accepted.headers["Location"])
    assert (still.status_code, still.headers["Retry-After"]) == (202, "5")

    await clock.advance(1)
    ended = await arm.send("GET", accepted.headers["Location"])
    assert (ended.status_code, ended.json()["sku"]["capacity"]) == (200, 4)
    shown = await arm.get(BLUE)
    assert (shown["properties"]["provisioningState"], shown["sku"]["capacity"]) == ("Succeeded", 4)
    assert [i.state for i in blue.instances] == ["ready"] * 4
    assert [(r.method, r.status, r.accepted) for r in cloud.mutations()] == [("PATCH", 202, True)]
