"""The host's administration endpoints (facts/hostrules.md §6): ping, status, run a function by hand, drain, resume."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from local.clock import Clock
from local.host import service_bus_messages, storage_queue
from local.host.errors import FunctionProblem
from local.host.functions import FunctionFailed, LoadedFunction
from local.host.http_messages import http_data
from local.host.http_server import authorizer
from local.host.keys import Keys
from local.host.listeners import Listeners, TaskSet
from local.host.protos import typed_json, typed_text
from local.host.runtime import Runtime, TriggerData
from local.host.timers import timer_info

VERSION = "4.1037.0-local"


@dataclass
class AdminApi:
    """What the endpoints look at and act on."""

    host_id: str
    runtime: Runtime
    listeners: Listeners
    problems: Sequence[FunctionProblem]
    keys: Keys
    clock: Clock
    tasks: TaskSet

    def add_to(self, application: web.Application) -> None:
        router = application.router
        router.add_get("/admin/host/ping", self._ping)
        router.add_post("/admin/host/ping", self._ping)
        router.add_get("/admin/host/status", self._protected(self._status))
        router.add_post("/admin/host/drain", self._protected(self._drain))
        router.add_get("/admin/host/drain/status", self._protected(self._drain_status))
        router.add_post("/admin/host/resume", self._protected(self._resume))
        router.add_post("/admin/functions/{name}", self._protected(self._invoke))
        router.add_get("/admin/functions/{name}/status", self._protected(self._function_status))

    def _protected(
        self, handler: Callable[[web.Request], Awaitable[web.Response]]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        authorize = authorizer(self.keys, "admin")

        async def handle(request: web.Request) -> web.StreamResponse:
            return await handler(request) if authorize(request) else web.Response(status=401)

        return handle

    async def _ping(self, _request: web.Request) -> web.Response:
        return web.Response(status=200)

    async def _status(self, _request: web.Request) -> web.Response:
        words = [str(problem) for problem in self.problems]
        words += [f"The listener for function '{name}': {error}" for name, error in self.listeners.errors.items()]
        return web.json_response({"id": self.host_id, "state": "Running", "version": VERSION, "errors": words})

    async def _drain(self, _request: web.Request) -> web.Response:
        """Listeners take nothing new; what runs goes on, and HTTP is still served."""
        await self.listeners.stop_listening()
        return web.Response(status=202)

    async def _drain_status(self, _request: web.Request) -> web.Response:
        running = self.runtime.in_flight
        state = "Disabled" if self.listeners.listening else "InProgress" if running else "Completed"
        return web.json_response({"state": state, "outstandingInvocations": running, "outstandingRetries": 0})

    async def _resume(self, _request: web.Request) -> web.Response:
        self.listeners.start()
        return web.json_response({"state": "Running"}, status=202)

    def _function(self, request: web.Request) -> LoadedFunction | None:
        name = request.match_info["name"].lower()
        return next((one for one in self.runtime.functions.values() if one.name.lower() == name), None)

    async def _function_status(self, request: web.Request) -> web.Response:
        name = request.match_info["name"].lower()
        words = [problem.words for problem in self.problems if problem.function.lower() == name]
        words += [error for listener, error in self.listeners.errors.items() if listener.lower() == name]
        if self._function(request) is None and not words:
            return web.Response(status=404)
        return web.json_response({"errors": words} if words else {})

    async def _invoke(self, request: web.Request) -> web.Response:
        function = self._function(request)
        if function is None:
            return web.Response(status=404)
        try:
            document = json.loads(await request.read())
        except ValueError:
            document = None
        if not isinstance(document, dict):
            return web.Response(status=400)
        try:
            trigger = self._by_hand(function, str(document.get("input") or ""))
        except ValueError:
            return web.Response(status=400, text=f"the input of '{function.name}' must be JSON")
        self.tasks.spawn(self._run(function, trigger))
        return web.Response(status=202)

    async def _run(self, function: LoadedFunction, trigger: TriggerData) -> None:
        try:
            await self.runtime.invoke(function, trigger)
        except FunctionFailed:
            return  # the runtime has logged it; whoever asked has had the answer

    def _by_hand(self, function: LoadedFunction, text: str) -> TriggerData:
        """The trigger's data made from the caller's text. Raises ValueError when it must be JSON and is not."""
        now = self.clock.now()
        makers: Mapping[str, Callable[[], Any]] = {
            "timerTrigger": lambda: TriggerData(typed_json(timer_info(past_due=False, status=None))),
            "eventGridTrigger": lambda: TriggerData(typed_json(json.loads(text))),
            "serviceBusTrigger": lambda: service_bus_messages.by_hand(text, now),
            "queueTrigger": lambda: storage_queue.by_hand(text, now),
            "httpTrigger": lambda: TriggerData(http_data("POST", "", {}, {}, {}, text.encode())),
        }
        made: TriggerData = makers.get(function.kind, lambda: TriggerData(typed_text(text)))()
        return made
