"""Who serves a request, who waits, who is turned away, and what the metrics say of it."""

import asyncio
import random
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.workload import Answer, ServiceProfile
from tests.local.workload.harness import World


async def ask(world: World, count: int, deployment: str | None = None) -> list[asyncio.Task[Answer]]:
    tasks = [asyncio.create_task(world.pool.score(deployment)) for _ in range(count)]
    await world.clock.settle()
    return tasks


def statuses(tasks: list[asyncio.Task[Answer]]) -> Counter[int]:
    return Counter(task.result().status for task in tasks if task.done())


async def test_a_request_takes_the_service_time_on_a_ready_instance() -> None:
    world = World(ServiceProfile(service_time_s=2))
    world.estate.add("blue", 1)
    (task,) = await ask(world, 1)
    await world.clock.advance(1.9)
    assert not task.done()
    await world.clock.advance(0.1)
    assert task.result() == Answer(status=200, deployment="blue", instance="blue-0", latency_s=2)


async def test_slots_are_taken_evenly_and_those_who_wait_are_served_in_order() -> None:
    world = World(ServiceProfile(service_time_s=1, concurrency=2))
    world.estate.add("blue", 3)
    tasks = await ask(world, 12)
    assert [world.pool.held(f"blue-{n}") for n in range(3)] == [2, 2, 2]
    await world.clock.advance(1)
    assert [task.done() for task in tasks] == [True] * 6 + [False] * 6
    await world.clock.advance(1)
    assert [task.result().latency_s for task in tasks] == [1] * 6 + [2] * 6
    assert Counter(task.result().instance for task in tasks) == {f"blue-{n}": 4 for n in range(3)}


async def test_more_than_twice_the_slots_are_turned_away_at_once() -> None:
    world = World(ServiceProfile(service_time_s=1, concurrency=2))
    world.estate.add("blue", 2)
    tasks = await ask(world, 11)
    assert statuses(tasks) == {429: 3}
    await world.clock.advance(2)
    assert statuses(tasks) == {429: 3, 200: 8}


async def test_without_a_ready_instance_or_traffic_nobody_serves() -> None:
    world = World()
    assert statuses(await ask(world, 1)) == {404: 1}
    (machine,) = world.estate.add("blue", 1, share=0)
    assert statuses(await ask(world, 1)) == {404: 1}
    for state in ("pending", "draining", "gone"):
        machine.state = state
        assert statuses(await ask(world, 1, "blue")) == {503: 1}


async def test_waiting_in_line_has_an_end() -> None:
    world = World(ServiceProfile(service_time_s=100), max_wait_s=10)
    world.estate.add("blue", 1)
    tasks = await ask(world, 2)
    await world.clock.advance(9.9)
    assert statuses(tasks) == {}
    await world.clock.advance(0.1)
    assert statuses(tasks) == {503: 1}
    assert statuses(await ask(world, 1)) == {}, "the place in line is free again"


async def test_a_draining_instance_finishes_what_it_holds_and_gets_nothing_new() -> None:
    world = World(ServiceProfile(service_time_s=5, concurrency=2))
    old, _ = world.estate.add("blue", 2)
    tasks = await ask(world, 4)
    old.state = "draining"
    more = await ask(world, 2)
    assert (world.pool.held("blue-0"), world.pool.held("blue-1")) == (2, 2)
    await world.clock.advance(5)
    assert Counter(task.result().instance for task in tasks) == {"blue-0": 2, "blue-1": 2}
    assert world.pool.held("blue-0") == 0
    await world.clock.advance(5)
    assert {task.result().instance for task in more} == {"blue-1"}


async def test_a_new_instance_helps_those_who_wait_when_the_next_slot_is_given_out() -> None:
    world = World(ServiceProfile(service_time_s=5, concurrency=1))
    world.estate.add("blue", 2)
    await ask(world, 4)
    world.estate.deployments["blue"].extend(world.estate.add("green", 1, share=0))
    await ask(world, 1)
    assert world.pool.held("green-0") == 1


async def test_requests_follow_the_traffic() -> None:
    world = World(ServiceProfile(service_time_s=1, concurrency=1000))
    world.estate.add("blue", 1, share=90)
    world.estate.add("green", 1, share=10)
    tasks = await ask(world, 1000)
    await world.clock.advance(1)
    served = Counter(task.result().deployment for task in tasks)
    assert served["blue"] + served["green"] == 1000
    assert 70 <= served["green"] <= 130
    (direct,) = await ask(world, 1, "green")
    await world.clock.advance(1)
    assert direct.result().deployment == "green"


