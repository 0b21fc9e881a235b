"""The local Functions host: puts the parts together, starts them in the right order, and ends them."""

import contextlib
import logging
import os
import re
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from aiohttp import web

from local.clock import Clock
from local.host.admin import AdminApi
from local.host.errors import FunctionProblem, HostStartError
from local.host.event_grid import EventGridWebhook
from local.host.functions import LoadedFunction
from local.host.host_json import HostOptions, load_host_json
from local.host.http_server import HttpTriggers, authorizer
from local.host.keys import DURABLE_KEY, Keys
from local.host.listeners import Listener, Listeners, TaskSet
from local.host.metadata import Metadata, validate
from local.host.outputs import Outputs
from local.host.routes import RouteTable
from local.host.runtime import Runtime
from local.host.schedules import parse_schedule
from local.host.service_bus import ServiceBusListener
from local.host.settings import in_environment, load_settings
from local.host.storage_queue import StorageQueueListener
from local.host.timers import StatusFile, TimerListener
from local.host.worker import Worker

log = logging.getLogger(__name__)

# Together less than the ten seconds that the real host takes at most.
_HTTP_S, _FINISH_S, _SETTLE_S = 4.0, 3.0, 1.5
_RUNTIME = "FUNCTIONS_WORKER_RUNTIME"
_TIME_ZONE = "WEBSITE_TIME_ZONE"


