"""The storage queue trigger: the real client, Azurite, a virtual clock for renewal and polling."""

import asyncio
import base64
import json
import logging
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from azure.storage.queue.aio import QueueClient

from local.clock import VirtualClock
from local.host.host_json import QueueOptions
from local.host.listeners import cancel
from local.host.protos import plain
from local.host.runtime import Runtime, TriggerData
from local.host.storage_queue import StorageQueueListener, put
from tests.local.host.rule import rule
from tests.local.host.stubs import Behaviour, RecordingRuntime, fail, function, succeed, until


class Storage:
    """A queue of its own and a listener on it."""

    def __init__(self, connection: str) -> None:
        self.clock = VirtualClock()
        self.runtime = RecordingRuntime()
        self.name = f"q-{uuid.uuid4().hex}"
        self.client = QueueClient.from_connection_string(connection, self.name)
        self._settings = {"STORE": connection}
        self._task: asyncio.Task[None] | None = None
        self.listener: StorageQueueListener | None = None

    async def listen(self, behaviour: Behaviour = succeed, options: QueueOptions | None = None) -> None:
        self.runtime.behaviour = behaviour
        self.listener = StorageQueueListener(
            function("queueTrigger", queueName=self.name.upper(), connection="STORE"),
            cast("Runtime", self.runtime),
            self.clock,
            options or QueueOptions(),
            self._settings,
        )
        self.clock.add_busy_probe(self.listener.busy)
        self._task = asyncio.create_task(self.listener.listen(lambda: None))
        await self.clock.settle()

    async def put(self, *bodies: str) -> None:
        for body in bodies:
            await put(self.client, body.encode(), base64_encoded=True)

    async def count(self) -> int:
        return int((await self.client.get_queue_properties()).approximate_message_count or 0)

    async def close(self) -> None:
        if self._task is not None and self.listener is not None:
            await cancel([self._task])
            await self.listener.close(5)
        await self.client.close()


@pytest.fixture
async def storage(azurite: str) -> AsyncIterator[Storage]:
    made = Storage(azurite)
    yield made
    await made.close()


@rule("queue.base64")
async def test_messages_arrive_with_their_metadata_and_are_deleted(storage: Storage) -> None:
    """The queue does not exist when the listener starts: it is an empty one."""
    await storage.listen()
    await storage.put("hello")
    await storage.clock.advance(60)
    await until(lambda: storage.listener is not None and not storage.listener.busy())
    metadata: dict[str, Any] = {
        name: json.loads(plain(value)) for name, value in storage.runtime.calls[0].metadata.items()
    }
    assert storage.runtime.bodies == ["hello"]
    assert metadata["DequeueCount"] == 1
    assert {"Id", "PopReceipt", "InsertionTime", "ExpirationTime", "NextVisibleTime"} <= set(metadata)
    assert await storage.count() == 0


@rule("queue.poison")
async def test_after_max_dequeue_count_it_is_poison(storage: Storage) -> None:
    await storage.put("bad")
    await storage.listen(fail, QueueOptions(max_dequeue_count=3))
    await storage.clock.advance(30)
    assert storage.runtime.bodies == ["bad"] * 3
    assert await storage.count() == 0
    poison = QueueClient.from_connection_string(storage._settings["STORE"], f"{storage.name}-poison")
    async with poison:
        (message,) = await poison.peek_messages()
    assert base64.b64decode(message.content) == b"bad"


@rule("queue.invisible")
async def test_it_stays_invisible_while_the_function_runs(storage: Storage, caplog: pytest.LogCaptureFixture) -> None:
    """10 minutes at first, and again every 5: a renewal is the only PUT."""
    release = asyncio.Event()

    async def hold(_trigger: TriggerData) -> None:
        await release.wait()

    await storage.put("long")
    with caplog.at_level(logging.INFO, logger="azure.core.pipeline.policies.http_logging_policy"):
        await storage.listen(hold)
        await until(lambda: len(storage.runtime.calls) == 1)
        visible = json.loads(plain(storage.runtime.calls[0].metadata["NextVisibleTime"]))
        assert 500 < (datetime.fromisoformat(visible) - datetime.now(UTC)).total_seconds() <= 600
        await storage.clock.advance(901)
    assert caplog.text.count("Request method: 'PUT'") == 3
    release.set()
    await until(lambda: storage.listener is not None and not storage.runtime.running and not storage.listener.busy())
    assert await storage.count() == 0, "deleted with the newest receipt"
    assert len(storage.runtime.calls) == 1