async def test_a_client_that_goes_away_gives_its_slot_and_its_place_back() -> None:
    world = World(ServiceProfile(service_time_s=100))
    world.estate.add("blue", 1)
    served, waiting = await ask(world, 2)
    waiting.cancel()
    served.cancel()
    await world.clock.settle()
    assert world.pool.held("blue-0") == 0
    assert not world.pool.busy()
    assert statuses(await ask(world, 2)) == {}


async def test_a_slot_that_is_given_to_a_client_that_just_left_is_not_lost() -> None:
    world = World(ServiceProfile(service_time_s=100))
    world.estate.add("blue", 1)
    served, waiting = await ask(world, 2)
    served.cancel()
    await asyncio.sleep(0)  # the slot goes to the one who waits
    assert world.pool.held("blue-0") == 1
    waiting.cancel()
    await world.clock.settle()
    assert world.pool.held("blue-0") == 0
    assert not world.pool.busy()


@settings(max_examples=15, deadline=None)
@given(instances=st.integers(1, 4), concurrency=st.integers(1, 3), requests=st.integers(1, 40), seed=st.integers(0, 99))
def test_no_instance_ever_holds_more_than_its_slots(instances: int, concurrency: int, requests: int, seed: int) -> None:
    async def run() -> None:
        draws = random.Random(seed)
        world = World(ServiceProfile(lambda rng: rng.choice([0.5, 1.0, 2.0]), concurrency))
        machines = world.estate.add("blue", instances)
        tasks: list[asyncio.Task[Answer]] = []
        for _ in range(4):
            tasks += await ask(world, requests // 4 + 1)
            draws.choice(machines).state = draws.choice(["ready", "draining"])
            await world.clock.advance(0.5)
            assert all(0 <= world.pool.held(machine.id) <= concurrency for machine in machines)
        await world.clock.advance(300)
        assert all(task.done() for task in tasks)
        assert sum(world.pool.held(machine.id) for machine in machines) == 0
        assert not world.pool.busy()

    asyncio.run(run())


async def test_metrics_count_the_requests_of_each_minute() -> None:
    emitted = list[tuple[str, str, float, datetime, Mapping[str, str]]]()
    world = World(ServiceProfile(service_time_s=1, concurrency=2), emit=lambda *record: emitted.append(record))
    world.estate.add("blue", 1)
    start = world.clock.now()
    await world.clock.advance(30)
    await ask(world, 5)
    await world.clock.advance(29)
    assert emitted == []
    await world.clock.advance(1)
    by_status = {
        (name, dimensions.get("statusCode") or dimensions.get("envoy_response_code")): value
        for name, metric, value, at, dimensions in emitted
        if metric == "RequestsPerMinute" and at == start
    }
    assert by_status == {("vision", "200"): 4, ("vision", "429"): 1, ("blue", "200"): 4, ("blue", "429"): 1}
    classes = {d["statusCodeClass"] for name, metric, _, _, d in emitted if name == "vision" and "statusCode" in d}
    assert classes == {"2xx", "4xx"}
    latencies = {name: value for name, metric, value, _, _ in emitted if metric == "RequestLatency_P95"}
    assert latencies == {"blue": 2000, "vision": 2000}
    await world.clock.advance(600)
    assert {at for *_, at, _ in emitted} == {start}, "a minute without requests has no values"
    await ask(world, 1)
    await world.clock.advance(60)
    assert emitted[-1][3] == start + timedelta(minutes=11)


async def test_metrics_go_to_resource_ids_and_name_the_deployment() -> None:
    emitted = list[tuple[str, str, float, datetime, Mapping[str, str]]]()
    world = World(emit=lambda *record: emitted.append(record))
    blue = "/subscriptions/1/onlineEndpoints/vision/deployments/blue"
    world.estate.add(blue, 1)
    await ask(world, 1)
    await world.clock.advance(60)
    assert {name for name, *_ in emitted} == {"vision", blue}
    assert {labels["deployment"] for name, *_, labels in emitted if name == "vision"} == {"blue"}


async def test_a_shorter_window_counts_requests_a_minute_all_the_same() -> None:
    emitted = list[tuple[str, str, float, datetime, Mapping[str, str]]]()
    world = World(ServiceProfile(1, concurrency=9), emit=lambda *record: emitted.append(record), window_s=15)
    world.estate.add("blue", 1)
    await ask(world, 5)
    await world.clock.advance(15)
    assert [value for name, metric, value, *_ in emitted if (name, metric) == ("blue", "RequestsPerMinute")] == [20]


def test_a_profile_needs_at_least_one_slot() -> None:
    with pytest.raises(ValueError, match="concurrency must be at least 1"):
        ServiceProfile(concurrency=0)
