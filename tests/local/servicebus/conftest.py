"""A broker for each test, on the test's own loop or in a thread of its own."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from local.clock import Clock, VirtualClock
from local.servicebus import Broker, Queue
from tests.local.servicebus.raw_client import RawClient


def config(**queues: dict[str, Any]) -> dict[str, Any]:
    """A Config.json with these queues; underscores in a name become hyphens."""
    entries = [{"Name": name.replace("_", "-"), "Properties": properties} for name, properties in queues.items()]
    return {"UserConfig": {"Namespaces": [{"Name": "sbemulatorns", "Queues": entries}]}}


def port_of(broker: Broker) -> int:
    return int(broker.connection_string.split(":")[2].split(";")[0])


@contextmanager
def no_internal_errors(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """asyncio closes a connection whose protocol raised, and tells the loop: that is a defect of the broker."""
    errors: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: errors.append(context))
    yield
    assert errors == []


@contextmanager
def broker_in_thread(settings: dict[str, Any], clock: Clock) -> Iterator[Broker]:
    """For clients that block: the broker needs a loop that runs meanwhile."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="broker")
    thread.start()
    broker = Broker(settings, clock)
    try:
        with no_internal_errors(loop):
            asyncio.run_coroutine_threadsafe(broker.start(), loop).result(10)
            yield broker
    finally:
        asyncio.run_coroutine_threadsafe(broker.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
async def broker(clock: VirtualClock) -> AsyncIterator[Broker]:
    """Queue `q` with Azure's defaults, listening on the test's loop, in virtual time."""
    running = Broker(config(q={}), clock)
    clock.add_busy_probe(running.busy)
    with no_internal_errors(asyncio.get_running_loop()):
        await running.start()
        yield running
        await running.stop()


@pytest.fixture
async def client(broker: Broker) -> AsyncIterator[RawClient]:
    """Connected to the broker, and says exactly what a test wants."""
    async with RawClient(port_of(broker)) as connected:
        yield connected


@pytest.fixture
def make_broker(clock: VirtualClock) -> Callable[..., Broker]:
    """A broker that does not listen, in virtual time: `make_broker(name={"LockDuration": ...})`."""
    return lambda **queues: Broker(config(**queues), clock)


@pytest.fixture
def queue(make_broker: Callable[..., Broker]) -> Queue:
    """Queue `q` of a broker that does not listen, with Azure's defaults."""
    return make_broker(q={}).queue("q")
