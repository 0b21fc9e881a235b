"""Blobs of the app's own storage account: what is too large for a table row, or is handed on as a file.

Nothing of Azure is imported before the first blob is touched. A container is created by the first write.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from shared.records.account import endpoint
from shared.records.errors import SettingsMissing
from shared.settings import STORAGE

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential
    from azure.storage.blob import BlobProperties
    from azure.storage.blob.aio import BlobServiceClient, ContainerClient

_AT = "written_at"  # of a blob's metadata
# The client's own patience is more than a minute; whoever writes here is repeated anyway.
_CLIENT_OPTIONS: dict[str, Any] = {
    "retry_total": 2,
    "initial_backoff": 1,
    "increment_base": 2,
    "random_jitter_range": 1,
    "connection_timeout": 10,
    "read_timeout": 30,
}


class Blobs:
    """Opens containers by name; `close()` it."""

    def __init__(self, connect: Callable[[], "BlobServiceClient"], prefix: str = "") -> None:
        self._connect = connect
        self._prefix = prefix
        self._client: BlobServiceClient | None = None

    def container(self, name: str) -> "Container":
        """The container `<name>`, or `<name>-<prefix>` where there is one."""
        full_name = f"{name}-{self._prefix.lower()}" if self._prefix else name
        return Container(full_name, lambda: self._service().get_container_client(full_name))

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    def _service(self) -> "BlobServiceClient":
        if self._client is None:
            self._client = self._connect()
        return self._client


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A blob without its content: `at` is when it was written last, `etag` what it was when it was looked at."""

    name: str
    at: datetime
    etag: str


class Container:
    """One container. Errors of Azure Storage pass through, but for what a method says of blobs that are (not) there."""

    def __init__(self, name: str, open_client: Callable[[], "ContainerClient"]) -> None:
        self.name = name
        self._open_client = open_client
        self._opened: ContainerClient | None = None

    async def put_new(self, name: str, content: bytes, metadata: Mapping[str, str] | None = None) -> bool:
        """Write a blob that is not there yet; False, and nothing is changed, if it is."""
        from azure.core.exceptions import ResourceExistsError

        async def send() -> object:
            return await self._client.upload_blob(name, content, metadata=dict(metadata or {}), overwrite=False)

        try:
            await self._creating_container(send)
        except ResourceExistsError:
            return False
        return True

    async def put(self, name: str, content: bytes, now: datetime) -> None:
        """Write a blob, whatever is there: its ETag is a new one, and `Kept.at` is now."""

        async def send() -> object:
            return await self._client.upload_blob(name, content, metadata={_AT: now.isoformat()}, overwrite=True)

        await self._creating_container(send)

    async def get(self, name: str) -> bytes | None:
        """The content, None if there is no such blob."""
        from azure.core.exceptions import ResourceNotFoundError

        try:
            return await (await self._client.download_blob(name)).readall()
        except ResourceNotFoundError:
            return None

    async def names(self, prefix: str = "") -> AsyncIterator[str]:
        """The names that start with `prefix`, in their order; none where the container is missing."""
        from azure.core.exceptions import ResourceNotFoundError

        try:
            async for name in self._client.list_blob_names(name_starts_with=prefix):
                yield name
        except ResourceNotFoundError:
            return

    async def look(self, name: str) -> Kept | None:
        """The blob as it is now, None if there is none."""
        from azure.core.exceptions import ResourceNotFoundError

        try:
            return _kept(await self._client.get_blob_client(name).get_blob_properties())
        except ResourceNotFoundError:
            return None

    async def look_at_all(self, prefix: str = "") -> AsyncIterator[Kept]:
        """The blobs whose names start with `prefix`, in their order; none where the container is missing."""
        from azure.core.exceptions import ResourceNotFoundError

        try:
            async for found in self._client.list_blobs(name_starts_with=prefix, include=["metadata"]):
                yield _kept(found)
        except ResourceNotFoundError:
            return

    async def delete(self, name: str) -> None:
        """Remove the blob if it is there."""
        from azure.core.exceptions import ResourceNotFoundError

        try:
            await self._client.delete_blob(name)
        except ResourceNotFoundError:
            return

    async def delete_as_seen(self, kept: Kept) -> bool:
        """Remove a blob that was looked at; False, and nothing is changed, if it is not as it was (or gone)."""
        from azure.core import MatchConditions
        from azure.core.exceptions import ResourceModifiedError, ResourceNotFoundError

        try:
            await self._client.delete_blob(kept.name, etag=kept.etag, match_condition=MatchConditions.IfNotModified)
        except (ResourceModifiedError, ResourceNotFoundError):
            return False
        return True

    @property
    def _client(self) -> "ContainerClient":
        if self._opened is None:
            self._opened = self._open_client()
        return self._opened

    async def _creating_container(self, send: Callable[[], Awaitable[object]]) -> None:
        from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError

        try:
            await send()
        except ResourceNotFoundError:
            try:
                await self._client.create_container()
            except ResourceExistsError as error:
                if "ContainerAlreadyExists" not in str(error):  # such as ContainerBeingDeleted
                    raise
            await send()


def _kept(found: "BlobProperties") -> Kept:
    # What is not stamped was not written by `put`: then the storage's own clock must do.
    stamp = (found.metadata or {}).get(_AT)
    at = datetime.fromisoformat(stamp) if stamp else found.last_modified
    assert at is not None  # of every blob that is there
    return Kept(name=found.name, at=at, etag=f'"{(found.etag or "").strip('"')}"')  # a list has it without quotes


def open_blobs(
    storage: Mapping[str, str], credential: "AsyncTokenCredential | None" = None, *, prefix: str = ""
) -> Blobs:
    """The blobs of the account that the app settings name, as `shared.records.tables.open_tables` finds its tables.

    `prefix` is put behind every container's name, so that several users of one account do not meet.

    Raises:
        SettingsMissing: no setting names an account, or an identity's one came without a credential.
    """
    if connection_string := storage.get(STORAGE):
        return Blobs(lambda: _by_connection_string(connection_string), prefix)
    url = endpoint(storage, "blob")
    if credential is None:
        raise SettingsMissing(f"{url} is reached by identity: open_blobs needs a credential")
    return Blobs(lambda: _by_identity(url, credential), prefix)


def _by_connection_string(connection_string: str) -> "BlobServiceClient":
    from azure.storage.blob.aio import BlobServiceClient

    return BlobServiceClient.from_connection_string(connection_string, **_CLIENT_OPTIONS)


def _by_identity(url: str, credential: "AsyncTokenCredential") -> "BlobServiceClient":
    from azure.storage.blob.aio import BlobServiceClient

    return BlobServiceClient(url, credential=credential, **_CLIENT_OPTIONS)
