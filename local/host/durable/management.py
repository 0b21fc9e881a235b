"""The Durable extension's HTTP API under /runtime/webhooks/durabletask, as HttpApiHandler.cs answers it.

What the app's `create_check_status_response` links to, and entities. Not here: starting orchestrations, lists of
instances or entities, purging by filter, history; use the client for those.
"""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import quote

from aiohttp import web
from azure.durable_functions.http.http_management_payload import HttpManagementPayload
from durabletask.client import AsyncTaskHubGrpcClient, OrchestrationState, OrchestrationStatus
from durabletask.entities import EntityInstanceId

PREFIX = "/runtime/webhooks/durabletask"
RETRY_AFTER_S = 5
RESTART_RETRY_AFTER_S = 10
_FINISHED = (OrchestrationStatus.COMPLETED, OrchestrationStatus.FAILED, OrchestrationStatus.TERMINATED)

Authorize = Callable[[web.Request], bool]


class ManagementApi:
    """`authorize(request)` says whether the request carries a key that opens the API; else it is answered 401."""

    def __init__(self, client: AsyncTaskHubGrpcClient, authorize: Authorize) -> None:
        self._client = client
        self._authorize = authorize

    def add_to(self, app: web.Application) -> None:
        instance, entity = f"{PREFIX}/instances/{{id}}", f"{PREFIX}/entities/{{name}}/{{key}}"
        app.middlewares.append(self._check_key)
        app.router.add_get(instance, self._status, allow_head=False)
        app.router.add_delete(instance, self._purge)
        app.router.add_post(f"{instance}/raiseEvent/{{event}}", self._raise_event)
        app.router.add_post(f"{instance}/terminate", self._terminate)
        app.router.add_post(f"{instance}/suspend", self._suspend)
        app.router.add_post(f"{instance}/resume", self._resume)
        app.router.add_post(f"{instance}/rewind", self._rewind)
        app.router.add_post(f"{instance}/restart", self._restart)
        app.router.add_get(entity, self._entity, allow_head=False)
        app.router.add_post(entity, self._signal)
        app.router.add_delete(entity, self._signal)

    @web.middleware
    async def _check_key(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if request.path.startswith(PREFIX) and not self._authorize(request):
            return web.Response(status=401)
        response: web.StreamResponse = await handler(request)
        return response

    async def _state(self, request: web.Request) -> OrchestrationState:
        state = await self._client.get_orchestration_state(request.match_info["id"], fetch_payloads=True)
        if state is None:
            raise web.HTTPNotFound
        return state

    async def _running(self, request: web.Request) -> str:
        """The id of an instance that has not ended; 404 or 410 otherwise."""
        state = await self._state(request)
        if state.runtime_status in _FINISHED:
            raise web.HTTPGone
        return state.instance_id

    # -- instances ---------------------------------------------------------------------------------------------------

    async def _status(self, request: web.Request) -> web.Response:
        state = await self._state(request)
        body = status_payload(state, show_input=_flag(request, "showInput", default=True))
        if state.runtime_status not in _FINISHED:
            headers = {"Location": str(request.url), "Retry-After": str(RETRY_AFTER_S)}
            return web.json_response(body, status=202, headers=headers)
        failed = state.runtime_status == OrchestrationStatus.FAILED
        is_error = failed and _flag(request, "returnInternalServerErrorOnFailure", default=False)
        return web.json_response(body, status=500 if is_error else 200)

    async def _purge(self, request: web.Request) -> web.Response:
        state = await self._state(request)
        if state.runtime_status not in _FINISHED:
            raise web.HTTPPreconditionFailed(text="Only orchestrations in a terminal state can be purged.")
        result = await self._client.purge_orchestration(state.instance_id)
        return web.json_response({"instancesDeleted": result.deleted_instance_count})

    async def _raise_event(self, request: web.Request) -> web.Response:
        instance_id = await self._running(request)
        if request.content_type != "application/json":
            raise web.HTTPBadRequest(text="Only application/json request content is supported")
        data = _json(await request.text())
        await self._client.raise_orchestration_event(instance_id, request.match_info["event"], data=data)
        return web.Response(status=202)

    async def _terminate(self, request: web.Request) -> web.Response:
        await self._client.terminate_orchestration(await self._running(request), output=request.query.get("reason"))
        return web.Response(status=202)

    async def _suspend(self, request: web.Request) -> web.Response:
        await self._client.suspend_orchestration(await self._running(request), reason=request.query.get("reason"))
        return web.Response(status=202)

    async def _resume(self, request: web.Request) -> web.Response:
        await self._client.resume_orchestration(await self._running(request), reason=request.query.get("reason"))
        return web.Response(status=202)

    async def _rewind(self, request: web.Request) -> web.Response:
        state = await self._state(request)
        if state.runtime_status != OrchestrationStatus.FAILED:
            raise web.HTTPPreconditionFailed(text='Only orchestrations in the "Failed" state can be rewound.')
        await self._client.rewind_orchestration(state.instance_id, reason=request.query.get("reason"))
        return web.Response(status=202)

    async def _restart(self, request: web.Request) -> web.Response:
        instance_id = request.match_info["id"]
        state = await self._client.get_orchestration_state(instance_id, fetch_payloads=False)
        if state is None:
            raise web.HTTPBadRequest(text="InstanceId does not match a valid orchestration instance.")
        if state.runtime_status not in _FINISHED:  # the in-memory hub restarts none that runs, not even under a new id
            raise web.HTTPConflict(text="A non-terminal instance with this instance ID already exists.")
        new_id = _flag(request, "restartWithNewInstanceId", default=True)
        restarted = await self._client.restart_orchestration(instance_id, restart_with_new_instance_id=new_id)
        url = request.url.origin().with_path(f"{PREFIX}/instances/{restarted}")
        links = HttpManagementPayload(restarted, str(url), f"code={quote(request.query.get('code', ''), safe='')}")
        headers = {"Location": links["statusQueryGetUri"], "Retry-After": str(RESTART_RETRY_AFTER_S)}
        return web.json_response(dict(links), status=202, headers=headers)

    # -- entities ----------------------------------------------------------------------------------------------------

    async def _entity(self, request: web.Request) -> web.Response:
        entity = await self._client.get_entity(_entity_id(request))
        if entity is None:
            raise web.HTTPNotFound
        return web.Response(text=entity.get_state(str) or "null", content_type="application/json")

    async def _signal(self, request: web.Request) -> web.Response:
        operation = "delete" if request.method == "DELETE" else request.query.get("op", "")
        text = await request.text()
        data = _json(text) if text and request.content_type == "application/json" else text or None
        await self._client.signal_entity(_entity_id(request), operation, data)
        return web.Response(status=202)


def status_payload(state: OrchestrationState, *, show_input: bool) -> dict[str, Any]:
    """The status document of an instance (HttpApiHandler.StatusResponsePayload)."""
    failure = state.failure_details
    output = _payload(state.serialized_output)
    return {
        "name": state.name,
        "instanceId": state.instance_id,
        "runtimeStatus": state.runtime_status.name.capitalize(),
        "input": _payload(state.serialized_input) if show_input else None,
        "customStatus": _payload(state.serialized_custom_status),
        "output": failure.message if output is None and failure is not None else output,
        "createdTime": _seconds(state.created_at),
        "lastUpdatedTime": _seconds(state.last_updated_at),
    }


def _seconds(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _payload(serialized: str | None) -> Any:
    """JSON where it is, else the text itself (a reason to terminate is no JSON)."""
    if serialized is None:
        return None
    try:
        return json.loads(serialized)
    except ValueError:
        return serialized


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise web.HTTPBadRequest(text=f"Invalid JSON content: {error}") from error


def _flag(request: web.Request, name: str, *, default: bool) -> bool:
    text = request.query.get(name, "").lower()
    return text == "true" if text in ("true", "false") else default


def _entity_id(request: web.Request) -> EntityInstanceId:
    try:
        return EntityInstanceId(request.match_info["name"], request.match_info["key"])
    except ValueError as error:
        raise web.HTTPBadRequest(text=str(error)) from error
