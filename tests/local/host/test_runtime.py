"""functionTimeout and what else the runtime does around an invocation, in virtual time, without an app."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from local.clock import VirtualClock
from local.host.functions import FunctionFailed, InvocationKilled, LoadedFunction
from local.host.host_json import HttpOptions
from local.host.http_server import HOME_PAGE_SETTING, HttpTriggers
from local.host.keys import Keys
from local.host.listeners import Listeners
from local.host.metadata import Metadata
from local.host.protos import TypedData, plain
from local.host.routes import RouteTable
from local.host.runtime import Runtime, TriggerData
from local.host.worker import Call, Returned, Worker
from tests.local.host.rule import rule
from tests.local.host.stubs import RecordingRuntime, function, until


class StubWorker:
    """Plays the worker library: `sleep N` sleeps on the clock, `fail` raises, anything else comes back."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.restarts = 0
        self.calls: list[Call] = []

    def restart(self) -> None:
        self.restarts += 1

    async def invoke(self, call: Call) -> Returned:
        self.calls.append(call)
        text = str(plain(call.inputs["x"]))
        if text == "fail":
            raise FunctionFailed("ValueError", "not this one", "the stack")
        if text.startswith("sleep"):
            await self.clock.sleep(float(text.split()[1]))
        return Returned(TypedData(string=text), {})


class Bench:
    """A runtime over the stub."""

    def __init__(self, timeout_s: float | None = 60) -> None:
        self.clock = VirtualClock()
        self.worker = StubWorker(self.clock)
        self.function = function("activityTrigger")
        self.delivered: list[Returned] = []
        self.runtime = Runtime(
            cast("Worker", self.worker),
            Metadata({"f": self.function}, {"f": "id-f"}),
            self.clock,
            timeout_s=timeout_s,
            client_payload=lambda: {"hub": "here"},
            deliver_outputs=self._deliver,
        )

    async def _deliver(self, _function: LoadedFunction, returned: Returned) -> None:
        self.delivered.append(returned)

    def start(self, text: str) -> asyncio.Task[str | None]:
        return asyncio.create_task(self.runtime.invoke_text(self.function, text))


async def test_text_in_text_out() -> None:
    bench = Bench()
    assert await bench.runtime.invoke_text(bench.function, "hello") == "hello"
    assert (bench.runtime.in_flight, len(bench.delivered)) == (0, 1)


async def test_a_failure_is_said_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    with caplog.at_level(logging.ERROR), pytest.raises(FunctionFailed, match="ValueError: not this one"):
        await bench.runtime.invoke_text(bench.function, "fail")
    assert "the stack" in caplog.text


async def test_the_durable_client_is_an_input() -> None:
    bench = Bench()
    client = {"type": "durableClient", "direction": "IN", "name": "client"}
    starter = LoadedFunction("f", "activityTrigger", bench.function.trigger, [bench.function.trigger, client])
    await bench.runtime.invoke_text(starter, "x")
    assert plain(bench.worker.calls[0].inputs["client"]) == '{"hub": "here"}'


@rule("host_json.timeout_kills")
async def test_a_timeout_kills_every_invocation_and_the_worker_is_back_after_2_s() -> None:
    bench = Bench(timeout_s=60)
    first = bench.start("sleep 1000")
    await bench.clock.advance(30)
    second = bench.start("sleep 40")
    await bench.clock.advance(31)
    for killed in (first, second):
        with pytest.raises(InvocationKilled):
            await killed
    assert (bench.worker.restarts, bench.runtime.in_flight) == (1, 0)
    third = bench.start("after")
    await bench.clock.advance(0.5)
    assert not third.done(), "the worker starts again 2 s after the timeout, not at once"
    await bench.clock.advance(1)
    assert await third == "after"


@rule("host_json.timeout_range")
async def test_a_worker_that_is_killed_ends_what_runs_and_another_is_there_at_once() -> None:
    bench = Bench()
    running = [bench.start("sleep 1000"), bench.start("sleep 5")]
    await bench.clock.settle()
    bench.runtime.kill_worker()
    for killed in running:
        with pytest.raises(InvocationKilled, match="the worker died"):
            await killed
    assert (bench.runtime.in_flight, bench.worker.restarts) == (0, 1)
    assert await bench.runtime.invoke_text(bench.function, "hello") == "hello"
    assert len(bench.delivered) == 1


