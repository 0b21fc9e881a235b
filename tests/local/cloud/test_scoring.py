"""Scoring URIs lead to what plays the endpoint's instances."""

import asyncio
import random

import aiohttp

from local.clock import VirtualClock
from local.cloud import Call, Cloud, Reply
from local.workload import ScoringPool, ServiceProfile
from tests.local.cloud.clients import ArmClient
from tests.local.cloud.conftest import BLUE, ENDPOINT

URI = "https://fraud.westeurope.inference.ml.azure.com/score"


async def score(cloud: Cloud, uri: str = URI) -> tuple[int, str]:
    proxy = cloud.environment()["HTTPS_PROXY"]
    async with aiohttp.ClientSession() as session, session.post(uri, data=b"[1, 2]", proxy=proxy) as response:
        return response.status, await response.text()


async def test_a_request_goes_to_the_workload(cloud: Cloud) -> None:
    async def serve(call: Call) -> Reply:
        return Reply(200, b"got " + call.body, {"azureml-model-deployment": "blue"})

    cloud.serve(ENDPOINT, serve, lambda _instance: 0)
    assert await score(cloud) == (200, "got [1, 2]")
    (record,) = [each for each in cloud.requests if each.path == "/score"]
    assert (record.status, record.mutating) == (200, False)


async def test_nobody_serves_an_endpoint_without_a_workload(cloud: Cloud) -> None:
    assert (await score(cloud))[0] == 404


async def test_serving_takes_its_time_on_the_clock(cloud: Cloud, clock: VirtualClock) -> None:
    started = asyncio.Event()

    async def serve(_call: Call) -> Reply:
        started.set()
        await clock.sleep(30)
        return Reply(200, b"done")

    cloud.serve(ENDPOINT, serve, lambda _instance: 0)
    asking = asyncio.create_task(score(cloud))
    await asyncio.wait_for(started.wait(), 5)
    await clock.advance(29)
    assert not asking.done()
    await clock.advance(1)
    assert await asking == (200, "done")


def test_traffic_and_instances_are_told_by_deployment(cloud: Cloud) -> None:
    assert cloud.traffic(ENDPOINT) == {BLUE: 100, f"{ENDPOINT}/deployments/Green": 0}
    assert [len(cloud.instances(deployment)) for deployment in cloud.traffic(ENDPOINT)] == [2, 1]


async def test_a_draining_instance_finishes_what_the_pool_gave_it(cloud: Cloud, clock: VirtualClock) -> None:
    def profile(_deployment: str) -> ServiceProfile:
        return ServiceProfile(service_time_s=30, concurrency=1)

    pool = ScoringPool(ENDPOINT, cloud, clock, random.Random(1), profile_of=profile)
    pool.start()
    clock.add_busy_probe(pool.busy)
    cloud.serve(ENDPOINT, None, pool.held)
    both = [asyncio.create_task(pool.score()) for _ in range(2)]
    await clock.advance(10)
    async with ArmClient() as arm:
        await arm.send("PATCH", BLUE, {"sku": {"capacity": 1}})
    await clock.advance(19)
    assert [instance.state for instance in cloud.instances(BLUE)] == ["ready", "draining"]
    await clock.advance(2)
    assert [(await answered).status for answered in both] == [200, 200]
    assert [instance.state for instance in cloud.instances(BLUE)] == ["ready"]
