"""The Event Grid trigger's webhook: `/runtime/webhooks/eventgrid?functionName=...` (facts/hostrules.md §4)."""

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

from aiohttp import web

from local.host.functions import FunctionFailed, LoadedFunction
from local.host.http_server import authorizer
from local.host.keys import EVENT_GRID_KEY, Keys
from local.host.protos import typed_json
from local.host.runtime import Runtime, TriggerData

log = logging.getLogger(__name__)


class EventGridWebhook:
    """Answers handshakes and runs the functions of delivered events.

    `takes_cloud_events`: the assumption host.cloud_events, asked each time.
    """

    def __init__(self, runtime: Runtime, keys: Keys, takes_cloud_events: Callable[[], bool] = lambda: True) -> None:
        self._takes_cloud_events = takes_cloud_events
        self._runtime = runtime
        self._authorize = authorizer(keys, "system", EVENT_GRID_KEY)

    def add_to(self, application: web.Application) -> None:
        # ASP.NET ignores the case of paths; Microsoft writes both EventGrid and eventgrid.
        application.router.add_route(
            "*", "/{runtime:(?i:runtime)}/{webhooks:(?i:webhooks)}/{name:(?i:eventgrid)}", self.handle
        )

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if not self._authorize(request):
            return web.Response(status=401)
        name = request.query.get("functionName", "")
        function = self._runtime.functions.get(name)
        if function is None or function.kind != "eventGridTrigger" or function.disabled:
            return web.Response(status=404, text=f"cannot find function: '{name}'")
        if request.method == "OPTIONS" and self._takes_cloud_events():
            return _allow_origin(request)
        if request.method != "POST":
            return web.Response(status=404)
        return await self._post(request, function)

    async def _post(self, request: web.Request, function: LoadedFunction) -> web.StreamResponse:
        kind = request.headers.get("aeg-event-type", "").lower()
        if kind == "unsubscribe":
            return web.Response(status=202)
        if kind not in ("subscriptionvalidation", "notification"):
            return web.Response(status=400)
        try:
            events = _events(await request.read())
        except ValueError as error:
            log.error("Event Grid delivery to '%s' is malformed: %s", function.name, error)
            return web.Response(status=500)
        if not self._takes_cloud_events() and any("specversion" in event for event in events):
            return web.Response(status=400)
        if kind == "subscriptionvalidation":
            return _validation(events)
        return web.Response(status=202 if await self._deliver(function, events) else 500)

    async def _deliver(self, function: LoadedFunction, events: list[Any]) -> bool:
        """All events in parallel, or one call with all of them; one failure fails the delivery."""
        many = str(function.trigger.get("cardinality", "one")).lower() == "many"
        batches = [events] if many else events
        results = await asyncio.gather(*(self._succeeds(function, one) for one in batches))
        return all(results)

    async def _succeeds(self, function: LoadedFunction, data: Any) -> bool:
        try:
            await self._runtime.invoke(function, TriggerData(typed_json(data)))
        except FunctionFailed:
            return False
        return True


def _events(body: bytes) -> list[Any]:
    document = json.loads(body)
    events = document if isinstance(document, list) else [document]
    if not events or not all(isinstance(event, dict) for event in events):
        raise ValueError("an object, or an array of at least one object, is needed")
    return events


def _validation(events: list[Any]) -> web.Response:
    data = events[0].get("data")
    if not isinstance(data, dict) or "validationCode" not in data:
        return web.Response(status=500, text="the validation event has no data.validationCode")
    return web.json_response({"validationResponse": data["validationCode"]})


def _allow_origin(request: web.Request) -> web.Response:
    """The CloudEvents handshake."""
    origin = request.headers.get("WebHook-Request-Origin", "*")
    return web.Response(headers={"Webhook-Allowed-Origin": origin, "Webhook-Allowed-Rate": "*"})
