"""Who we are to Azure: one asynchronous credential per process.

A credential caches its tokens per object and per audience, so whoever composes the process makes one and hands it to
every client. Requests: `GET {IDENTITY_ENDPOINT}?api-version=2019-08-01&resource=...` (App Service's managed identity).
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential


def make_credential(*, identity_endpoint: str, client_id: str) -> "AsyncTokenCredential":
    """The managed identity where Azure offers one (`identity_endpoint` not empty), else a developer's own sign-in.

    Args:
        identity_endpoint: the app setting IDENTITY_ENDPOINT, "" outside Azure.
        client_id: of a user-assigned identity; "" for the system-assigned one.

    The caller closes the credential.
    """
    from azure.identity.aio import DefaultAzureCredential, ManagedIdentityCredential

    if identity_endpoint:
        return ManagedIdentityCredential(client_id=client_id or None)
    return DefaultAzureCredential(managed_identity_client_id=client_id or None)
