"""The policy document in Blob Storage: the source in production. Azure is imported when it is first read."""

from typing import TYPE_CHECKING

from shared.policy.problems import PolicyUnreadable
from shared.policy.sources import PolicyText, decoded

if TYPE_CHECKING:
    from azure.core.exceptions import AzureError
    from azure.storage.blob.aio import BlobClient


class BlobPolicySource:
    """One blob, read through the caller's client. An unchanged blob costs one conditional GET, answered 304."""

    def __init__(self, blob: "BlobClient") -> None:
        self._blob = blob

    @property
    def name(self) -> str:
        return f"{self._blob.container_name}/{self._blob.blob_name}"

    async def read(self, known_etag: str | None) -> PolicyText | None:
        from azure.core import MatchConditions
        from azure.core.exceptions import AzureError, ResourceNotModifiedError

        if_changed = MatchConditions.IfModified if known_etag else None
        try:
            download = await self._blob.download_blob(etag=known_etag, match_condition=if_changed)
            content = await download.readall()
        except ResourceNotModifiedError:
            return None
        except AzureError as error:
            raise self._unreadable(error) from error
        return PolicyText(decoded(content), download.properties.etag)

    def _unreadable(self, error: "AzureError") -> PolicyUnreadable:
        from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

        status = error.status_code if isinstance(error, HttpResponseError) else None
        if isinstance(error, ResourceNotFoundError):
            return PolicyUnreadable(
                self.name,
                f"does not exist in {self._blob.primary_hostname}",
                "Upload the policy under that name, or correct the app setting that names it.",
            )
        if status in (401, 403):
            return PolicyUnreadable(
                self.name,
                f"may not be read (HTTP {status})",
                "Give the app's identity the role Storage Blob Data Reader on the container.",
            )
        said = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        return PolicyUnreadable(
            self.name, f"could not be read: {said}", "It is tried again; if it lasts, check the storage account."
        )
