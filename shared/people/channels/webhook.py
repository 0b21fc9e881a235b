"""Webhooks: Teams (Workflows, Adaptive Card), Slack (blocks), or any URL (plain JSON).

The URL is a secret: whoever has it can post. It is read from Key Vault by the name that the policy gives, and is in no
log, record or error; so no text of the HTTP client's own is passed on either. The other side is a stranger: https only,
no private addresses, no redirects, little time, and of its answer only the status is used.
"""

import ipaddress
import json
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from shared.people.channels import cards
from shared.people.channels.base import SEND_TIMEOUT_S, Parcel, Result, judged, retry_after_s
from shared.people.channels.event_grid import data_of

if TYPE_CHECKING:
    import aiohttp
    from aiohttp.abc import AbstractResolver

    from shared.estate.secrets import SecretReader

REMEDY = {
    401: "its URL is no longer good: make a new one and put it into the secret",
    403: "its URL is no longer good: make a new one and put it into the secret",
    404: "the webhook is gone: make a new one and put its URL into the secret",
    410: "the webhook is gone: make a new one and put its URL into the secret",
}


class WebhookSender:
    """Posts to the URL that the channel's secret holds."""

    def __init__(self, secrets: "SecretReader") -> None:
        self._secrets = secrets
        self._http: aiohttp.ClientSession | None = None

    async def send(self, parcel: Parcel) -> Result:
        from shared.estate.secret_failures import SecretFailure

        name = parcel.channel.secret or ""
        try:
            secret = await self._secrets.get(name)
            result = await self._post(secret.reveal(), parcel)
            if result.kind != "refused":
                return result
            newer = await self._secrets.refetch(name, because=f"the webhook of channel {parcel.channel.name} refused")
        except SecretFailure as failure:
            return Result(kind="later", problem=str(failure))
        return result if newer.version == secret.version else await self._post(newer.reveal(), parcel)

    async def follow(self, parcel: Parcel) -> Result:
        return Result(kind="delivered", receipt=parcel.notice.id)

    async def close(self) -> None:
        if self._http is not None:
            await self._http.close()

    async def _post(self, url: str, parcel: Parcel) -> Result:
        import aiohttp

        name = parcel.channel.secret
        if wrong := fault_of(url):
            return Result(kind="refused", problem=f"secret {name!r} {wrong}")
        body = json.dumps(BODIES[parcel.channel.kind](parcel)).encode()
        headers = {"Content-Type": "application/json", "Watchkeeper-Notice-Id": _header(parcel.notice.id)}
        try:
            request = self._session().post(url.strip(), data=body, headers=headers, allow_redirects=False)
            async with request as answer:
                status, after = answer.status, retry_after_s(answer.headers)
        except PrivateAddressError:
            return Result(kind="refused", problem=f"secret {name!r} leads to an address that is not public")
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            if isinstance(error.__cause__, PrivateAddressError):
                return Result(kind="refused", problem=f"secret {name!r} leads to an address that is not public")
            return Result(kind="later", problem=f"the webhook did not answer: {type(error).__name__}")
        if 200 <= status < 300:
            return Result(kind="delivered", receipt=f"HTTP {status}")
        if 300 <= status < 400:
            return Result(kind="refused", problem=f"the webhook answered {status}, a redirect: write its final URL")
        return judged(status, "the webhook", REMEDY.get(status, "it does not take this form of message"), after)

    def _session(self) -> "aiohttp.ClientSession":
        if self._http is None:
            import aiohttp

            self._http = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(resolver=_guarded_resolver(), limit=8),
                timeout=aiohttp.ClientTimeout(total=SEND_TIMEOUT_S),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=True,  # an outbound proxy of the network is reached by HTTPS_PROXY, as by the SDKs
            )
        return self._http


class PrivateAddressError(OSError):
    """A name of the outside that leads inside."""


BODIES: dict[str, Callable[[Parcel], dict[str, Any]]] = {
    "teams": lambda parcel: cards.teams(parcel.message),
    "slack": lambda parcel: cards.slack(parcel.message),
    "webhook": data_of,
}


def fault_of(url: str) -> str:
    """What is wrong with a webhook's URL, in words that do not repeat it; "" if nothing."""
    try:
        parts = urlsplit(url.strip())
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "is not a URL"
    if parts.scheme != "https" or not host:
        return "is not a URL that starts with https://"
    if parts.username or parts.password:
        return "is a URL with a user in it, which is not sent: remove that"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "leads to this machine" if host == "localhost" or host.endswith(".localhost") else ""
    return "" if address.is_global else "leads to an address that is not public"


def _guarded_resolver() -> "AbstractResolver":
    from aiohttp.abc import AbstractResolver, ResolveResult
    from aiohttp.resolver import ThreadedResolver

    class GuardedResolver(AbstractResolver):
        """Refuses names that lead to addresses which are not public (the instance metadata service, the network)."""

        def __init__(self) -> None:
            self._inner = ThreadedResolver()

        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
        ) -> list[ResolveResult]:
            found = await self._inner.resolve(host, port, family)
            if not all(ipaddress.ip_address(one["host"].partition("%")[0]).is_global for one in found):
                raise PrivateAddressError("not a public address")
            return found

        async def close(self) -> None:
            await self._inner.close()

    return GuardedResolver()


def _header(text: str) -> str:
    return text.encode("ascii", "replace").decode()
