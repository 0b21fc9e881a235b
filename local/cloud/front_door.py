"""Every request goes through here: logged, with its faults, authenticated, throttled, authorised, answered."""

import inspect
import json
import uuid
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from aiohttp import web

from local.activity import Activity
from local.clock import Clock
from local.cloud.arm_errors import ArmError, forbidden
from local.cloud.estate import Estate
from local.cloud.faults import Faults
from local.cloud.identity import ManagedIdentity
from local.cloud.request_log import RequestLog, RequestRecord
from local.cloud.rights import Rights
from local.cloud.routing import (
    CHANGING_METHODS,
    NOBODY,
    Call,
    Principal,
    Registry,
    Reply,
    Route,
    check_api_version,
    encoded,
)
from local.cloud.throttling import ArmThrottle

LOGGED_BODY_BYTES = 20_000


class _WithheldError(Exception):
    """A fault says that the caller gets no answer."""


@dataclass(kw_only=True)
class FrontDoor:
    """The one way in, for all hosts."""

    clock: Clock
    estate: Estate
    registry: Registry
    identity: ManagedIdentity
    rights: Rights
    throttle: ArmThrottle
    faults: Faults
    log: RequestLog
    activity: Activity

    async def serve(self, request: web.Request, host: str = "") -> web.StreamResponse:
        """Answer an HTTP request; `host` overrides its Host header."""
        with self.activity.counted():
            call = Call(
                method=request.method,
                host=host or request.host.partition(":")[0].lower(),
                path=request.path,
                query=dict(request.query),
                headers=request.headers,
                body=await request.read(),
                at=self.clock.now(),
            )
            try:
                reply = await self._answer(call, self._record(call))
            except _WithheldError:
                return _hang_up(request)
        return web.Response(status=reply.status, headers=reply.headers, body=reply.body)

    async def perform(self, method: str, url: str, body: Any, principal: Principal) -> Reply:
        """Carry out a request as somebody else, past tokens, rights and throttles: a person's change in the portal."""
        parts = urlsplit(url)
        content = b"" if body is None else json.dumps(body).encode()
        query = dict(parse_qsl(parts.query))
        host = parts.hostname or ""
        call = Call(method, host, parts.path, query, {}, content, self.clock.now(), principal=principal)
        with self.activity.counted():
            record = self._record(call)
            reply = await self._effect(call, record)
        record.status = reply.status
        return reply

    async def _answer(self, call: Call, record: RequestRecord) -> Reply:
        reply = await self._trouble("before", call, record)
        if reply is None:
            reply = await self._effect(call, record)
            reply = await self._trouble("after", call, record) or reply
        record.status = reply.status
        return encoded(reply)

    async def _trouble(self, when: str, call: Call, record: RequestRecord) -> Reply | None:
        """Meet the fault that matches, if one does; its reply, if it has one.

        Raises:
            _WithheldError: the caller gets no answer.
        """
        fault = self.faults.match(call, when)
        if fault is None:
            return None
        record.faults.append(fault.name)
        await fault.hit(call)
        if fault.delay_s:
            await self.activity.sleep(fault.delay_s)
        if fault.withhold == "hang":
            await self.activity.uncounted(fault.wait_for_release())
        if fault.withhold != "no":
            raise _WithheldError
        return fault.reply()

    async def _effect(self, call: Call, record: RequestRecord) -> Reply:
        """What the service answers, errors included."""
        headers = {"x-ms-request-id": str(uuid.uuid4())}
        try:
            reply = await self._dispatch(call, headers)
        except ArmError as error:
            reply = encoded(Reply(error.status, error.body(), error.headers))
        reply.headers = headers | reply.headers
        record.principal = call.principal.object_id
        record.effect_status = reply.status
        return reply

    async def _dispatch(self, call: Call, headers: dict[str, str]) -> Reply:
        route = self.registry.find(call)
        check_api_version(route, call)
        if call.principal is NOBODY and route.audiences:
            headers |= self._admit(route, call)
        if inspect.iscoroutinefunction(route.handler):
            # The workload, which serves it on its own time, counts itself.
            return encoded(await self.activity.uncounted(route.handler(call)))
        with self.estate.lock:
            reply = route.handler(call)
            assert isinstance(reply, Reply)
            # Within the lock, because the reply may hold a document of the estate itself.
            return encoded(reply)

    def _admit(self, route: Route, call: Call) -> dict[str, str]:
        """Who calls, whether it is too often, and whether they may; the headers that say how much is left."""
        left: dict[str, str] = {}
        try:
            call.principal = self.identity.authenticate(call, route.audiences)
            if route.arm_throttled:
                subscription = call.params.get("subscription", "tenant")
                left = self.throttle.admit(subscription, call.principal.object_id, call.method, self.clock.now())
            self._authorise(route, call)
        except ArmError as error:
            raise (route.refusal(call, error) if route.refusal else error) from error
        return left

    def _authorise(self, route: Route, call: Call) -> None:
        if route.action and not self.rights.allow(route.action, data=route.data):
            raise forbidden(call.principal.client_id, call.principal.object_id, route.action, call.path)

    def _record(self, call: Call) -> RequestRecord:
        mutating = call.method in CHANGING_METHODS
        return self.log.add(
            RequestRecord(
                number=self.log.next_number,
                at=call.at,
                host=call.host,
                method=call.method,
                path=call.path,
                query=dict(call.query),
                client_request_id=call.headers.get("x-ms-client-request-id", ""),
                mutating=mutating,
                body=_logged_body(call) if mutating else None,
            )
        )


def _logged_body(call: Call) -> Any:
    if len(call.body) > LOGGED_BODY_BYTES:
        return f"({len(call.body)} bytes)"
    try:
        return json.loads(call.body)
    except ValueError:
        return call.body.decode("utf-8", "replace")


def _hang_up(request: web.Request) -> web.StreamResponse:
    """Close the connection without an answer; aiohttp wants a response all the same, which goes nowhere."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=503)
