"""The append-only ledger of what was decided, came out, was noticed and was switched.

`chain` says how entries lie in the table and hang together. An append is one transaction of three rows (the entry, its
id, the head), so that a process killed at any moment leaves all of them or none, and the same entry appended again,
after a crash or by a duplicate, is one entry.
"""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import date, datetime
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from shared.records import chain, paging, verification
from shared.records.chain import EntryKind, LedgerEntry, StoredEntry
from shared.records.codec import canonical_json
from shared.records.errors import AnswerLost, Conflict, CorruptRow, InvalidQuestion, RecordsError
from shared.records.paging import Page
from shared.records.rows import value_text

if TYPE_CHECKING:
    from shared.records.table import Table
    from shared.records.tables import Tables

__all__ = ["TABLE", "EntryKind", "Ledger", "LedgerEntry", "Page", "StoredEntry"]

TABLE = "WatchkeeperLedger"
_APPEND_ATTEMPTS = 50
_BACKOFF_S = 0.02
_BACKOFF_MAX_S = 1.0


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
        self._jitter = jitter
        self._sleep = sleep
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def append(self, entry: LedgerEntry) -> StoredEntry:
        """The entry in its place; if its id is in its endpoint's day already, what is stored there, unchanged.

        Raises:
            NotStorable: too large, or not readable again.
            Conflict: fifty tries in a row were overtaken by other appenders, or the chain was damaged: verify it.
            CorruptRow, SchemaTooNew: the head or the stored entry cannot be read.
        """
        partition = chain.partition_key(entry.day, entry.endpoint_key)
        # Appenders of one process take turns; only those of other processes are left to overtake each other.
        turn = self._turns.setdefault(partition, asyncio.Lock())
        async with turn:
            for attempt in range(_APPEND_ATTEMPTS):
                if attempt:
                    await self._sleep(self._jitter() * min(_BACKOFF_MAX_S, _BACKOFF_S * 2**attempt))
                if (stored := await self._try_append(partition, entry)) is not None:
                    return stored
        raise Conflict(f"entry {entry.id}: overtaken {_APPEND_ATTEMPTS} times; verify {entry.day} of the ledger")

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
        return await self._stored(partitions[0], entry_id) if partitions else None

    async def query(
        self,
        since: datetime,
        until: datetime,
        *,
        endpoint_key: str | None = None,
        target: str | None = None,
        loop: str | None = None,
        kind: EntryKind | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page:
        """Entries with since <= at < until, newest first, `limit` (1 to 500) at a time.

        `cursor` is the page before's `next_cursor`, with everything else the same. What is appended between two pages
        with a time that they have passed is in neither; nothing is there twice.

        Raises:
            InvalidQuestion: times without zone or in the wrong order, or more than 400 days, or a limit out of range.
            InvalidCursor: not a cursor of this ledger.
        """
        search = paging.Search(since, until, endpoint_key=endpoint_key, target=target, loop=loop, kind=kind)
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

    @property
    def _table(self) -> "Table":
        return self._tables.table(TABLE)

    async def _try_append(self, partition: str, entry: LedgerEntry) -> StoredEntry | None:
        """The entry in its place, None if another appender was first."""
        stored, head = await asyncio.gather(
            self._stored(partition, entry.id), self._table.get(partition, chain.HEAD_ROW)
        )
        if stored is not None:
            return stored
        rows = chain.next_rows(chain.read_head(head), entry)
        try:
            await self._table.write_together(rows)
        except (Conflict, AnswerLost):
            return None  # the next look tells whether it arrived all the same
        return chain.read_entry(rows[0])

    async def _stored(self, partition: str, entry_id: str) -> StoredEntry | None:
        index = await self._table.get(partition, chain.index_row(entry_id))
        if index is None:
            return None
        sequence = index.columns.get("sequence")
        entity = await self._table.get(partition, chain.entry_row(sequence)) if isinstance(sequence, int) else None
        if entity is None:
            raise CorruptRow(f"entry {entry_id} of {partition} is in the index and gone: verify that day of the ledger")
        return chain.read_entry(entity)


def _day_of(entry_id: str) -> date:
    try:
        return datetime.strptime(entry_id[:9], "%Y%m%dT").date()  # noqa: DTZ007 - the id's day is UTC by contract
    except ValueError as error:
        raise InvalidQuestion(f"{entry_id!r} is not an id of the ledger: those start with YYYYMMDDT") from error