async def test_no_timeout_is_no_timeout() -> None:
    bench = Bench(timeout_s=None)
    running = bench.start("sleep 100000")
    await bench.clock.advance(100001)
    assert await running == "sleep 100000"


@rule("http.disconnect")
async def test_who_waits_may_go_away_but_the_function_runs_on() -> None:
    bench = Bench()
    running = bench.start("sleep 10")
    await bench.clock.settle()
    running.cancel()
    await bench.clock.advance(11)
    assert len(bench.delivered) == 1


@rule("life.stop")
async def test_drain_waits_and_gives_up() -> None:
    bench = Bench()
    running = bench.start("sleep 10")
    await bench.clock.settle()
    assert not await bench.runtime.drain(0.05)
    bench.runtime.abandon()
    with pytest.raises(InvocationKilled):
        await running
    assert await bench.runtime.drain(0.05)


Serve = Callable[[HttpOptions, dict[str, str]], Any]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    clients: list[TestClient[web.Request, web.Application]] = []

    async def start(
        options: HttpOptions, settings: dict[str, str]
    ) -> tuple[TestClient[web.Request, web.Application], RecordingRuntime, asyncio.Event]:
        release, runtime = asyncio.Event(), RecordingRuntime()

        async def wait(_trigger: TriggerData) -> None:
            await release.wait()

        runtime.behaviour = wait
        routes = RouteTable([function("httpTrigger", route="x", authLevel="anonymous")], "api")
        triggers = HttpTriggers(cast("Runtime", runtime), routes, Keys(), options, settings)
        application = triggers.application()
        triggers.finish(application)
        clients.append(TestClient(TestServer(application)))
        await clients[-1].start_server()
        return clients[-1], runtime, release

    yield start
    for client in clients:
        await client.close()


@rule("host_json.concurrent_requests")
async def test_only_so_many_requests_run_at_a_time(serve: Serve) -> None:
    client, runtime, release = await serve(HttpOptions(max_concurrent_requests=2), {})
    requests = [asyncio.create_task(client.get("/api/x")) for _ in range(5)]
    await until(lambda: len(runtime.calls) == 2)
    release.set()
    answers = await asyncio.gather(*requests)
    assert [answer.status for answer in answers] == [200] * 5
    assert runtime.most_running == 2


@rule("http.home_page")
async def test_the_home_page_can_be_switched_off(serve: Serve) -> None:
    client, _, _ = await serve(HttpOptions(), {HOME_PAGE_SETTING: "true"})
    assert (await client.get("/")).status == 204


class FlakyListener:
    """Cannot start for a while."""

    def __init__(self, failures: int, clock: VirtualClock, *, disabled: bool = False) -> None:
        trigger = function("timerTrigger").trigger
        self.function = LoadedFunction("f", "timerTrigger", trigger, [trigger], disabled)
        self.failures = failures
        self.clock = clock
        self.tried_at: list[float] = []
        self.began = clock.now()

    async def listen(self, started: Callable[[], None]) -> None:
        self.tried_at.append((self.clock.now() - self.began).total_seconds())
        if len(self.tried_at) <= self.failures:
            raise ConnectionError("nobody there")
        started()
        await asyncio.Event().wait()

    async def close(self, longest_s: float) -> None:
        return

    def busy(self) -> bool:
        return False


@rule("metadata.listener_retried", "life.missing_connection")
async def test_a_listener_that_cannot_start_is_retried_after_2_s_to_2_min() -> None:
    clock = VirtualClock()
    broken, fine = FlakyListener(9, clock), FlakyListener(0, clock)
    listeners = Listeners([broken, fine], clock)
    listeners.start()
    await clock.advance(300)
    assert listeners.errors == {"f": "ConnectionError: nobody there"}
    await clock.advance(700)
    assert broken.tried_at == [0, 2, 6, 14, 30, 62, 126, 246, 366, 486]
    assert fine.tried_at == [0]
    assert listeners.errors == {}
    await listeners.close(0)


@rule("metadata.disabled")
async def test_a_disabled_function_has_no_listener() -> None:
    clock = VirtualClock()
    off = FlakyListener(0, clock, disabled=True)
    listeners = Listeners([off], clock)
    listeners.start()
    await clock.advance(10)
    assert off.tried_at == []
    await listeners.close(0)
