"""A runtime that records what triggers hand to it: the listeners under test need no app."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from local.host.functions import FunctionFailed, LoadedFunction
from local.host.protos import plain
from local.host.runtime import TriggerData
from local.host.worker import Returned

Behaviour = Callable[[TriggerData], Awaitable[None]]


async def succeed(_trigger: TriggerData) -> None:
    return


async def fail(_trigger: TriggerData) -> None:
    raise FunctionFailed("ValueError", "not this one")


class RecordingRuntime:
    """`invoke` as the real runtime has it; `behaviour` plays the function."""

    def __init__(self, behaviour: Behaviour = succeed) -> None:
        self.behaviour = behaviour
        self.calls: list[TriggerData] = []
        self.running = 0
        self.most_running = 0

    async def invoke(self, _function: LoadedFunction, trigger: TriggerData) -> Returned:
        self.calls.append(trigger)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await self.behaviour(trigger)
        finally:
            self.running -= 1
        return Returned(None, {})

    @property
    def bodies(self) -> list[Any]:
        """The data of all calls."""
        return [plain(call.data) for call in self.calls]


def function(kind: str, **trigger: Any) -> LoadedFunction:
    binding = {"type": kind, "direction": "IN", "name": "x", **trigger}
    return LoadedFunction("f", kind, binding, [binding])


async def until(condition: Callable[[], bool], within_s: float = 20) -> None:
    """Wait in real time."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - what is waited for lies in another process or client
            await asyncio.sleep(0.01)
