"""One running extension on the small app, with virtual time."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from durabletask.client import OrchestrationState

from local.clock import VirtualClock
from local.host.durable.extension import DurableExtension
from tests.local.durable.app import AppInvoker

START = datetime(2031, 5, 1, 12, tzinfo=UTC)  # a year in which nobody runs these tests


@dataclass
class Running:
    extension: DurableExtension
    invoker: AppInvoker
    clock: VirtualClock

    async def start(self, name: str, data: Any = None, **how: Any) -> str:
        return str(await self.extension.client.schedule_new_orchestration(name, input=data, **how))

    async def state(self, instance_id: str) -> OrchestrationState:
        state = await self.extension.client.get_orchestration_state(instance_id)
        assert state is not None
        return state

    async def run(self, name: str, data: Any = None, **how: Any) -> OrchestrationState:
        """Start, let everything happen that needs no time, and read the state."""
        instance_id = await self.start(name, data, **how)
        await self.clock.settle()
        return await self.state(instance_id)


Launch = Callable[..., Awaitable[Running]]


@pytest.fixture
async def launch() -> AsyncIterator[Launch]:
    started: list[DurableExtension] = []

    async def start(
        options: dict[str, Any] | None = None, disabled: tuple[str, ...] = (), **more: Callable[[], bool]
    ) -> Running:
        clock, invoker = VirtualClock(START), AppInvoker(disabled)
        extension = DurableExtension(invoker, clock, journal=None, options=options or {}, **more)
        await extension.start()
        started.append(extension)
        clock.add_busy_probe(extension.busy)
        return Running(extension, invoker, clock)

    yield start
    for extension in started:
        await extension.stop()


@pytest.fixture
async def running(launch: Launch) -> Running:
    return await launch()
