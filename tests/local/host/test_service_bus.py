"""The Service Bus trigger: the real client, our broker, a virtual clock."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from local.clock import VirtualClock
from local.host.host_json import ServiceBusOptions
from local.host.listeners import Listeners, cancel
from local.host.protos import plain
from local.host.runtime import Runtime, TriggerData
from local.host.service_bus import ServiceBusListener
from local.servicebus.broker import Broker
from tests.local.host.rule import rule
from tests.local.host.stubs import Behaviour, RecordingRuntime, fail, function, succeed, until

CONFIG = {
    "UserConfig": {
        "Namespaces": [
            {"Name": "ns", "Queues": [{"Name": "work", "Properties": {"LockDuration": "PT30S", "MaxDeliveryCount": 2}}]}
        ]
    }
}


class Bus:
    """A broker and a listener on its queue."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.broker = Broker(CONFIG, self.clock)
        self.queue = self.broker.queue("work")
        self.runtime = RecordingRuntime()
        self.started = asyncio.Event()
        self.listener: ServiceBusListener | None = None
        self._task: asyncio.Task[None] | None = None

    def make(
        self, behaviour: Behaviour, options: ServiceBusOptions | None = None, **trigger: Any
    ) -> ServiceBusListener:
        self.runtime.behaviour = behaviour
        self.listener = ServiceBusListener(
            function("serviceBusTrigger", queueName="work", connection="BUS", **trigger),
            cast("Runtime", self.runtime),
            self.clock,
            options or ServiceBusOptions(),
            {"BUS": self.broker.connection_string},
        )
        self.clock.add_busy_probe(self.listener.busy)
        return self.listener

    async def listen(
        self, behaviour: Behaviour = succeed, options: ServiceBusOptions | None = None, **trigger: Any
    ) -> None:
        listener = self.make(behaviour, options, **trigger)
        self._task = asyncio.create_task(listener.listen(self.started.set))
        await until(self.started.is_set)

    async def close(self) -> None:
        if self._task is not None and self.listener is not None:
            await cancel([self._task])
            await self.listener.close(5)
        await self.broker.stop()

    async def until_counts(self, active: int, locked: int, dead_letter: int) -> None:
        def reached() -> bool:
            counts = self.queue.counts()
            return (counts.active, counts.locked, counts.dead_letter) == (active, locked, dead_letter)

        await until(reached)

    def metadata(self, call: int = 0) -> dict[str, Any]:
        return {name: json.loads(plain(value)) for name, value in self.runtime.calls[call].metadata.items()}


@pytest.fixture
async def bus() -> AsyncIterator[Bus]:
    made = Bus()
    await made.broker.start()
    yield made
    await made.close()


def held(release: asyncio.Event) -> Behaviour:
    async def behaviour(_trigger: TriggerData) -> None:
        await release.wait()

    return behaviour


@rule("service_bus.settle", "service_bus.metadata")
async def test_success_completes_and_the_metadata_arrives(bus: Bus) -> None:
    await bus.listen()
    bus.queue.send(b'{"a": 1}', message_id="m-1", properties={"kind": "x", "n": 3})
    await bus.until_counts(0, 0, 0)
    assert bus.runtime.bodies == ['{"a": 1}']
    metadata = bus.metadata()
    assert (metadata["MessageId"], metadata["DeliveryCount"], metadata["SequenceNumber"]) == ("m-1", 1, 1)
    assert metadata["EnqueuedTimeUtc"] == bus.clock.now().isoformat()
    assert metadata["ApplicationProperties"] == metadata["UserProperties"] == {"kind": "x", "n": 3}
    assert "CorrelationId" not in metadata


@rule("service_bus.settle")
async def test_failure_abandons_until_the_queue_dead_letters(bus: Bus) -> None:
    await bus.listen(fail)
    bus.queue.send(b"x")
    await bus.until_counts(0, 0, 1)
    assert [bus.metadata(call)["DeliveryCount"] for call in range(2)] == [1, 2]


async def test_bytes_that_are_no_text_arrive_as_bytes(bus: Bus) -> None:
    await bus.listen()
    bus.queue.send(b"\xff\x00")
    await bus.until_counts(0, 0, 0)
    assert bus.runtime.bodies == [b"\xff\x00"]


@rule("service_bus.no_auto_complete")
async def test_without_auto_complete_nobody_settles_a_success(bus: Bus) -> None:
    await bus.listen(options=ServiceBusOptions(auto_complete=False))
    bus.queue.send(b"x")
    await until(lambda: len(bus.runtime.calls) == 1)
    await bus.until_counts(0, 1, 0)
    await bus.clock.advance(31)
    await until(lambda: len(bus.runtime.calls) == 2)


