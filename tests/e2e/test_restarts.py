"""The host ends, gracefully or not, while nothing or something is under way: what was armed goes on."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from handlers.orders import instance_id
from local.world import DEPLOYMENT, ENDPOINT
from shared.domain import Order
from tests.e2e.stage import SMALL, Stage, stage

LONG = replace(SMALL, cold_start_s=6.0)
STOPS_WITHIN_S = 10.0
ORDER = Order(endpoint_key=ENDPOINT.lower(), target=DEPLOYMENT.lower(), dimension="capacity")


@pytest.fixture
async def on(azurite: str, tmp_path: Path) -> AsyncIterator[Stage]:
    async with stage(azurite, tmp_path, shape=LONG) as made:
        yield made


async def wait_for_an_armed_timer(on: Stage) -> None:
    """The act waits for Azure by a durable timer."""
    await on.until("the change is accepted", lambda: len(on.accepted()) == 1)
    await asyncio.sleep(1)
    assert await on.orchestration_status(instance_id(ORDER)) == "Running"


async def assert_done_once(on: Stage, to: int) -> None:
    await on.until(f"capacity is {to}", lambda: on.capacity() == to)
    (decision,) = await on.entries("decision")
    assert (await on.outcome_of(decision))["summary"].startswith("Done (verified)")
    await on.until_orchestration_ends(instance_id(ORDER))
    assert len(on.accepted()) == 1


async def test_killed_while_idle_it_watches_on(on: Stage) -> None:
    await asyncio.sleep(2)
    await on.host.kill()
    await on.host.start()
    on.set_least(2)
    await assert_done_once(on, 2)


async def test_killed_while_a_durable_timer_is_armed_it_goes_on(on: Stage) -> None:
    on.set_least(2)
    await wait_for_an_armed_timer(on)
    await on.host.kill()
    await on.host.start()
    await assert_done_once(on, 2)


async def test_killed_again_and_again_it_is_still_one_change(on: Stage) -> None:
    on.set_least(2)
    for _ in range(3):
        await on.host.kill()
        await on.host.start()
        await asyncio.sleep(0.7)
    await assert_done_once(on, 2)


async def test_a_graceful_stop_takes_seconds_and_loses_nothing(on: Stage) -> None:
    on.set_least(2)
    await wait_for_an_armed_timer(on)
    started = time.monotonic()
    await on.host.stop()
    assert time.monotonic() - started < STOPS_WITHIN_S
    assert await on.host.ended() == 0
    await on.host.start()
    await assert_done_once(on, 2)
