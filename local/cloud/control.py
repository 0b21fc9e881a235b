"""The control API: how another process (an end-to-end test, the demo) steers the local Azure. Plain HTTP on 127.0.0.1.

It is no part of Azure, has no authentication, and is not reachable through the proxy. Paths are listed in README.md.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiohttp import web

from local.cloud.arm_errors import ArmError
from local.cloud.estate import Deployment, Estate
from local.cloud.faults import Faults
from local.cloud.front_door import FrontDoor
from local.cloud.inbox import Inbox
from local.cloud.lifecycle import Lifecycle
from local.cloud.operations import Outcome
from local.cloud.request_log import RequestLog, RequestRecord
from local.cloud.routing import ARM_HOST, Principal
from local.cloud.switches import Switches

MAX_WAIT_S = 60.0
ML_API_VERSION = "2024-10-01"


@dataclass(kw_only=True)
class Control:
    """Handlers of the control API."""

    estate: Estate
    lifecycle: Lifecycle
    switches: Switches
    faults: Faults
    log: RequestLog
    inbox: Inbox
    front_door: FrontDoor
    expire_tokens: Callable[[], None]

    def application(self) -> web.Application:
        application = web.Application(middlewares=[_problems_as_json])
        application.add_routes(
            [
                web.get("/requests", self.requests),
                web.get("/inbox", self.show_inbox),
                web.get("/faults", self.list_faults),
                web.post("/faults", self.add_fault),
                web.delete("/faults", self.clear_faults),
                web.get("/faults/{name}/hit", self.wait_for_hit),
                web.post("/faults/{name}/release", self.release_fault),
                web.get("/assumptions", self.assumptions),
                web.put("/assumptions", self.set_assumptions),
                web.get("/estate", self.show_estate),
                web.post("/estate/patch", self.patch_as_person),
                web.post("/estate/outcome", self.set_outcome),
                web.post("/estate/release", self.release_operation),
                web.post("/identity/expire", self.expire_all_tokens),
                web.post("/vaults/set", self.set_secret),
                web.post("/vaults/change", self.change_secret),
                web.post("/vaults/delete", self.delete_secret),
                web.post("/vaults/recover", self.recover_secret),
            ]
        )
        return application

    async def requests(self, request: web.Request) -> web.Response:
        """Filters: since (number), method, host and path (parts of them), mutating=true, accepted=true."""
        query = request.query
        found = [record.as_json() for record in self.log if _selected(record, query)]
        return web.json_response({"next": self.log.next_number, "dropped": self.log.dropped, "value": found})

    async def show_inbox(self, _request: web.Request) -> web.Response:
        """Mails and webhooks, the oldest first."""
        return web.json_response({"value": [received.as_json() for received in self.inbox]})

    async def list_faults(self, _request: web.Request) -> web.Response:
        return web.json_response(self.faults.as_json())

    async def add_fault(self, request: web.Request) -> web.Response:
        fault = self.faults.add_json(await request.read())
        return web.json_response(fault.as_json(), status=201)

    async def clear_faults(self, _request: web.Request) -> web.Response:
        self.faults.clear()
        return web.Response(status=204)

    async def wait_for_hit(self, request: web.Request) -> web.Response:
        """Long-poll: answers as soon as the fault was hit, or after timeout_s (real seconds)."""
        timeout_s = min(float(request.query.get("timeout_s", "10")), MAX_WAIT_S)
        hit = await self.faults.named(request.match_info["name"]).wait_for_hit(timeout_s)
        return web.json_response({"hit": hit})

    async def release_fault(self, request: web.Request) -> web.Response:
        self.faults.named(request.match_info["name"]).release()
        return web.Response(status=204)

    async def assumptions(self, _request: web.Request) -> web.Response:
        return web.json_response(self.switches.as_dict())

    async def set_assumptions(self, request: web.Request) -> web.Response:
        self.switches.update(await _object(request))
        return web.json_response(self.switches.as_dict())

    async def show_estate(self, _request: web.Request) -> web.Response:
        with self.estate.lock:
            shown = [_shown(deployment) for deployment in self.estate.deployments()]
        return web.json_response({"deployments": shown})

    async def patch_as_person(self, request: web.Request) -> web.Response:
        """{"id": ..., "body": {...}, "principal": "ada@example.com", "method": "PATCH"}"""
        asked = await _object(request)
        person = Principal(asked.get("principal", "a-person@watchkeeper.example"), "", "User")
        url = f"https://{ARM_HOST}{asked['id']}?api-version={ML_API_VERSION}"
        reply = await self.front_door.perform(asked.get("method", "PATCH"), url, asked["body"], person)
        body = json.loads(reply.body) if reply.body else None
        return web.json_response({"status": reply.status, "body": body, "headers": reply.headers})

    async def set_outcome(self, request: web.Request) -> web.Response:
        """How the next operation of a deployment ends: {"id": ..., "kind": "error" | "never", "code": ..., ...}"""
        asked = await _object(request)
        deployment = self.estate.deployment(asked.pop("id"))
        with self.estate.lock:
            deployment.next_outcome = Outcome(**asked)
        return web.Response(status=204)

    async def release_operation(self, request: web.Request) -> web.Response:
        """Let an operation that would never end succeed: {"id": ...}"""
        self.lifecycle.release(self.estate.deployment((await _object(request))["id"]))
        return web.Response(status=204)

    async def set_secret(self, request: web.Request) -> web.Response:
        """A new version: {"vault", "name", "value", "enabled", "not_before", "expires_on"}; answers its id."""
        asked = await _object(request)
        with self.estate.lock:
            vault, name, value = self.estate.vault(asked.pop("vault")), asked.pop("name"), asked.pop("value")
            version = vault.set(name, value, self.front_door.clock.now(), **_moments(asked))
        return web.json_response({"version": version.id}, status=201)

    async def change_secret(self, request: web.Request) -> web.Response:
        """Attributes of a version, the newest if none is named: {"vault", "name", "version", "enabled", ...}"""
        asked = await _object(request)
        with self.estate.lock:
            vault, name, version = self.estate.vault(asked.pop("vault")), asked.pop("name"), asked.pop("version", "")
            vault.change(name, version, self.front_door.clock.now(), **_moments(asked))
        return web.Response(status=204)

    async def delete_secret(self, request: web.Request) -> web.Response:
        """{"vault", "name"}"""
        asked = await _object(request)
        with self.estate.lock:
            self.estate.vault(asked["vault"]).delete(asked["name"])
        return web.Response(status=204)

    async def recover_secret(self, request: web.Request) -> web.Response:
        """{"vault", "name"}"""
        asked = await _object(request)
        with self.estate.lock:
            self.estate.vault(asked["vault"]).recover(asked["name"])
        return web.Response(status=204)

    async def expire_all_tokens(self, _request: web.Request) -> web.Response:
        self.expire_tokens()
        return web.Response(status=204)


@web.middleware
async def _problems_as_json(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Say what was wrong with a request of ours, instead of a bare 500."""
    try:
        return await handler(request)
    except (ValueError, TypeError, ArmError) as error:
        return web.json_response({"error": str(error)}, status=400)
    except KeyError as error:
        return web.json_response({"error": f"unknown or missing: {error.args[0]}"}, status=404)


