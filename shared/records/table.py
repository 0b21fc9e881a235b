"""One Azure table, with the answers that decide about writers told apart.

Imports azure-data-tables, so it is itself imported on first use only (`tables.Tables.table`).

The client repeats a request whose answer was lost, and the repetition of a write that had arrived is answered with a
conflict: every write carries an id of its own, by which its writer recognises it.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import (
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.data.tables import TableEntity, TransactionOperation, UpdateMode
from azure.data.tables.aio import TableClient

from shared.records.errors import AnswerLost, Conflict
from shared.records.rows import Column, Entity

# Both: with aiohttp, azure-core reports a connection that broke after the request was sent as a ServiceRequestError.
_NO_ANSWER = (ServiceRequestError, ServiceResponseError)
_CONFLICT_STATUSES = (404, 409, 412)
TRANSACTION_ROWS = 100
"""As many as Azure Tables take in one transaction."""


class Table:
    """A table that is created by the first write; until then it reads as empty."""

    def __init__(self, client: TableClient, new_write_id: Callable[[], str]) -> None:
        self._client = client
        self._new_write_id = new_write_id

    async def get(self, partition: str, row: str) -> Entity | None:
        try:
            return _entity(await self._client.get_entity(partition, row))
        except ResourceNotFoundError:
            return None

    async def query(
        self,
        where: str,
        parameters: Mapping[str, str],
        *,
        select: Sequence[str] | None = None,
        page_rows: int | None = None,
    ) -> AsyncIterator[Entity]:
        """Rows in the order of partition and row key; `where` is OData in which @name stands for a parameter."""
        pages = self._client.query_entities(
            where, parameters=dict(parameters), select=list(select) if select else None, results_per_page=page_rows
        )
        try:
            async for found in pages:
                yield _entity(found)
        except ResourceNotFoundError as error:
            if not _is_missing_table(error):
                raise

    async def insert(self, entity: Entity) -> str:
        """The new row's ETag. Raises Conflict if there is such a row, AnswerLost if that cannot be told."""
        return await self._write(entity, self._client.create_entity)

    async def replace(self, entity: Entity, etag: str) -> str:
        """The row's new ETag. Raises Conflict if it is not as it was at `etag`, AnswerLost if that cannot be told."""

        async def send(columns: dict[str, Column]) -> Mapping[str, Any]:
            return await self._client.update_entity(
                columns, mode=UpdateMode.REPLACE, etag=etag, match_condition=MatchConditions.IfNotModified
            )

        return await self._write(entity, send)

    async def put(self, entity: Entity) -> str:
        """Insert or replace, whatever is there; the row's ETag."""

        async def send() -> Mapping[str, Any]:
            return await self._client.upsert_entity(_columns(entity), mode=UpdateMode.REPLACE)

        return str((await self._creating_table(send))["etag"])

    async def delete(self, partition: str, row: str, etag: str | None = None) -> None:
        """Remove the row if it is there (and, given an ETag, unchanged: else Conflict)."""
        condition = MatchConditions.IfNotModified if etag else MatchConditions.Unconditionally
        try:
            await self._client.delete_entity(partition, row, etag=etag, match_condition=condition)
        except ResourceModifiedError as error:
            raise Conflict(self._words(partition, row)) from error

    async def delete_together(self, partition: str, rows: Sequence[str]) -> None:
        """Remove these rows of a partition, a hundred at a time; those that are gone already are no error."""
        for start in range(0, len(rows), TRANSACTION_ROWS):
            some = rows[start : start + TRANSACTION_ROWS]
            keys = [{"PartitionKey": partition, "RowKey": row} for row in some]
            try:
                await self._client.submit_transaction([(TransactionOperation.DELETE, key) for key in keys])
            except HttpResponseError as error:
                if error.status_code != 404:
                    raise
                for row in some:
                    await self.delete(partition, row)

    async def write_together(self, entities: Sequence[Entity]) -> list[str]:
        """One transaction in one partition, all or nothing: rows with an ETag are replaced, the others inserted.

        The rows' new ETags, in their order; "" for one that was not told.

        Raises:
            Conflict: a row to insert exists, or one to replace is not as it was at its ETag.
            AnswerLost: read whether it arrived before repeating it.
        """
        try:
            answers = await self._creating_table(lambda: self._client.submit_transaction(map(_operation, entities)))
            return [str(answer.get("etag") or "") for answer in answers]
        except _NO_ANSWER as error:
            raise AnswerLost(f"no answer to a transaction on {entities[0].partition}") from error
        except HttpResponseError as error:
            if error.status_code not in _CONFLICT_STATUSES:
                raise
            raise Conflict(self._words(entities[0].partition, entities[0].row)) from error

    async def _write(self, entity: Entity, send: Callable[[dict[str, Column]], Awaitable[Mapping[str, Any]]]) -> str:
        write_id = self._new_write_id()
        columns = _columns(entity) | {"write_id": write_id}
        try:
            answer = await self._creating_table(lambda: send(columns))
            return str(answer["etag"])
        except (ResourceExistsError, ResourceModifiedError, ResourceNotFoundError, *_NO_ANSWER) as error:
            stored = await self.get(entity.partition, entity.row)
            if stored is not None and stored.columns.get("write_id") == write_id:
                return stored.etag  # an earlier try arrived, only its answer was lost
            if isinstance(error, _NO_ANSWER):
                raise AnswerLost(f"no answer: {self._words(entity.partition, entity.row)}") from error
            raise Conflict(self._words(entity.partition, entity.row)) from error

    async def _creating_table[T](self, send: Callable[[], Awaitable[T]]) -> T:
        try:
            return await send()
        except HttpResponseError as error:
            if not _is_missing_table(error):
                raise
        try:
            await self._client.create_table()
        except ResourceExistsError as error:
            if "TableAlreadyExists" not in str(error):  # such as TableBeingDeleted
                raise
        return await send()

    def _words(self, partition: str, row: str) -> str:
        return f"row {row} of {partition} in {self._client.table_name} was written by another since it was read"


def _entity(found: TableEntity) -> Entity:
    columns = {name: value for name, value in found.items() if name not in ("PartitionKey", "RowKey")}
    return Entity(
        partition=found["PartitionKey"], row=found["RowKey"], columns=columns, etag=found.metadata["etag"] or ""
    )


def _columns(entity: Entity) -> dict[str, Column]:
    return {"PartitionKey": entity.partition, "RowKey": entity.row, **entity.columns}


def _operation(entity: Entity) -> Any:
    if not entity.etag:
        return TransactionOperation.CREATE, _columns(entity)
    options = {"mode": UpdateMode.REPLACE, "etag": entity.etag, "match_condition": MatchConditions.IfNotModified}
    return TransactionOperation.UPDATE, _columns(entity), options


def _is_missing_table(error: HttpResponseError) -> bool:
    # Inserts and transactions raise errors whose code is not parsed; all have the answer's text.
    return error.status_code == 404 and "TableNotFound" in str(error)
