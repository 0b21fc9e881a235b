"""Runs the functions of the loaded app: inputs, functionTimeout, what is in flight, and the death of the worker.

In Azure a timeout kills the worker process, and every invocation in it. Here all of it is one process, so the
invocations are cancelled together and those who waited for them are told the same.
"""

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from local.clock import Alarm, Clock
from local.host.functions import InvocationKilled, LoadedFunction
from local.host.metadata import Metadata
from local.host.protos import TypedData, plain, typed_json
from local.host.worker import Call, Returned, Worker

log = logging.getLogger(__name__)

RESTART_PAUSE_S = 2.0
OutputSink = Callable[[LoadedFunction, Returned], Awaitable[None]]


@dataclass(frozen=True)
class TriggerData:
    """What a trigger hands to its function: its data and the metadata that the worker expects beside it."""

    data: TypedData
    metadata: Mapping[str, TypedData] = field(default_factory=dict)
    trace_parent: str = ""
    retry_count: int = 0
    max_retry_count: int = 0


class Runtime:
    """`FunctionInvoker` over the worker. `deliver_outputs` is given what a function put in its output bindings."""

    def __init__(
        self,
        worker: Worker,
        metadata: Metadata,
        clock: Clock,
        *,
        timeout_s: float | None,
        client_payload: Callable[[], dict[str, Any]],
        deliver_outputs: OutputSink,
    ) -> None:
        self._worker = worker
        self._metadata = metadata
        self._clock = clock
        self._timeout_s = timeout_s
        self._client_payload = client_payload
        self._deliver_outputs = deliver_outputs
        self._in_flight: set[asyncio.Task[Returned]] = set()
        self._death: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._alive = asyncio.Event()
        self._alive.set()

    @property
    def functions(self) -> Mapping[str, LoadedFunction]:
        return self._metadata.functions

    @property
    def in_flight(self) -> int:
        """Invocations that run now."""
        return len(self._in_flight)

    async def invoke_text(self, function: LoadedFunction, text: str) -> str | None:
        """See `FunctionInvoker`."""
        returned = await self.invoke(function, TriggerData(TypedData(string=text)))
        value = plain(returned.value)
        return None if value is None else str(value)

    async def invoke(self, function: LoadedFunction, trigger: TriggerData) -> Returned:
        """Run a function and deliver its outputs.

        Raises:
            InvocationKilled: functionTimeout, or the worker died under it.
            FunctionFailed: it raised, or an output could not be delivered.
        """
        await self._alive.wait()
        task = asyncio.create_task(self._run(function, trigger))
        self._in_flight.add(task)
        alarm = self._timeout_alarm(task, function)
        task.add_done_callback(lambda done: self._ended(done, function, alarm))
        # Not `await task`: whoever waits here may go away, but the function is not told.
        waited: set[asyncio.Future[Any]] = {task, self._death}
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if not task.done() or task.cancelled():
            raise InvocationKilled("FunctionTimeoutException", f"the worker died while '{function.name}' ran")
        return task.result()

    def _ended(self, task: asyncio.Task[Returned], function: LoadedFunction, alarm: Alarm | None) -> None:
        self._in_flight.discard(task)
        if alarm is not None:
            alarm.cancel()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("Function '%s' failed: %s\n%s", function.name, error, getattr(error, "stack", ""))

    async def _run(self, function: LoadedFunction, trigger: TriggerData) -> Returned:
        returned = await self._worker.invoke(self._call(function, trigger))
        await self._deliver_outputs(function, returned)
        return returned

    def _call(self, function: LoadedFunction, trigger: TriggerData) -> Call:
        inputs = {str(function.trigger["name"]): trigger.data}
        for binding in function.bindings:
            if binding["type"] == "durableClient":
                inputs[str(binding["name"])] = TypedData(string=typed_json(self._client_payload()).json)
        return Call(
            invocation_id=str(uuid.uuid4()),
            function_id=self._metadata.ids[function.name],
            inputs=inputs,
            metadata=trigger.metadata,
            trace_parent=trigger.trace_parent,
            retry_count=trigger.retry_count,
            max_retry_count=trigger.max_retry_count,
        )

    def _timeout_alarm(self, task: asyncio.Task[Returned], function: LoadedFunction) -> Alarm | None:
        if self._timeout_s is None:
            return None
        loop = asyncio.get_running_loop()
        deadline = self._clock.now() + timedelta(seconds=self._timeout_s)
        return self._clock.call_at(deadline, _on(loop, lambda: self._time_out(task, function)))

    def _time_out(self, task: asyncio.Task[Returned], function: LoadedFunction) -> None:
        if task.done():
            return
        log.error(
            "Timeout value of %s s exceeded by function '%s': the worker restarts; %d invocations die",
            self._timeout_s,
            function.name,
            len(self._in_flight),
        )
        self._alive.clear()
        self._die()
        loop = asyncio.get_running_loop()
        back = self._clock.now() + timedelta(seconds=RESTART_PAUSE_S)
        self._clock.call_at(back, _on(loop, self._come_back))

    def kill_worker(self) -> None:
        """The worker dies now, as by kill -9, and another takes its place at once. Every invocation ends unheard."""
        self._die()
        self._come_back()

    def _die(self) -> None:
        self._death.set_result(None)
        for running in self._in_flight:
            running.cancel()
        self._in_flight.clear()
        self._worker.restart()

    def _come_back(self) -> None:
        self._death = asyncio.get_running_loop().create_future()
        self._alive.set()

    async def drain(self, longest_s: float) -> bool:
        """Wait in real time until nothing runs; False when something still does. No signal reaches the functions."""
        tasks = list(self._in_flight)
        if tasks:
            await asyncio.wait(tasks, timeout=longest_s)
        return not self._in_flight

    def abandon(self) -> None:
        """Nobody waits any more for what still runs. It is not told: in Azure its process just ends."""
        if not self._death.done():
            self._death.set_result(None)
        self._in_flight.clear()


def _on(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> Callable[[], None]:
    """A callback for the clock, which may call from any thread."""

    def call() -> None:
        loop.call_soon_threadsafe(callback)

    return call
