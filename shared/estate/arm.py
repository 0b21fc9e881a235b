"""A lean asynchronous client of Azure Resource Manager on azure-core's policies.

There is no retry policy in its pipeline, on purpose. azure-core's own would repeat a PATCH after a 500, 503 or 504, and
after any answer of 400 or more that carries Retry-After, and it sleeps as long as that says. Here reads are retried by
`Arm` itself, a few times and never for long; a change is sent once:

* no status makes it be sent again, nor does a 401 that asks for a new token (`_authentication_policy`);
* redirects are not followed (the transport does not, and no redirect policy is there);
* aiohttp repeats a request on a stale kept-alive connection only for GET, HEAD, OPTIONS, TRACE, PUT and DELETE, so a
  PATCH on one fails, and its fate is unknown like that of any lost answer.
"""

import asyncio
import json
import math
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from shared.estate.failures import ArmError, ArmThrottled, ArmUnreachable, ForeignUrl, failure_of
from shared.estate.identity import RenewableCredential

if TYPE_CHECKING:
    from azure.core import AsyncPipelineClient
    from azure.core.credentials_async import AsyncTokenCredential
    from azure.core.rest import AsyncHttpResponse, HttpRequest

__all__ = ["Arm", "ArmError", "ArmReply", "ArmThrottled", "ArmUnreachable", "ForeignUrl", "retry_after_s"]

VERSION = "0.1.0"
ARM_HOST = "management.azure.com"
ARM_URL = f"https://{ARM_HOST}"
SCOPE = f"{ARM_URL}/.default"

LONGEST_PAUSE_S = 5.0
"""A longer Retry-After is not sat through but raised: a sleeping function costs money and holds a slot."""

PAUSES_S = (0.2, 1.0, 3.0)
"""Between the attempts of a read that was given no Retry-After."""

PASSING_STATUSES = frozenset({408, 429, 500, 502, 503, 504})

