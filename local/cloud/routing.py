"""The routes that the local Azure knows: adding one is one `Route` in a provider's list.

A route says its method, host, path template, api-versions, the action that RBAC asks for, and where it is documented.
What no route lists is refused, so that production code cannot lean on something that was never looked up.
"""

import fnmatch
import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from local.cloud.arm_errors import ArmError, invalid_content

ARM_HOST = "management.azure.com"
ARM_AUDIENCES = ("https://management.azure.com", "https://management.core.windows.net")
CHANGING_METHODS = frozenset({"PUT", "PATCH", "DELETE"})


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls: the app's managed identity, or a person through the control API."""

    object_id: str
    client_id: str
    kind: str = "Application"


NOBODY = Principal("", "", "")


@dataclass(slots=True)
class Call:
    """One request on its way through the front door; `params` and `principal` are filled in as they become known."""

    method: str
    host: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    at: datetime
    params: dict[str, str] = field(default_factory=dict)
    principal: Principal = NOBODY

    def json(self) -> dict[str, Any]:
        """The body as a JSON object.

        Raises:
            ArmError: 400 if it is none.
        """
        try:
            document = json.loads(self.body)
        except ValueError as error:
            raise invalid_content(str(error)) from error
        if not isinstance(document, dict):
            raise invalid_content("a JSON object is expected")
        return document


@dataclass(slots=True)
class Reply:
    """What a handler answers; `body` None means no content, bytes are sent as they are, the rest as JSON."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


def encoded(reply: Reply) -> Reply:
    """The reply with its body as bytes."""
    if reply.body is None or isinstance(reply.body, bytes):
        return reply
    headers = {"Content-Type": "application/json; charset=utf-8"} | reply.headers
    return Reply(reply.status, json.dumps(reply.body).encode(), headers)


Handler = Callable[[Call], Reply | Awaitable[Reply]]
Refusal = Callable[[Call, ArmError], ArmError]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One operation of Azure.

    Attributes:
        host: host name, `*` allowed.
        template: path with `{parameters}`; matched without regard to letter case.
        api_versions: those looked up; empty for data planes without one.
        action: what RBAC asks for; empty if the plane is not governed by RBAC here.
        audiences: accepted token audiences; empty if no token is asked for.
        arm_throttled: draws on Resource Manager's buckets.
        data: `action` is a data action.
        refusal: another plane's form of our 401s and 403s; None: Resource Manager's.
        source: where the route is documented.
    """

    method: str
    template: str
    handler: Handler
    source: str
    host: str = ARM_HOST
    api_versions: tuple[str, ...] = ()
    action: str = ""
    audiences: tuple[str, ...] = ARM_AUDIENCES
    arm_throttled: bool = True
    data: bool = False
    refusal: Refusal | None = None

    def matcher(self) -> re.Pattern[str]:
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(self.template))
        return re.compile(pattern, re.IGNORECASE)


class Registry:
    """All routes, found by host, path and method."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self.routes = tuple(routes)
        self._matchers = [(route, route.matcher()) for route in routes]

    def find(self, call: Call) -> Route:
        """The route of a call, whose path parameters are put into `call.params`.

        Raises:
            ArmError: 404 unknown path, 405 unknown method.
        """
        known_path = False
        for route, matcher in self._matchers:
            match = matcher.fullmatch(call.path) if fnmatch.fnmatchcase(call.host, route.host) else None
            if match is not None and route.method == call.method:
                call.params.update(match.groupdict())
                return route
            known_path = known_path or match is not None
        if known_path:
            message = f"The local Azure has no route for {call.method} on this path; see local/cloud/README.md."
            raise ArmError(405, "MethodNotAllowed", message)
        message = (
            f"The local Azure has no route for {call.method} https://{call.host}{call.path}; see local/cloud/README.md."
        )
        raise ArmError(404, "NotFound", message)


def check_api_version(route: Route, call: Call) -> None:
    """Refuse what the route does not list. Source: ARM's `MissingApiVersionParameter` and `InvalidApiVersionParameter`.

    Raises:
        ArmError: 400 naming the supported versions.
    """
    if not route.api_versions:
        return
    asked = call.query.get("api-version", "")
    if not asked:
        message = "The api-version query parameter (?api-version=) is required for all requests."
        raise ArmError(400, "MissingApiVersionParameter", message)
    if asked not in route.api_versions:
        supported = ",".join(sorted(route.api_versions, reverse=True))
        message = f"The api-version '{asked}' is invalid. The supported versions are '{supported}'."
        raise ArmError(400, "InvalidApiVersionParameter", message)
