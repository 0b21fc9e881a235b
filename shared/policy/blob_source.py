"""The policy's documents in Blob Storage: the source in production. Azure is imported when they are first read."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from shared.policy.problems import PolicyUnreadable
from shared.policy.sources import PolicyText, decoded, is_document

if TYPE_CHECKING:
    from azure.core.exceptions import AzureError
    from azure.storage.blob.aio import BlobClient, ContainerClient, StorageStreamDownloader


class BlobPolicySource:
    """One blob, read through the caller's client. An unchanged blob costs one conditional GET, answered 304."""

    def __init__(self, blob: "BlobClient") -> None:
        self._blob = blob

    @property
    def name(self) -> str:
        return f"{self._blob.container_name}/{self._blob.blob_name}"

    async def read(self, known_etag: str | None) -> PolicyText | None:
        from azure.core.exceptions import AzureError

        try:
            download = await self._download(known_etag)
            content = await download.readall()
        except AzureError as error:
            if _status_of(error) == 304:  # as seen on the wire: not the SDK's ResourceNotModifiedError
                return None
            raise _unreadable(self.name, self._blob.primary_hostname, error) from error
        return PolicyText(decoded(content), download.properties.etag)

    async def _download(self, known_etag: str | None) -> "StorageStreamDownloader[bytes]":
        from azure.core import MatchConditions

        if known_etag is None:
            return await self._blob.download_blob()
        return await self._blob.download_blob(etag=known_etag, match_condition=MatchConditions.IfModified)


class BlobProjects:
    """The blobs below a prefix of a container, `<prefix>/<project>.yaml`: one list call tells the ETags of all."""

    def __init__(self, container: "ContainerClient", prefix: str) -> None:
        self._container, self._prefix = container, f"{prefix.strip('/')}/" if prefix.strip("/") else ""

    @property
    def name(self) -> str:
        return f"{self._container.container_name}/{self._prefix}"

    def name_of(self, name: str) -> str:
        return f"{self.name}{name}"

    async def listed(self) -> Mapping[str, str]:
        from azure.core.exceptions import AzureError

        found: dict[str, str] = {}
        try:
            async for blob in self._container.list_blobs(name_starts_with=self._prefix):
                name = str(blob.name).removeprefix(self._prefix)
                if is_document(name):
                    found[name] = str(blob.etag)
        except AzureError as error:
            raise _unreadable(self.name, self._container.primary_hostname, error) from error
        return found

    async def read(self, name: str) -> str:
        from azure.core.exceptions import AzureError

        try:
            download = await self._container.download_blob(f"{self._prefix}{name}")
            return decoded(await download.readall())
        except AzureError as error:
            raise _unreadable(self.name_of(name), self._container.primary_hostname, error) from error


def _unreadable(name: str, host: str, error: "AzureError") -> PolicyUnreadable:
    status = _status_of(error)
    if status == 404:
        return PolicyUnreadable(
            name,
            f"does not exist in {host}",
            "Upload the policy under that name, or correct the app setting that names it.",
        )
    if status in (401, 403):
        return PolicyUnreadable(
            name,
            f"may not be read (HTTP {status}{_code_of(error)})",
            "Give the app's identity the role Storage Blob Data Reader on the container, and let the account's "
            "network rules admit the app.",
        )
    said = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
    return PolicyUnreadable(
        name, f"could not be read: {said}", "It is tried again; if it lasts, check the storage account."
    )


def _status_of(error: "AzureError") -> int | None:
    """The HTTP status of the answer, or None when there was none."""
    from azure.core.exceptions import HttpResponseError

    return error.status_code if isinstance(error, HttpResponseError) else None


def _code_of(error: "AzureError") -> str:
    """Storage's own word for the error (` AuthorizationFailure`), which tells a missing role from a firewall."""
    code = getattr(error, "error_code", None)
    return f" {getattr(code, 'value', code)}" if code else ""
