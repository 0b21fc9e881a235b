"""The append-only ledger of what came in, was decided, came out, was noticed and was switched.

`chain` says how entries lie in the table and hang together. An append is one transaction of all its rows (the entry,
its id, the head; see `appending`), so that a process killed at any moment leaves all of them or none, and the same
entry appended again, after a crash or by a duplicate, is one entry.
"""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING

from shared.records import chain, paging, verification
from shared.records.appending import Appender
from shared.records.chain import EntryKind, LedgerEntry, StoredEntry
from shared.records.codec import canonical_json
from shared.records.errors import InvalidQuestion, RecordsError
from shared.records.keys import split_key
from shared.records.paging import Page
from shared.records.rows import Entity, value_text

if TYPE_CHECKING:
    from shared.records.table import Table
    from shared.records.tables import Tables

__all__ = ["TABLE", "EntryKind", "Ledger", "LedgerEntry", "Page", "StoredEntry"]

TABLE = "WatchkeeperLedger"
_KEYS = ("PartitionKey", "RowKey")


class Ledger:
    """Appends, finds, verifies and exports entries.

    `jitter` gives numbers in [0, 1) that spread the repetitions of concurrent appenders.
    """

    def __init__(
        self,
        tables: "Tables",
        *,
        jitter: Callable[[], float] = random.random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._tables = tables
        self._appender = Appender(lambda: tables.table(TABLE), jitter, sleep)

    async def append(self, entry: LedgerEntry) -> StoredEntry:
        """The entry in its place; if its id is in its endpoint's day already, what is stored there, unchanged.

        Raises:
            NotStorable: too large, or not readable again.
            Conflict: fifty tries in a row were overtaken by other appenders, or the chain was damaged: verify it.
            CorruptRow, SchemaTooNew: the head or the stored entry cannot be read.
        """
        return await self._appender.append(entry)

    async def get(self, entry_id: str) -> StoredEntry | None:
        """The entry of this id, None if there is none.

        Raises:
            InvalidQuestion: not an id of the ledger.
            RecordsError: two endpoints have an entry of this id, which whoever makes ids must rule out.
        """
        day = _day_of(entry_id)
        first, after = chain.day_range(day, day)
        where = "PartitionKey ge @first and PartitionKey lt @after and RowKey eq @row"
        found = self._table.query(where, {"first": first, "after": after, "row": chain.index_row(entry_id)})
        partitions = [entity.partition async for entity in found]
        if len(partitions) > 1:
            raise RecordsError(f"entry {entry_id} is in {len(partitions)} places: {', '.join(partitions)}")
        return await self._appender.stored(partitions[0], entry_id) if partitions else None

    async def query(
        self,
        since: datetime,
        until: datetime,
        *,
        endpoint_key: str | None = None,
        target: str | None = None,
        loop: str | None = None,
        kind: EntryKind | None = None,
        found_by: Mapping[str, str] | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page:
        """Entries with since <= at < until, newest first, `limit` (1 to 500) at a time.

        `found_by` are words of the bodies (see `chain.filter_columns`), by identifiers of the app, never a caller's.
        `cursor` is the page before's `next_cursor`, with everything else the same. What is appended between two pages
        with a time that they have passed is in neither; nothing is there twice.

        Raises:
            InvalidQuestion: times without zone or in the wrong order, or more than 400 days, or a limit out of range.
            InvalidCursor: not a cursor of this ledger.
        """
        search = paging.Search(
            since, until, endpoint_key=endpoint_key, target=target, loop=loop, kind=kind, found_by=found_by or {}
        )
        return await paging.page(self._table, search, limit, cursor)

    async def verify(self, day: date, endpoint_key: str) -> list[str]:
        """What is wrong with an endpoint's day, a sentence each: changed, missing, replaced rows, a wrong head."""
        rows = self._table.query("PartitionKey eq @partition", {"partition": chain.partition_key(day, endpoint_key)})
        return verification.problems(day, endpoint_key, [entity async for entity in rows])

    async def export(self, day: date) -> AsyncIterator[str]:
        """Each entry of a UTC day as one line of JSON, by endpoint and sequence.

        A line is the stored text with `row_hash` added: without it, in canonical form, its SHA-256 is `row_hash`.
        """
        first, after = chain.day_range(day, day)
        first_row, after_row = chain.entry_rows()
        where = "PartitionKey ge @first and PartitionKey lt @after and RowKey ge @first_row and RowKey lt @after_row"
        parameters = {"first": first, "after": after, "first_row": first_row, "after_row": after_row}
        async for entity in self._table.query(where, parameters):
            yield canonical_json(json.loads(value_text(entity)) | {"row_hash": entity.columns.get("row_hash")})

    async def heads(self, day: date) -> Mapping[str, chain.Head]:
        """The head of every chain of a UTC day, by endpoint key ("" for what concerns no endpoint)."""
        return {split_key(entity.partition)[1]: chain.read_head(entity) async for entity in self._heads(day)}

    async def first_day(self) -> date | None:
        """The oldest day that has entries or had, None while the ledger is empty."""
        async for entity in self._table.query("RowKey eq @row", {"row": chain.HEAD_ROW}, page_rows=1):
            return _day_of(f"{split_key(entity.partition)[0]}T")
        return None

    async def remove_day(self, day: date, file: str) -> None:
        """Take a day's entries out of the table; its heads stay and say that `file` has them.

        May be cut off anywhere and repeated. The caller has made sure that the file is whole.
        """
        for head in [entity async for entity in self._heads(day)]:
            if not chain.read_head(head).removed_to:
                await self._table.replace(chain.removed_head(head, file), head.etag)
            rows = self._table.query("PartitionKey eq @partition", {"partition": head.partition}, select=_KEYS)
            doomed = [entity.row async for entity in rows if entity.row != chain.HEAD_ROW]
            await self._table.delete_together(head.partition, doomed)

    def _heads(self, day: date) -> AsyncIterator[Entity]:
        first, after = chain.day_range(day, day)
        where = "PartitionKey ge @first and PartitionKey lt @after and RowKey eq @row"
        return self._table.query(where, {"first": first, "after": after, "row": chain.HEAD_ROW})

    @property
    def _table(self) -> "Table":
        return self._tables.table(TABLE)


def _day_of(entry_id: str) -> date:
    try:
        return datetime.strptime(entry_id[:9], "%Y%m%dT").date()  # noqa: DTZ007 - the id's day is UTC by contract
    except ValueError as error:
        raise InvalidQuestion(f"{entry_id!r} is not an id of the ledger: those start with YYYYMMDDT") from error
