"""Who we are to Azure: one asynchronous credential per process.

A credential caches its tokens per object and per audience, so whoever composes the process makes one and hands it to
every client. Requests: `GET {IDENTITY_ENDPOINT}?api-version=2019-08-01&resource=...` (App Service's managed identity).
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from azure.core.credentials import AccessToken, AccessTokenInfo
    from azure.core.credentials_async import AsyncTokenCredential


class RenewableCredential:
    """A credential that forgets its tokens when Azure refuses one before its time.

    azure-identity keeps a token until shortly before it runs out, whatever Azure says of it: after a 401 that brings no
    challenge it would give the same one for hours.
    """

    def __init__(self, make: "Callable[[], AsyncTokenCredential]") -> None:
        self._make = make
        self._current: Any = make()
        self._before: Any = None
        self._given: set[str] = set()

    async def get_token(self, *scopes: str, **options: Any) -> "AccessToken":
        token: AccessToken = await self._current.get_token(*scopes, **options)
        self._given.add(token.token)
        return token

    async def get_token_info(self, *scopes: str, options: Any = None) -> "AccessTokenInfo":
        token: AccessTokenInfo = await self._current.get_token_info(*scopes, options=options)
        self._given.add(token.token)
        return token

    async def refused(self, token: str) -> None:
        """Azure refused `token`: the next one is another."""
        if token not in self._given:
            return  # forgotten already: others were refused with the same one
        self._given.clear()
        closing, self._before, self._current = self._before, self._current, self._make()
        if closing is not None:  # not the one before: somebody may be waiting for its answer
            await closing.close()

    async def close(self) -> None:
        for one in (self._before, self._current):
            if one is not None:
                await one.close()

    async def __aenter__(self) -> "RenewableCredential":
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()


def make_credential(*, identity_endpoint: str, client_id: str) -> "AsyncTokenCredential":
    """The managed identity where Azure offers one (`identity_endpoint` not empty), else a developer's own sign-in.

    Args:
        identity_endpoint: the app setting IDENTITY_ENDPOINT, "" outside Azure.
        client_id: of a user-assigned identity; "" for the system-assigned one.

    The caller closes the credential.
    """
    from azure.identity.aio import DefaultAzureCredential, ManagedIdentityCredential

    if identity_endpoint:
        return RenewableCredential(lambda: ManagedIdentityCredential(client_id=client_id or None))
    return DefaultAzureCredential(managed_identity_client_id=client_id or None)
