"""The host's HTTP side: functions' routes, keys, limits, home page. Other endpoints are added by their own modules."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from local.host.functions import FunctionFailed, LoadedFunction
from local.host.host_json import HttpOptions
from local.host.http_messages import client_response, worker_request
from local.host.keys import Keys, given_key
from local.host.routes import RouteTable
from local.host.runtime import Runtime, TriggerData
from local.host.settings import is_true

log = logging.getLogger(__name__)

BODY_LIMIT = 100 * 2**20
BODY_LIMIT_SETTING = "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT"
HOME_PAGE_SETTING = "AzureWebJobsDisableHomepage"
_HOME = "<!DOCTYPE html><title>Functions host</title><h1>The local Functions host is up and running.</h1>"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class HttpTriggers:
    """Serves every HTTP function."""

    def __init__(
        self, runtime: Runtime, routes: RouteTable, keys: Keys, options: HttpOptions, settings: Mapping[str, str]
    ) -> None:
        self._runtime = runtime
        self._routes = routes
        self._keys = keys
        self._options = options
        self._settings = settings
        self._outstanding = 0
        concurrent = options.max_concurrent_requests
        self._gate = asyncio.Semaphore(concurrent) if concurrent > 0 else None

    def application(self) -> web.Application:
        """An aiohttp application; the catch-all route is added by `finish`, after all others."""
        limit = int(self._settings.get(BODY_LIMIT_SETTING, BODY_LIMIT))
        return web.Application(client_max_size=limit)

    def finish(self, application: web.Application) -> None:
        """Add the functions' routes behind whatever has been added before."""
        application.router.add_route("*", "/{path:.*}", self.handle)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Route, check the key, run, answer."""
        found = self._routes.find(request.match_info["path"], request.method)
        if found is None:
            return self._home() if request.path == "/" else web.Response(status=404)
        if self._is_full():
            return web.Response(status=429, headers={"X-FUNCTION-SCALEOUT": "1"})
        self._outstanding += 1
        try:
            if self._gate is None:
                return await self._run(request, *found)
            async with self._gate:
                return await self._run(request, *found)
        finally:
            self._outstanding -= 1

    def _is_full(self) -> bool:
        limit = self._options.max_outstanding_requests
        return 0 <= limit <= self._outstanding

    def _home(self) -> web.Response:
        if is_true(self._settings.get(HOME_PAGE_SETTING)):
            return web.Response(status=204)
        return web.Response(text=_HOME, content_type="text/html")

    async def _run(
        self, request: web.Request, function: LoadedFunction, values: Mapping[str, str]
    ) -> web.StreamResponse:
        key = given_key(request)
        level = str(function.trigger.get("authLevel") or "function").lower()
        if not self._keys.opens(key, level, function=function.name):
            return web.Response(status=401)
        if function.disabled and not self._keys.is_master(key):
            return web.Response(status=404)
        trigger = TriggerData(
            await worker_request(request, values), trace_parent=request.headers.get("traceparent", "")
        )
        try:
            returned = await self._runtime.invoke(function, trigger)
        except FunctionFailed:
            return web.Response(status=500)
        return client_response(returned.value)


def authorizer(keys: Keys, level: str, system: str | None = None) -> Callable[[web.Request], bool]:
    """For the host's own endpoints: whether a request's key opens `level`. If not, they answer 401."""
    return lambda request: keys.opens(given_key(request), level, system=system)
