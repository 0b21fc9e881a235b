"""The storage account's tables, opened from the same app settings by which the Functions host finds its storage.

Nothing of Azure is imported before the first table is used. A `Tables` belongs to one event loop.
"""

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

from shared.records.account import endpoint
from shared.records.errors import SettingsMissing
from shared.settings import STORAGE

if TYPE_CHECKING:
    from types import TracebackType

    from azure.core.credentials_async import AsyncTokenCredential
    from azure.data.tables.aio import TableServiceClient

    from shared.records.table import Table

_TABLE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]{2,62}")
# Azure's own client waits up to minutes; a durable activity is repeated anyway, with the whole picture read anew.
_CLIENT_OPTIONS: dict[str, Any] = {
    "retry_total": 3,
    "retry_backoff_factor": 0.4,
    "retry_backoff_max": 5,
    "connection_timeout": 10,
    "read_timeout": 30,
}


class Tables:
    """Gives out tables by name; an async context manager, or `close()` it."""

    def __init__(
        self, connect: Callable[[], "TableServiceClient"], prefix: str, new_write_id: Callable[[], str]
    ) -> None:
        self._connect = connect
        self._prefix = prefix
        self._new_write_id = new_write_id
        self._client: TableServiceClient | None = None
        self._tables: dict[str, Table] = {}

    def table(self, name: str) -> "Table":
        """The table `<prefix><name>`; ValueError if Azure would not have the name."""
        if name not in self._tables:
            self._tables[name] = self._open(name)
        return self._tables[name]

    async def close(self) -> None:
        client, self._client = self._client, None
        self._tables.clear()
        if client is not None:
            await client.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        await self.close()

    def _open(self, name: str) -> "Table":
        from shared.records.table import Table

        full_name = self._prefix + name
        if not _TABLE_NAME.fullmatch(full_name):
            raise ValueError(f"table name {full_name!r}: 3 to 63 letters and digits, a letter first")
        if self._client is None:
            self._client = self._connect()
        return Table(self._client.get_table_client(full_name), self._new_write_id)


def open_tables(
    storage: Mapping[str, str],
    credential: "AsyncTokenCredential | None" = None,
    *,
    prefix: str = "",
    new_write_id: Callable[[], str] = lambda: uuid4().hex,
) -> Tables:
    """The tables of the account that the app settings name, as the Functions host reads them.

    Either `AzureWebJobsStorage` (a connection string, "UseDevelopmentStorage=true" too), or
    `AzureWebJobsStorage__tableServiceUri` or `AzureWebJobsStorage__accountName` with a `credential`. `prefix` is put
    before every table's name, so that several users of one account do not meet.

    Raises:
        SettingsMissing: none of them, or an identity's setting without a credential.
    """
    if connection_string := storage.get(STORAGE):
        return Tables(lambda: _by_connection_string(connection_string), prefix, new_write_id)
    url = endpoint(storage, "table")
    if credential is None:
        raise SettingsMissing(f"{url} is reached by identity: open_tables needs a credential")
    return Tables(lambda: _by_identity(url, credential), prefix, new_write_id)


def _by_connection_string(connection_string: str) -> "TableServiceClient":
    from azure.data.tables.aio import TableServiceClient

    return TableServiceClient.from_connection_string(connection_string, **_CLIENT_OPTIONS)


def _by_identity(url: str, credential: "AsyncTokenCredential") -> "TableServiceClient":
    from azure.data.tables.aio import TableServiceClient

    return TableServiceClient(url, credential=credential, **_CLIENT_OPTIONS)