async def _object(request: web.Request) -> dict[str, Any]:
    document = json.loads(await request.read())
    if not isinstance(document, dict):
        raise ValueError("a JSON object is expected")
    return document


def _moments(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes with their times parsed."""
    times = ("not_before", "expires_on")
    return {key: datetime.fromisoformat(value) if key in times and value else value for key, value in asked.items()}


def _selected(record: RequestRecord, query: Mapping[str, str]) -> bool:
    return (
        record.number >= int(query.get("since", "0"))
        and query.get("method", record.method) == record.method
        and query.get("host", "").lower() in record.host
        and query.get("path", "").lower() in record.path.lower()
        and ("mutating" not in query or record.mutating == (query["mutating"] == "true"))
        and ("accepted" not in query or record.accepted == (query["accepted"] == "true"))
    )


def _shown(deployment: Deployment) -> dict[str, Any]:
    def moment(at: datetime | None) -> str | None:
        return None if at is None else at.isoformat()

    return {
        "id": deployment.id,
        "capacity": deployment.body["sku"]["capacity"],
        "provisioning_state": deployment.provisioning_state,
        "traffic_pct": deployment.endpoint.body["properties"]["traffic"].get(deployment.name, 0),
        "instances": [
            {"id": i.id, "state": i.state, "requested_at": moment(i.requested_at), "ready_at": moment(i.ready_at)}
            for i in deployment.instances
        ],
    }
