"""One Azure Key Vault, read by the managed identity. Nothing is kept or logged here (`secrets.SecretReader` keeps).

Requests, with the vault's own token audience; each starts with a 401 that names it, once a process:
* `newest`: GET {vault}/secrets/{name}
* `versions`: GET {vault}/secrets/{name}/versions and its next pages, and one GET of each version that is wanted
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

from shared.estate.arm import LONGEST_PAUSE_S, PASSING_STATUSES, Sleep, retry_after_s
from shared.estate.secret_failures import (
    SecretFailure,
    SecretMissing,
    SecretRefused,
    SecretUnusable,
    VaultUnreachable,
)

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential
    from azure.core.exceptions import AzureError, HttpResponseError
    from azure.keyvault.secrets import KeyVaultSecret, SecretProperties
    from azure.keyvault.secrets.aio import SecretClient

PAUSES_S = (0.3, 1.0)
"""Between the attempts of a request that was given no Retry-After."""

ROLE = "Key Vault Secrets User"
_NAME = re.compile(r"[0-9A-Za-z-]{1,127}")
_NEVER = datetime.min.replace(tzinfo=UTC)
# The client's own retries would sit through any Retry-After: ours are in `_asking`.
_CLIENT_OPTIONS: dict[str, Any] = {"retry_total": 0, "connection_timeout": 5, "read_timeout": 10}


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """One version of a secret. Its value is had by `reveal()` alone: not from repr, copies, pickles or JSON.

    Whoever reveals it hands it to a client at once, and neither keeps, logs nor raises it. `stale_because` says why it
    is older than it should be, "" if it is not.
    """

    name: str
    version: str
    fetched_at: datetime
    created_on: datetime | None = None
    expires_on: datetime | None = None
    stale_because: str = ""
    reveal: Callable[[], str] = field(repr=False, compare=False)

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"secret {self.name} is neither copied nor stored: keep its name and version")


class Vault:
    """Reads the secrets of the vault at `url`; close it. Every failure is a `SecretFailure`."""

    def __init__(
        self,
        url: str,
        credential: "AsyncTokenCredential",
        now: Callable[[], datetime],
        *,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.url = url
        self.name = (urlsplit(url).hostname or url).partition(".")[0]
        self._credential = credential
        self._now = now
        self._sleep = sleep
        self._opened: SecretClient | None = None

    async def close(self) -> None:
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened.close()

    async def newest(self, name: str) -> Secret:
        """The newest version of a secret.

        Raises:
            SecretFailure: it cannot be had, or must not be used.
        """
        return self._usable(await self._get(name))

    async def versions(self, name: str, newest: int) -> tuple[Secret, ...]:
        """The newest versions of a secret that may be used now, `newest` of them at most, the newest first.

        Raises:
            SecretFailure: none can be had.
        """

        async def listed() -> "list[SecretProperties]":
            client = self._client()
            return [found async for found in client.list_properties_of_secret_versions(name)]

        known = await self._asking(name, listed)
        known.sort(key=lambda found: found.created_on or _NEVER, reverse=True)
        usable = [found for found in known if not self._why_not(found)]
        if not known:
            raise SecretMissing(f"{self._words(name)} has no version. To do: create one")
        if not usable:
            raise SecretUnusable(f"no version of {self._words(name)} may be used; the newest {self._why_not(known[0])}")
        return tuple([self._usable(await self._get(name, found.version or "")) for found in usable[:newest]])

    async def _get(self, name: str, version: str = "") -> "KeyVaultSecret":
        return await self._asking(name, lambda: self._client().get_secret(name, version or None))

    async def _asking[T](self, name: str, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask; what may pass is tried again a few times, and never for long."""
        if not _NAME.fullmatch(name):
            raise SecretUnusable(f"secret {name!r}: a name has 1 to 127 letters, digits and hyphens")
        for pause_s in PAUSES_S:
            try:
                return await self._once(name, ask)
            except VaultUnreachable as failure:
                if (failure.retry_after_s or 0.0) > LONGEST_PAUSE_S:
                    raise
                await self._sleep(failure.retry_after_s or pause_s)
        return await self._once(name, ask)

    async def _once[T](self, name: str, ask: Callable[[], Awaitable[T]]) -> T:
        from azure.core.exceptions import AzureError

        try:
            return await ask()
        except AzureError as error:
            failure = self._failure(name, error)
        except (
            AttributeError,
            KeyError,
            TypeError,
            ValueError,
        ) as error:  # of the client, at a strange answer
            failure = self._unreadable(name, type(error).__name__)
        # Not inside the `except`: what the client raised may hold the answer, and the answer the value.
        raise failure

    def _failure(self, name: str, error: "AzureError") -> SecretFailure:
        from azure.core.exceptions import DecodeError, HttpResponseError

        if isinstance(error, DecodeError):
            return self._unreadable(name, "it is not JSON")
        if isinstance(error, HttpResponseError) and error.response is not None:
            if _host(error) == urlsplit(self.url).hostname:
                return self._answered(name, error)
            return VaultUnreachable(f"{self._words(name)}: no token: the identity answered {error.status_code}")
        return VaultUnreachable(f"{self._words(name)} cannot be reached: {str(error.message)[:300]}")

    def _answered(self, name: str, error: "HttpResponseError") -> SecretFailure:
        """What the vault's refusal means. Its words are ours to repeat: they name callers and rights, never values."""
        status, (code, inner, message) = error.status_code or 0, _said(error)
        said = f"{self._words(name)}: {status} {inner or code}: {message}"
        if inner == "SecretDisabled":
            return SecretUnusable(f"{said} To do: enable it, or create a new version")
        if inner == "ForbiddenByFirewall":
            return SecretRefused(f"{said} To do: let the app's network into the vault (firewall or private endpoint)")
        if status == 403:
            return SecretRefused(f"{said} To do: assign the role {ROLE!r} on the vault to the app's identity")
        if status == 401:
            return SecretRefused(f"{said} To do: check that the app's managed identity exists in the vault's tenant")
        if status == 404:
            return SecretMissing(f"{said} To do: check its name; recover it if it was deleted")
        if status in PASSING_STATUSES:
            headers: Any = getattr(error.response, "headers", {})
            return VaultUnreachable(said, retry_after_s({key.lower(): value for key, value in headers.items()}))
        return SecretRefused(said)

    def _usable(self, found: "KeyVaultSecret") -> Secret:
        properties, name = found.properties, str(found.name)
        if why_not := self._why_not(properties):
            raise SecretUnusable(f"the newest version of {self._words(name)} {why_not}")
        value = found.value
        if not isinstance(value, str) or not value:
            raise SecretUnusable(f"{self._words(name)} is empty. To do: create a version that holds a value")
        return Secret(
            name=name,
            version=properties.version or "",
            fetched_at=self._now(),
            created_on=properties.created_on,
            expires_on=properties.expires_on,
            reveal=lambda: value,
        )

    def _why_not(self, properties: "SecretProperties") -> str:
        """Why a version must not be used now, "" if it may: the vault itself hands out expired and future ones."""
        now = self._now()
        if properties.enabled is False:
            return f"({properties.version}) is disabled. To do: enable it, or create a new version"
        if properties.not_before and now < properties.not_before:
            return f"({properties.version}) is not active before {properties.not_before.isoformat()}"
        if properties.expires_on and now >= properties.expires_on:
            return f"({properties.version}) expired at {properties.expires_on.isoformat()}. To do: create a new version"
        return ""

    def _unreadable(self, name: str, why: str) -> VaultUnreachable:
        return VaultUnreachable(f"{self._words(name)}: the answer cannot be read ({why})")

    def _words(self, name: str) -> str:
        return f"secret {name!r} of vault {self.name}"

    def _client(self) -> "SecretClient":
        if self._opened is None:
            from azure.keyvault.secrets.aio import SecretClient

            self._opened = SecretClient(self.url, self._credential, **_CLIENT_OPTIONS)
        return self._opened


def _host(error: "HttpResponseError") -> str | None:
    response: Any = error.response
    return urlsplit(str(response.request.url)).hostname


def _said(error: "HttpResponseError") -> tuple[str, str, str]:
    """Code, inner code and message of the vault's error document, as far as it is one."""
    response: Any = error.response
    try:
        document = response.json()["error"]
        inner = (document.get("innererror") or {}).get("code") or ""
        return str(document.get("code") or ""), str(inner), " ".join(str(document.get("message") or "").split())[:400]
    except (ValueError, TypeError, KeyError, AttributeError):
        return "", "", "the answer is no error document"