class Host:
    """Runs one Functions app on 127.0.0.1.

    `settings` win over local.settings.json and the environment, and are the process's environment while the host runs.
    `journal` is where the durable hub survives a kill; the timers' record lies beside it. `port` 0: any free one.
    """

    def __init__(
        self,
        app_dir: Path,
        clock: Clock,
        *,
        settings: Mapping[str, str] | None = None,
        keys: Keys | None = None,
        journal: Path | None = None,
        port: int = 0,
    ) -> None:
        self.keys = keys or Keys()
        self.killed_activity: Literal["fails", "redelivered"] = "fails"
        self.cloud_events: Literal["taken", "refused"] = "taken"
        self.purge_by_filter: Literal["whole", "in_parts"] = "whole"
        self.client: Any = None
        self.problems: list[FunctionProblem] = []
        self._app_dir = app_dir.resolve()
        self._clock = clock
        self._given = settings or {}
        self._journal = None if journal is None else journal.resolve()
        self._port = port
        self._url = ""
        self._durable: Any = None
        self._runtime: Runtime | None = None
        self._listeners: Listeners | None = None
        self._by_hand = TaskSet()
        self._open = contextlib.AsyncExitStack()

    @property
    def functions(self) -> Mapping[str, LoadedFunction]:
        """The functions that run, by name."""
        return {} if self._runtime is None else self._runtime.functions

    async def start(self) -> str:
        """Load the app and start everything; the base URL.

        Raises:
            HostStartError: the app or its configuration is one that the host refuses.
        """
        try:
            await self._start()
        except BaseException:
            await self._open.aclose()
            raise
        return self._url

    async def stop(self) -> None:
        """Take nothing new, let what runs finish, within ten real seconds; functions get no signal."""
        await self._open.aclose()

    def kill_worker(self) -> None:
        """The process in which the functions run dies, as by kill -9, and another takes its place at once."""
        if self._runtime is not None:
            self._runtime.kill_worker()

    def busy(self) -> bool:
        """True while something runs that does not wait for the clock."""
        if self._runtime is None or self._listeners is None:
            return False
        durable = self._durable is not None and self._durable.busy()
        return self._runtime.in_flight > 0 or self._listeners.busy() or len(self._by_hand) > 0 or bool(durable)

    async def _start(self) -> None:
        if not self._app_dir.is_dir():
            raise HostStartError(f"{self._app_dir} is not a folder: give the folder of a Functions app.")
        listening = self._bind()
        settings = load_settings(self._app_dir, self._given)
        settings = {
            "AZURE_FUNCTIONS_ENVIRONMENT": "Development",
            **settings,
            "WEBSITE_HOSTNAME": self._url.removeprefix("http://"),
        }
        self._open.enter_context(in_environment(settings))
        self._open.enter_context(_working_directory(self._app_dir))
        options = load_host_json(self._app_dir, settings)
        _check_language(settings)
        metadata, routes, worker = await self._load(options, settings)
        runtime = self._runtime = self._make_runtime(worker, metadata, options, settings)
        listeners = self._listeners = Listeners(self._make_listeners(runtime, metadata, options, settings), self._clock)
        self._open.push_async_callback(listeners.close, _SETTLE_S)
        self._open.push_async_callback(self._let_finish, runtime)
        await self._start_durable(runtime, options)
        self.problems = list(metadata.problems)
        for problem in self.problems:
            log.error("%s", problem)
        await self._serve(
            listening, HttpTriggers(runtime, routes, self.keys, options.http, settings), runtime, listeners
        )
        self._open.push_async_callback(listeners.stop_listening)
        listeners.start()

    def _bind(self) -> socket.socket:
        """Listen at once: whoever comes before the app is loaded waits."""
        try:
            listening = socket.create_server(("127.0.0.1", self._port), backlog=128)
        except OSError as error:
            raise HostStartError(f"Port {self._port} on 127.0.0.1 cannot be used: {error}. Choose another.") from error
        self._open.callback(listening.close)
        self._url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        return listening

    async def _load(self, options: HostOptions, settings: Mapping[str, str]) -> tuple[Metadata, RouteTable, Worker]:
        worker = Worker(self._app_dir)
        metadata = validate(await worker.load(), settings, options.allowed)
        routes = RouteTable(metadata.functions.values(), options.http.route_prefix)
        for problem in routes.problems:
            metadata.drop(problem)
        if not metadata.functions:
            words = "\n".join(str(problem) for problem in metadata.problems) or "function_app.py declares none"
            raise HostStartError(f"No functions found, so nothing would run:\n{words}")
        return metadata, routes, worker

    def _make_runtime(
        self, worker: Worker, metadata: Metadata, options: HostOptions, settings: Mapping[str, str]
    ) -> Runtime:
        outputs = Outputs(settings, base64_encoded=options.queues.base64)
        self._open.push_async_callback(outputs.close)
        runtime = Runtime(
            worker,
            metadata,
            self._clock,
            timeout_s=options.function_timeout_s,
            client_payload=self._client_payload,
            deliver_outputs=outputs.deliver,
        )
        self._open.callback(runtime.abandon)
        return runtime

    def _client_payload(self) -> dict[str, Any]:
        payload: dict[str, Any] = self._durable.client_payload(self._url, self.keys.system[DURABLE_KEY])
        return payload

    async def _start_durable(self, runtime: Runtime, options: HostOptions) -> None:
        """As in Azure, the hub only runs when the app has durable bindings."""
        kinds = {binding["type"] for one in runtime.functions.values() for binding in one.bindings}
        if not kinds & {"durableClient", "orchestrationTrigger", "activityTrigger", "entityTrigger"}:
            return
        # gRPC is slow to import: only for apps that need it.
        from local.host.durable.extension import DurableExtension
        from local.host.durable.journal import JournalError
        from local.host.durable.options import OptionsError

        section = {**options.durable, "hubName": options.hub_name}
        try:
            self._durable = DurableExtension(
                runtime,
                self._clock,
                journal=self._journal,
                options=section,
                redelivers_killed=lambda: self.killed_activity == "redelivered",
                purges_in_parts=lambda: self.purge_by_filter == "in_parts",
            )
        except (OptionsError, JournalError) as error:
            raise HostStartError(str(error)) from error
        await self._durable.start()
        self._open.push_async_callback(self._durable.stop)
        self.client = self._durable.client

    def _make_listeners(
        self, runtime: Runtime, metadata: Metadata, options: HostOptions, settings: Mapping[str, str]
    ) -> list[Listener]:
        statuses = StatusFile(
            None if self._journal is None else self._journal.with_name(self._journal.name + ".timers.json")
        )
        makers: dict[str, Callable[[LoadedFunction], Listener]] = {
            "timerTrigger": lambda function: self._timer(function, runtime, metadata, statuses, settings),
            "serviceBusTrigger": lambda function: ServiceBusListener(
                function, runtime, self._clock, options.service_bus, settings
            ),
            "queueTrigger": lambda function: StorageQueueListener(
                function, runtime, self._clock, options.queues, settings
            ),
        }
        listeners = []
        for function in list(metadata.functions.values()):
            if function.name in metadata.retries and function.kind != "timerTrigger":
                log.warning("Function '%s': retry metadata only works on timers; it is ignored", function.name)
            if function.kind not in makers:
                continue
            try:
                listeners.append(makers[function.kind](function))
            except ValueError as error:
                metadata.drop(FunctionProblem(function.name, str(error)))
        return listeners

    def _timer(
        self,
        function: LoadedFunction,
        runtime: Runtime,
        metadata: Metadata,
        statuses: StatusFile,
        settings: Mapping[str, str],
    ) -> Listener:
        if settings.get(_TIME_ZONE, "UTC").upper() not in ("UTC", "ETC/UTC"):
            raise ValueError(f"the app setting {_TIME_ZONE} is not implemented by the local host: timers run in UTC")
        schedule = parse_schedule(str(function.trigger["schedule"]))
        retry = metadata.retries.get(function.name)
        return TimerListener(function, schedule, runtime, self._clock, statuses, retry)

    async def _serve(
        self, listening: socket.socket, triggers: HttpTriggers, runtime: Runtime, listeners: Listeners
    ) -> None:
        application = triggers.application()
        host_id = re.sub(r"[^a-z0-9-]", "-", self._app_dir.name.lower())[:32]
        AdminApi(host_id, runtime, listeners, self.problems, self.keys, self._clock, self._by_hand).add_to(application)
        EventGridWebhook(runtime, self.keys, lambda: self.cloud_events == "taken").add_to(application)
        if self._durable is not None:
            from local.host.durable.management import ManagementApi  # imports gRPC

            ManagementApi(self.client, authorizer(self.keys, "system", DURABLE_KEY)).add_to(application)
        triggers.finish(application)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=_HTTP_S)
        await runner.setup()
        self._open.push_async_callback(runner.cleanup)
        await web.SockSite(runner, listening).start()

    async def _let_finish(self, runtime: Runtime) -> None:
        if not await runtime.drain(_FINISH_S):
            log.warning("%d invocations still ran when the host stopped", runtime.in_flight)


def _check_language(settings: Mapping[str, str]) -> None:
    language = settings.get(_RUNTIME)
    if language != "python":
        raise HostStartError(
            f"The app setting {_RUNTIME} is {language!r}: in Azure no function would run. Set it to 'python' "
            "(local.settings.json, Values)."
        )


@contextlib.contextmanager
def _working_directory(path: Path) -> Iterator[None]:
    """Azure runs the worker in the app's folder."""
    before = Path.cwd()
    os.chdir(path)
    try:
        yield
    finally:
        os.chdir(before)
