"""Scoring URIs lead to what plays the endpoint's instances."""

import asyncio

import aiohttp

from local.clock import VirtualClock
from local.cloud import Call, Cloud, Reply
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