@rule("service_bus.renewal")
async def test_the_lock_is_renewed_while_the_function_runs(bus: Bus) -> None:
    release = asyncio.Event()
    await bus.listen(held(release))
    bus.queue.send(b"x")
    await until(lambda: len(bus.runtime.calls) == 1)
    await bus.clock.advance(120)
    assert bus.queue.counts().locked == 1
    release.set()
    await bus.until_counts(0, 0, 0)
    assert len(bus.runtime.calls) == 1


@rule("service_bus.renewal")
async def test_but_not_longer_than_the_limit(bus: Bus) -> None:
    release = asyncio.Event()
    await bus.listen(held(release), ServiceBusOptions(max_lock_renewal_s=60, max_concurrent_calls=1))
    bus.queue.send(b"x")
    await until(lambda: len(bus.runtime.calls) == 1)
    await bus.clock.advance(120)
    assert bus.queue.counts().locked == 0, "the lock is lost"
    release.set()
    await until(lambda: len(bus.runtime.calls) == 2)
    assert bus.metadata(1)["DeliveryCount"] == 2


@rule("service_bus.concurrency")
async def test_at_most_max_concurrent_calls(bus: Bus) -> None:
    release = asyncio.Event()
    await bus.listen(held(release), ServiceBusOptions(max_concurrent_calls=3))
    for number in range(7):
        bus.queue.send(str(number).encode())
    await until(lambda: bus.runtime.running == 3)
    await bus.until_counts(4, 3, 0)
    release.set()
    await bus.until_counts(0, 0, 0)
    assert bus.runtime.most_running == 3
    assert sorted(bus.runtime.bodies) == [str(number) for number in range(7)]


def batch_fails_at_first(bus: Bus) -> Behaviour:
    async def behaviour(trigger: TriggerData) -> None:
        if len(bus.runtime.calls) == 1:
            await fail(trigger)

    return behaviour


@rule("service_bus.batch")
async def test_a_batch_is_settled_as_a_whole_one_at_a_time(bus: Bus) -> None:
    for number in range(6):
        bus.queue.send(str(number).encode())
    await bus.listen(batch_fails_at_first(bus), ServiceBusOptions(max_message_batch_size=4), cardinality="many")
    await bus.until_counts(0, 0, 0)
    assert bus.runtime.most_running == 1
    batches = [list(plain(call.data).string) for call in bus.runtime.calls]
    assert batches[0] == ["0", "1", "2", "3"]
    assert sum(len(batch) for batch in batches) == 10, "the whole first batch comes again"
    arrays = bus.metadata()
    assert arrays["DeliveryCountArray"] == [1] * 4
    assert len(arrays["UserPropertiesArray"]) == len(arrays["MessageIdArray"]) == 4


@rule("service_bus.batch")
async def test_the_locks_of_a_batch_are_not_renewed(bus: Bus) -> None:
    release = asyncio.Event()
    bus.queue.send(b"x")
    await bus.listen(held(release), cardinality="MANY")
    await until(lambda: len(bus.runtime.calls) == 1)
    await bus.clock.advance(31)
    release.set()
    await until(lambda: len(bus.runtime.calls) == 2)
    assert bus.metadata(1)["DeliveryCountArray"] == [2], "completed too late: the lock had run out"


async def test_busy_while_it_settles_but_not_while_the_function_runs(bus: Bus) -> None:
    release = asyncio.Event()
    await bus.listen(held(release))
    assert bus.listener is not None
    bus.queue.send(b"x")
    await until(lambda: bus.runtime.running == 1)
    assert not bus.listener.busy(), "the runtime counts invocations"
    release.set()
    await until(bus.listener.busy)
    await until(lambda: bus.listener is not None and not bus.listener.busy())
    assert bus.queue.counts().locked == 0


@rule("metadata.listener_retried")
async def test_a_lost_connection_is_taken_up_again(bus: Bus) -> None:
    listeners = Listeners([bus.make(succeed)], bus.clock)
    listeners.start()
    bus.queue.send(b"before")
    await until(lambda: len(bus.runtime.calls) == 1)
    bus.broker.drop_connections()
    await until(lambda: "f" in listeners.errors)
    bus.queue.send(b"after")
    await bus.clock.advance(2)
    await until(lambda: bus.runtime.bodies[-1] == "after")
    assert listeners.errors == {}
    await listeners.close(5)
