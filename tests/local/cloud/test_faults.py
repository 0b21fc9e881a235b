"""Injected faults, as a real client meets them."""

import asyncio
from typing import Any

import pytest
from azure.core.exceptions import AzureError

from local.clock import VirtualClock
from local.cloud import Call, Cloud, Fault
from tests.local.cloud.clients import ArmClient
from tests.local.cloud.conftest import BLUE, ENDPOINT

SCALE = {"sku": {"capacity": 5}}
PATCH: dict[str, Any] = {"method": "PATCH", "path": "/deployments/blue$"}


def effects(cloud: Cloud) -> list[tuple[int | None, int | None]]:
    """(what the service decided, what the caller was told) of every mutating request."""
    return [(record.effect_status, record.status) for record in cloud.mutations()]


async def test_an_answer_instead_of_the_services_before_the_effect(arm: ArmClient, cloud: Cloud) -> None:
    cloud.faults.add(
        Fault(**PATCH, status=503, headers={"Retry-After": "7"}, body={"error": {"code": "Busy"}}, times=2)
    )
    for _ in range(2):
        answer = await arm.send("PATCH", BLUE, SCALE)
        assert (answer.status_code, answer.headers["Retry-After"], answer.json()) == (
            503,
            "7",
            {"error": {"code": "Busy"}},
        )
    assert len(cloud.instances(BLUE)) == 2
    assert (await arm.send("PATCH", BLUE, SCALE)).status_code == 202, "a fault is used up after n hits"
    assert effects(cloud) == [(None, 503), (None, 503), (202, 202)]


async def test_an_error_after_the_effect(arm: ArmClient, cloud: Cloud) -> None:
    fault = cloud.faults.add(Fault(**PATCH, when="after", status=500))
    assert (await arm.send("PATCH", BLUE, SCALE)).status_code == 500
    assert len(cloud.instances(BLUE)) == 5
    assert effects(cloud) == [(202, 500)]
    assert cloud.mutations()[0].faults == [fault.name]


@pytest.mark.parametrize(("when", "instances"), [("before", 2), ("after", 5)])
async def test_a_connection_that_closes_without_an_answer(
    arm: ArmClient, cloud: Cloud, when: Any, instances: int
) -> None:
    cloud.faults.add(Fault(**PATCH, when=when, withhold="close"))
    await arm.get(BLUE)
    with pytest.raises(AzureError):
        await arm.send("PATCH", BLUE, SCALE)
    assert len(cloud.instances(BLUE)) == instances
    assert effects(cloud) == [(202 if when == "after" else None, None)], "the client must not have repeated it"
    assert (await arm.send("GET", BLUE)).status_code == 200


async def test_a_request_that_hangs_until_it_is_released(arm: ArmClient, cloud: Cloud, clock: VirtualClock) -> None:
    fault = cloud.faults.add(Fault(**PATCH, when="after", withhold="hang"))
    sending = asyncio.create_task(arm.send("PATCH", BLUE, SCALE))
    assert await fault.wait_for_hit(5)
    assert len(cloud.instances(BLUE)) == 5
    await clock.advance(3600)
    assert not sending.done()
    assert not cloud.busy(), "a request that hangs must not stop the virtual clock"
    fault.release()
    with pytest.raises(AzureError):
        await sending


async def test_a_delay_on_the_clock(arm: ArmClient, cloud: Cloud, clock: VirtualClock) -> None:
    fault = cloud.faults.add(Fault(method="GET", delay_s=90))
    reading = asyncio.create_task(arm.send("GET", BLUE))
    assert await fault.wait_for_hit(5)
    await clock.advance(89)
    assert not reading.done()
    await clock.advance(1)
    assert (await reading).status_code == 200


async def test_a_hook_runs_at_the_exact_request(arm: ArmClient, cloud: Cloud) -> None:
    seen: list[tuple[int, int]] = []

    async def look(call: Call) -> None:
        await asyncio.sleep(0)
        seen.append((call.json()["sku"]["capacity"], len(cloud.instances(BLUE))))

    cloud.faults.add(Fault(**PATCH, on_hit=look))
    cloud.faults.add(Fault(**PATCH, when="after", on_hit=look))
    assert (await arm.send("PATCH", BLUE, SCALE)).status_code == 202, "a fault without trouble lets the request through"
    assert seen == [(5, 2), (5, 5)]


async def test_a_fault_meets_only_what_it_matches(arm: ArmClient, cloud: Cloud) -> None:
    cloud.faults.add(Fault(method="GET", host=r"metrics\.monitor", status=500, times=9))
    cloud.faults.add(Fault(method="PATCH", status=500, times=9))
    cloud.faults.add(Fault(path="/deployments/GREEN", status=404, times=9))
    assert (await arm.send("GET", BLUE)).status_code == 200
    assert (await arm.send("GET", f"{ENDPOINT}/deployments/Green")).status_code == 404
    cloud.faults.clear()
    assert (await arm.send("GET", f"{ENDPOINT}/deployments/Green")).status_code == 200


async def test_the_identity_can_fail_too(arm: ArmClient, cloud: Cloud) -> None:
    cloud.faults.add(Fault(host="identity", status=400, body={"error": "invalid_request"}, times=99))
    with pytest.raises(AzureError):
        await arm.send("GET", BLUE)
    assert all(record.host == "identity" for record in cloud.requests)


@pytest.mark.parametrize("wrong", [{"path": "("}, {"when": "during"}, {"withhold": "maybe"}])
def test_a_fault_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="fault: "):
        Fault(**wrong)
