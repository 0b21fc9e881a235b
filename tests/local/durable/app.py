"""A small Durable Functions app, written as the real one is, and an invoker that runs its functions in this process.

The invoker uses the SDK's own converters, so payloads have the wire format of Azure; the worker library, which can load
one app a process, is tested with the host.
"""

import asyncio
import os
import traceback
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import azure.durable_functions as df
import azure.functions as func
from azure.durable_functions.internal.converters import ActivityTriggerConverter
from azure.functions import meta
from durabletask import task
from durabletask.entities import EntityContext, EntityInstanceId

from local.host.functions import FunctionFailed, LoadedFunction

app = df.DFApp(http_auth_level=func.AuthLevel.FUNCTION)
LEDGER = EntityInstanceId("ledger", "gpu")


class OutOfQuotaError(Exception):
    pass


@app.orchestration_trigger(context_name="context")
def chain(ctx: task.OrchestrationContext, x: int) -> Any:
    first = yield ctx.call_activity("double", input=x)
    return (yield ctx.call_activity("DOUBLE", input=first))


@app.orchestration_trigger(context_name="context")
def call(ctx: task.OrchestrationContext, activity: str) -> Any:
    try:
        return (yield ctx.call_activity(activity, input="x"))
    except task.TaskFailedError as error:
        return [error.details.error_type, error.details.message]


@app.orchestration_trigger(context_name="context")
def retrying(ctx: task.OrchestrationContext, _: None) -> Any:
    policy = task.RetryPolicy(
        first_retry_interval=timedelta(minutes=10), max_number_of_attempts=3, backoff_coefficient=2.0
    )
    started = ctx.current_utc_datetime
    try:
        yield ctx.call_activity("over_quota", input=None, retry_policy=policy)
    except task.TaskFailedError:
        return (ctx.current_utc_datetime - started).total_seconds()


@app.orchestration_trigger(context_name="context")
def nap(ctx: task.OrchestrationContext, hours: int) -> Any:
    started = ctx.current_utc_datetime
    yield ctx.create_timer(timedelta(hours=hours))
    return [started.isoformat(), ctx.current_utc_datetime.isoformat()]


@app.orchestration_trigger(context_name="context")
def fan(ctx: task.OrchestrationContext, n: int) -> Any:
    return (yield task.when_all([ctx.call_activity("gated", input=i) for i in range(n)]))


@app.orchestration_trigger(context_name="context")
def wait(ctx: task.OrchestrationContext, _: None) -> Any:
    ctx.set_custom_status("waiting")
    return (yield ctx.wait_for_external_event("go"))


@app.orchestration_trigger(context_name="context")
def timer_and_activity(ctx: task.OrchestrationContext, _: None) -> Any:
    timer = ctx.create_timer(timedelta(hours=1))
    doubled = yield ctx.call_activity("double", input=1)
    yield timer
    return doubled


@app.orchestration_trigger(context_name="context")
def exclusive(ctx: task.OrchestrationContext, _: None) -> Any:
    with (yield ctx.lock_entities([LEDGER])):
        ctx.set_custom_status("in")
        yield ctx.wait_for_external_event("go")


@app.orchestration_trigger(context_name="context")
def broken(ctx: task.OrchestrationContext, _: None) -> Any:
    raise OutOfQuotaError("no cores left")


@app.orchestration_trigger(context_name="context")
def everything(ctx: task.OrchestrationContext, n: int) -> Any:
    """One of each kind of work that a killed host must resume; `n` is added to the ledger four times."""
    yield ctx.call_activity("slow", input=n)
    yield ctx.create_timer(timedelta(seconds=0.1))
    yield task.when_all([ctx.call_sub_orchestrator("part", input=n) for _ in range(2)])
    yield ctx.call_entity(LEDGER, "add", n)
    ctx.signal_entity(LEDGER, "add", n, signal_time=ctx.current_utc_datetime + timedelta(seconds=0.1))
    return n


@app.orchestration_trigger(context_name="context")
def part(ctx: task.OrchestrationContext, n: int) -> Any:
    yield ctx.call_activity("slow", input=n)
    yield ctx.call_entity(LEDGER, "add", n)
    return n


@app.activity_trigger(input_name="x")
async def double(x: int) -> int:
    return 2 * x


@app.activity_trigger(input_name="x")
async def over_quota(x: Any) -> None:
    raise OutOfQuotaError("no cores: ask for more\nor stop something")


@app.activity_trigger(input_name="x")
async def silent_failure(x: Any) -> None:
    raise TimeoutError


@app.orchestration_trigger(context_name="context")
def which_version(context: task.OrchestrationContext, _: Any) -> str:
    return context.version or "none"


@app.activity_trigger(input_name="x")
async def gated(x: int) -> int:
    return x


def note_start(x: int) -> None:
    """Tell the test that kills this process how far it is."""
    path = os.environ.get("DURABLE_TEST_STARTED")
    if path:
        with Path(path).open("a") as file:
            file.write(f"{x}\n")


@app.activity_trigger(input_name="x")
async def slow(x: int) -> int:
    note_start(x)
    await asyncio.sleep(0.05)
    return x


@app.entity_trigger(context_name="context", entity_name="ledger")
def ledger(ctx: EntityContext, amount: Any) -> Any:
    if ctx.operation == "delete":
        ctx.set_state(None)
        return None
    if ctx.operation == "fail":
        raise OutOfQuotaError("ledger is full")
    total = (ctx.get_state(int) or 0) + (amount or 0)
    ctx.set_state(total)
    return total


FUNCTIONS = {
    str(function.get_function_name()): function for function in app.get_functions()
}  # the SDK allows this once


def _loaded(name: str, function: Any, disabled: Iterable[str]) -> LoadedFunction:
    bindings = [binding.get_dict_repr() for binding in function.get_bindings()]
    trigger = function.get_trigger().get_dict_repr()
    return LoadedFunction(name, trigger["type"], trigger, bindings, name in disabled)


class AppInvoker:
    """`FunctionInvoker` over the app above. `before` is awaited ahead of each invocation, and may raise."""

    def __init__(self, disabled: Iterable[str] = ()) -> None:
        self.functions = {name: _loaded(name, function, disabled) for name, function in FUNCTIONS.items()}
        self.calls: list[str] = []
        self.before: Callable[[LoadedFunction, str], Any] | None = None

    async def invoke_text(self, function: LoadedFunction, text: str) -> str | None:
        self.calls.append(function.name)
        if self.before is not None:
            await self.before(function, text)
        try:
            return await self._run(function, text)
        except Exception as error:
            raise FunctionFailed.from_worker(f"{type(error).__name__}: {error}", traceback.format_exc()) from error

    async def _run(self, function: LoadedFunction, text: str) -> str | None:
        user_function = FUNCTIONS[function.name].get_user_function()
        if function.kind != "activityTrigger":
            result: str = await user_function(**{function.trigger["name"]: text})
            return result
        value = ActivityTriggerConverter.decode(meta.Datum(text, "string"), trigger_metadata=None)
        output = await user_function(**{function.trigger["name"]: value})
        encoded = ActivityTriggerConverter.encode(output, expected_type=None).value
        return None if encoded is None else str(encoded)
