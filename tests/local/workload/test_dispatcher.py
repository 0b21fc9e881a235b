"""Depth and rates are consequences of real messages: nothing is lost, nothing is completed that was not served."""

import asyncio
import random
from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.workload import Dispatcher, QueueInbox, ServiceProfile, Work
from tests.local.workload.harness import World


async def test_messages_are_served_and_completed() -> None:
    world = World()
    world.estate.add("blue", 2)
    dispatcher = world.dispatcher()
    world.send(5)
    await world.clock.advance(10)
    assert world.completions == dispatcher.counts.completed == 5
    assert world.queue.counts().active == 0
    assert dispatcher.held == 0


@pytest.mark.parametrize(("instances", "concurrency", "service_time_s"), [(1, 1, 2.0), (2, 3, 1.5), (4, 1, 0.5)])
async def test_throughput_is_what_the_instances_can_do(instances: int, concurrency: int, service_time_s: float) -> None:
    world = World(ServiceProfile(service_time_s, concurrency))
    world.estate.add("blue", instances)
    dispatcher = world.dispatcher(concurrency=4 * instances * concurrency)
    world.send(400)
    await world.clock.advance(30)
    bound = 30 * instances * concurrency / service_time_s
    assert 0.95 * bound <= world.completions <= bound
    assert world.queue.counts().active + dispatcher.held == 400 - world.completions


async def test_throughput_is_what_the_dispatcher_can_do_when_there_are_instances_enough() -> None:
    world = World(ServiceProfile(1.0, 10))
    world.estate.add("blue", 10)
    world.dispatcher(concurrency=3)
    world.send(100)
    await world.clock.advance(10)
    assert world.completions == 30


async def test_more_instances_drain_faster_and_depth_follows() -> None:
    world = World(ServiceProfile(1.0))
    world.estate.add("blue", 1)
    world.dispatcher(concurrency=20)
    world.send(100)
    await world.clock.advance(10)
    before = world.completions
    world.estate.deployments["blue"] += world.estate.add("blue-new", 4, share=0)
    await world.clock.advance(10)
    assert before == 10
    assert 45 <= world.completions - before <= 50


async def test_without_instances_messages_are_held_and_nothing_is_given_up() -> None:
    world = World()
    (machine,) = world.estate.add("blue", 1)
    machine.state = "pending"
    dispatcher = world.dispatcher(concurrency=4)
    world.send(10)
    await world.clock.advance(120)
    counts = world.queue.counts()
    assert (world.completions, counts.active, counts.locked, counts.dead_letter) == (0, 6, 4, 0)
    assert dispatcher.counts.abandoned == 0
    machine.state = "ready"
    await world.clock.advance(15)
    assert world.completions == 10


async def test_completions_stop_while_frozen_and_go_on_after_the_thaw() -> None:
    world = World(ServiceProfile(1.0, 2), lock_s=300)
    world.estate.add("blue", 1)
    dispatcher = world.dispatcher(concurrency=4)
    world.send(100)
    await world.clock.advance(10)
    before = world.completions
    dispatcher.freeze()
    await world.clock.advance(60)
    assert world.completions == before > 0
    assert world.queue.counts().locked == 4
    world.send(5)
    await world.clock.settle()
    assert world.accounted() == 105
    dispatcher.thaw()
    await world.clock.advance(50)
    assert world.completions == 105


async def test_a_freeze_that_outlives_the_locks_costs_work_but_no_message() -> None:
    world = World(ServiceProfile(1.0, 2), lock_s=30)
    world.estate.add("blue", 1)
    dispatcher = world.dispatcher(concurrency=4)
    world.send(10)
    await world.clock.advance(0.5)
    dispatcher.freeze()
    await world.clock.advance(31)
    assert world.queue.counts().locked == 0
    dispatcher.thaw()
    await world.clock.advance(30)
    assert dispatcher.counts.unsettled == 4
    assert world.completions == world.accounted() == 10


@pytest.mark.parametrize(("renew_every_s", "served"), [(10.0, 1), (1000.0, 4)])
async def test_a_call_longer_than_the_lock_needs_renewals(renew_every_s: float, served: int) -> None:
    world = World(ServiceProfile(100.0, 10), lock_s=30)
    world.estate.add("blue", 1)
    dispatcher = world.dispatcher(concurrency=10, renew_every_s=renew_every_s)
    world.send(1)
    await world.clock.advance(100)
    assert dispatcher.counts.received == served
    assert world.completions == (1 if served == 1 else 0)