Sleep = Callable[[float], Awaitable[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmReply:
    """A success (2xx). `headers` have lower-case names; `body` is {} for an empty answer."""

    status: int
    body: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def retry_after_s(self) -> float | None:
        return retry_after_s(self.headers)


class Arm:
    """One client per process; close it. Every failure is an `ArmFailure`.

    Requests: `get`, `get_url`, `pages`: GET, retried. `post_query`: POST of a query, which changes nothing, retried.
    `patch`: PATCH, sent once.
    """

    def __init__(
        self,
        credential: "AsyncTokenCredential",
        *,
        sleep: Sleep = asyncio.sleep,
        connect_timeout_s: float = 10.0,
        read_timeout_s: float = 30.0,
    ) -> None:
        self._credential = credential
        self._sleep = sleep
        self._connect_timeout_s = connect_timeout_s
        self._read_timeout_s = read_timeout_s
        self._pipeline: AsyncPipelineClient[HttpRequest, AsyncHttpResponse] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        if self._pipeline is not None:
            await self._pipeline.close()
            self._pipeline = None

    async def get(self, path: str, api_version: str, **query: str) -> ArmReply:
        """Read `path` (it starts with a slash)."""
        return await self._read("GET", _url(path), {"api-version": api_version, **query}, None)

    async def get_url(self, url: str) -> ArmReply:
        """Read an absolute URL that Azure gave us (a next page, an operation).

        Raises:
            ForeignUrl: it is not https, or not Azure Resource Manager's host.
        """
        return await self._read("GET", _own_url(url), {}, None)

    async def pages(self, path: str, api_version: str, **query: str) -> AsyncIterator[Mapping[str, Any]]:
        """The bodies of a list, page by page, following `nextLink`."""
        reply = await self.get(path, api_version, **query)
        seen: set[str] = set()
        while True:
            yield reply.body
            link = str(reply.body.get("nextLink") or "")
            if not link:
                return
            if link in seen:
                raise ArmError(f"GET {path}", reply.status, "<circular pages>", "a next page was named twice")
            seen.add(link)
            reply = await self.get_url(link)

    async def post_query(self, path: str, api_version: str, body: Mapping[str, Any]) -> ArmReply:
        """A read that Azure wants as a POST (Resource Graph); retried like a read."""
        return await self._read("POST", _url(path), {"api-version": api_version}, body)

    async def patch(self, path: str, api_version: str, body: Mapping[str, Any], client_request_id: str) -> ArmReply:
        """Send one change, once.

        Raises:
            ArmError: refused, or failed with a status (5xx: its fate is unknown).
            ArmUnreachable: sent, or perhaps not, and not answered: its fate is unknown.
        """
        headers = {"x-ms-client-request-id": client_request_id}
        return await self._send("PATCH", _url(path), {"api-version": api_version}, body, headers)

    async def _read(self, method: str, url: str, query: Mapping[str, str], body: Mapping[str, Any] | None) -> ArmReply:
        for pause_s in PAUSES_S:
            try:
                return await self._send(method, url, query, body, {})
            except ArmUnreachable:
                await self._sleep(pause_s)
            except ArmError as error:
                await self._sleep(_pause_after(error, pause_s))
        return await self._send(method, url, query, body, {})

    async def _send(
        self,
        method: str,
        url: str,
        query: Mapping[str, str],
        body: Mapping[str, Any] | None,
        headers: Mapping[str, str],
    ) -> ArmReply:
        from azure.core.exceptions import AzureError, ClientAuthenticationError
        from azure.core.rest import HttpRequest

        where = f"{method} {url.removeprefix(ARM_URL)}"
        request = HttpRequest(
            method, url, params=dict(query), json=body, headers={"Accept": "application/json", **headers}
        )
        try:
            response = await self._client().send_request(request)
        except ClientAuthenticationError as error:
            raise ArmError(where, 401, "<no token>", f"nothing was sent, because {error.message}") from error
        except AzureError as error:
            raise ArmUnreachable(where, str(error.message) or type(error).__name__) from error
        return _reply(where, response, strict=method != "PATCH")

    def _client(self) -> "AsyncPipelineClient[HttpRequest, AsyncHttpResponse]":
        if self._pipeline is None:
            self._pipeline = _pipeline(self._credential, self._connect_timeout_s, self._read_timeout_s)
        return self._pipeline


def _pipeline(
    credential: "AsyncTokenCredential", connect_timeout_s: float, read_timeout_s: float
) -> "AsyncPipelineClient[HttpRequest, AsyncHttpResponse]":
    from azure.core.pipeline import policies
    from azure.core.pipeline.transport import AioHttpTransport
    from azure.mgmt.core import AsyncARMPipelineClient
    from azure.mgmt.core.policies import ARMHttpLoggingPolicy

    transport = AioHttpTransport(connection_timeout=connect_timeout_s, read_timeout=read_timeout_s)
    return AsyncARMPipelineClient(
        base_url=ARM_URL,
        transport=transport,
        policies=[
            policies.RequestIdPolicy(),
            policies.UserAgentPolicy(base_user_agent=f"watchkeeper/{VERSION}"),
            _authentication_policy(credential),
            ARMHttpLoggingPolicy(),
        ],
    )


def _authentication_policy(credential: "AsyncTokenCredential") -> Any:
    """Bearer tokens with Continuous Access Evaluation: a read that is challenged is sent again with a new token.

    A change is not: the new token is fetched, so that the next request passes, and the 401 is returned. Where a 401
    brings no challenge, the token is forgotten, which azure-identity alone would not do.
    """
    from azure.core.exceptions import ClientAuthenticationError
    from azure.mgmt.core.policies import AsyncARMChallengeAuthenticationPolicy

    class OnceForChanges(AsyncARMChallengeAuthenticationPolicy):
        async def send(self, request: Any) -> Any:
            response = await super().send(request)
            if response.http_response.status_code != 401 or not isinstance(credential, RenewableCredential):
                return response
            await credential.refused(request.http_request.headers.get("Authorization", "").removeprefix("Bearer "))
            return await super().send(request) if request.http_request.method in ("GET", "POST") else response

        async def on_request(self, request: Any) -> None:
            try:
                await super().on_request(request)
            except Exception as error:  # whatever a credential raises: nothing was sent yet, and that must be known
                raise ClientAuthenticationError(message=f"no token for {SCOPE}: {error}") from error

        async def on_challenge(self, request: Any, response: Any) -> bool:
            answered = await super().on_challenge(request, response)
            return answered and request.http_request.method in ("GET", "POST")

    return OnceForChanges(credential, SCOPE, enable_cae=True)


def _pause_after(error: ArmError, pause_s: float) -> float:
    """How long to wait before a read is tried again; raises what is not worth it."""
    if error.status not in PASSING_STATUSES:
        raise error
    if error.retry_after_s is None:
        return pause_s
    if error.retry_after_s > LONGEST_PAUSE_S:
        raise ArmThrottled(
            error.where, error.status, error.code, error.message, retry_after_s=error.retry_after_s, body=error.body
        ) from error
    return error.retry_after_s


def _reply(where: str, response: "AsyncHttpResponse", *, strict: bool) -> ArmReply:
    """`strict`: a success must be JSON, or it is no answer to a read. A change that was accepted stays accepted."""
    text = response.text()
    body = _json_object(text)
    headers = {name.lower(): value for name, value in response.headers.items()}
    if not 200 <= response.status_code < 300:
        raise failure_of(where, response.status_code, body or {}, text, retry_after_s(headers))
    if body is None and strict:
        # Without its text: half of a deployment's document may be its environment variables.
        reason = f"the answer is not a JSON object ({len(text)} characters)"
        raise ArmError(where, response.status_code, "<not json>", reason)
    return ArmReply(status=response.status_code, body=body or {}, headers=headers)


def _json_object(text: str) -> dict[str, Any] | None:
    if not text.strip():
        return {}
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait as Azure asks, None if it does not. `headers` have lower-case names.

    Reads retry-after-ms, Retry-After (seconds, or a date, counted from the answer's own Date, so no clock is needed),
    and Resource Graph's quota: with no query left, the time until there are more ("00:00:05").
    """
    for name, unit_s in (("retry-after-ms", 0.001), ("x-ms-retry-after-ms", 0.001), ("retry-after", 1.0)):
        pause = _pause(headers.get(name, ""), headers.get("date", ""))
        if pause is not None:
            return max(0.0, pause * unit_s)
    if headers.get("x-ms-user-quota-remaining") == "0":
        return _seconds_of_day(headers.get("x-ms-user-quota-resets-after", ""))
    return None


def _pause(asked: str, answered_at: str) -> float | None:
    try:
        pause = float(asked)
    except ValueError:
        try:
            pause = (parsedate_to_datetime(asked) - parsedate_to_datetime(answered_at)).total_seconds()
        except (ValueError, TypeError):
            return None
    return pause if math.isfinite(pause) else None


def _seconds_of_day(text: str) -> float | None:
    match = re.fullmatch(r"(\d{1,2}):(\d{2}):(\d{2})", text.strip())
    if match is None:
        return None
    hours, minutes, seconds = (int(part) for part in match.groups())
    return hours * 3600.0 + minutes * 60.0 + seconds


def _url(path: str) -> str:
    if not path.startswith("/"):
        raise ValueError(f"{path!r} is not a path: it must start with a slash")
    return ARM_URL + path


def _own_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        own = parts.scheme == "https" and parts.netloc.lower() in (ARM_HOST, f"{ARM_HOST}:443")
    except ValueError:
        own = False
    if not own:
        raise ForeignUrl(
            f"{url[:200]!r} is not https://{ARM_HOST}/...: refused, because our token is sent nowhere else"
        )
    return url