class Refusing:
    """An endpoint that answers as it is told."""

    def __init__(self, *answers: int | Exception) -> None:
        self.answers = list(answers)
        self.calls = 0

    async def score(self, body: bytes) -> int:
        answer = self.answers[self.calls % len(self.answers)]
        self.calls += 1
        if isinstance(answer, Exception):
            raise answer
        return answer

    def busy(self) -> bool:
        return False


@pytest.mark.parametrize("answer", [500, 404, 302, ConnectionError("gone")])
async def test_failures_are_abandoned_until_the_queue_gives_the_message_up(answer: int | Exception) -> None:
    world = World(max_delivery_count=3)
    scorer = Refusing(answer)
    dispatcher = Dispatcher(QueueInbox(world.queue, world.clock), scorer, world.clock)
    world.clock.add_busy_probe(dispatcher.busy)
    dispatcher.start()
    world.send(1)
    await world.clock.advance(1)
    assert (scorer.calls, dispatcher.counts.abandoned, dispatcher.counts.completed) == (3, 3, 0)
    assert world.queue.counts().dead_letter == 1


async def test_a_busy_endpoint_is_asked_again_without_giving_the_message_back() -> None:
    world = World()
    scorer = Refusing(429, 503, 200)
    dispatcher = Dispatcher(QueueInbox(world.queue, world.clock), scorer, world.clock, busy_retry_s=5)
    world.clock.add_busy_probe(dispatcher.busy)
    dispatcher.start()
    world.send(1)
    await world.clock.advance(9.9)
    assert (world.completions, dispatcher.counts.busy_answers) == (0, 2)
    await world.clock.advance(0.1)
    assert (world.completions, dispatcher.counts.received) == (1, 1)


async def test_a_queue_that_cannot_be_read_is_read_again() -> None:
    class Flaky(QueueInbox):
        failures = 2

        async def receive(self, max_count: int) -> Sequence[Work]:
            if self.failures:
                self.failures -= 1
                raise ConnectionError("the broker is away")
            return await super().receive(max_count)

    world = World()
    dispatcher = Dispatcher(Flaky(world.queue, world.clock), Refusing(200), world.clock)
    world.clock.add_busy_probe(dispatcher.busy)
    dispatcher.start()
    world.send(1)
    await world.clock.advance(1)
    assert world.completions == 0
    await world.clock.advance(1)
    assert world.completions == 1


async def test_what_a_stopped_dispatcher_held_comes_back_with_its_lock() -> None:
    world = World(ServiceProfile(50.0), lock_s=30)
    world.estate.add("blue", 1)
    dispatcher = world.dispatcher(concurrency=2)
    world.send(3)
    await world.clock.advance(5)
    await dispatcher.stop()
    assert not dispatcher.busy()
    assert world.queue.counts().locked == 2
    await world.clock.advance(60)
    counts = world.queue.counts()
    assert (world.completions, counts.active, counts.locked) == (0, 3, 0)


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 9999))
def test_every_message_is_somewhere_at_every_moment(seed: int) -> None:
    """Freezes, draining, scaling and long calls in any order: sent = completed + waiting + held + dead."""

    async def run() -> None:
        draws = random.Random(seed)
        world = World(ServiceProfile(lambda rng: rng.choice([0.5, 2.0, 20.0]), 2), lock_s=15, max_delivery_count=3)
        machines = world.estate.add("blue", 3)
        dispatcher = world.dispatcher(concurrency=draws.randint(1, 12), renew_every_s=draws.choice([5.0, 60.0]))
        start, sent = world.clock.now(), 0
        for _ in range(8):
            match draws.choice(["send", "send", "freeze", "thaw", "scale"]):
                case "send":
                    count = draws.randint(1, 8)
                    world.send(count)
                    sent += count
                case "freeze":
                    dispatcher.freeze()
                case "thaw":
                    dispatcher.thaw()
                case _:
                    draws.choice(machines).state = draws.choice(["ready", "draining", "pending"])
            await world.clock.advance(draws.choice([0.5, 5.0, 20.0]))
            assert world.accounted() == sent
        dispatcher.thaw()
        machines[0].state = "ready"
        while world.queue.counts().active + world.queue.counts().locked:
            await world.clock.advance(50)
            assert world.clock.now() < start + timedelta(hours=1)
        counts = world.queue.counts()
        assert (counts.active, counts.locked) == (0, 0)
        assert world.completions + counts.dead_letter == sent
        ours = dispatcher.counts
        assert ours.received == ours.completed + ours.abandoned + ours.unsettled + dispatcher.held
        assert ours.completed == world.completions
        await dispatcher.stop()

    asyncio.run(run())


async def test_a_dispatcher_needs_concurrency() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        World().dispatcher(concurrency=0)
