"""Appending to the chains of the ledger: what waits for the same chain goes together, in one transaction.

Appenders of one process take turns at a chain, and whoever has the turn appends everything that waits for it. So a
burst costs a few transactions, and only other processes are left to overtake. That an entry is there already shows when
its id's row cannot be inserted; only then it is looked for.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from shared.records import chain
from shared.records.chain import Head, LedgerEntry, StoredEntry
from shared.records.errors import AnswerLost, Conflict, CorruptRow, RecordsError
from shared.records.rows import Entity, value_text

if TYPE_CHECKING:
    from shared.records.table import Table

ATTEMPTS = 50
_BACKOFF_S = 0.02
_BACKOFF_MAX_S = 1.0
# Azure Tables take 100 rows and 4 MiB in a transaction: two rows an entry, and the head.
_ENTRIES_TOGETHER = 49
_CHARACTERS_TOGETHER = 1024 * 1024
_HEADS_REMEMBERED = 5000


@dataclass(frozen=True, slots=True)
class _Waiting:
    entry: LedgerEntry
    place: asyncio.Future[StoredEntry]


@dataclass(slots=True, weakref_slot=True)
class _Chain:
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: list[_Waiting] = field(default_factory=list)


class Appender:
    """Appends for one process. `jitter` gives numbers in [0, 1) that spread the repetitions of concurrent appenders."""

    def __init__(
        self,
        table: Callable[[], "Table"],
        jitter: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._table, self._jitter, self._sleep = table, jitter, sleep
        self._chains: WeakValueDictionary[str, _Chain] = WeakValueDictionary()
        self._heads: OrderedDict[str, Head] = OrderedDict()

    async def append(self, entry: LedgerEntry) -> StoredEntry:
        """See `Ledger.append`."""
        partition = chain.partition_key(entry.day, entry.endpoint_key)
        ours = self._chains.setdefault(partition, _Chain())
        mine = _Waiting(entry, asyncio.get_running_loop().create_future())
        ours.waiting.append(mine)
        try:
            async with ours.turn:
                while not mine.place.done():
                    await self._append_some(partition, ours)
        finally:
            if mine in ours.waiting:
                ours.waiting.remove(mine)
        return mine.place.result()

    async def stored(self, partition: str, entry_id: str) -> StoredEntry | None:
        """The entry of this id in this chain.

        Raises:
            CorruptRow: it is in the index and gone.
        """
        table = self._table()
        index = await table.get(partition, chain.index_row(entry_id))
        if index is None:
            return None
        sequence = index.columns.get("sequence")
        entity = await table.get(partition, chain.entry_row(sequence)) if isinstance(sequence, int) else None
        if entity is None:
            raise CorruptRow(f"entry {entry_id} of {partition} is in the index and gone: verify that day of the ledger")
        return chain.read_entry(entity)

    async def _append_some(self, partition: str, ours: _Chain) -> None:
        """Give the longest waiting their places, or the error that kept them from one."""
        some = ours.waiting[:_ENTRIES_TOGETHER]
        del ours.waiting[:_ENTRIES_TOGETHER]
        try:
            await self._place(partition, some)
        except Exception as error:  # belongs to all of them
            for one in _without_place(some):
                one.place.set_exception(error)
        except BaseException:  # this caller gives up; the others still want their place
            ours.waiting[:0] = _without_place(some)
            raise

    async def _place(self, partition: str, some: Sequence[_Waiting]) -> None:
        left = some
        for attempt in range(ATTEMPTS):
            if attempt:
                await self._sleep(self._jitter() * min(_BACKOFF_MAX_S, _BACKOFF_S * 2**attempt))
                await asyncio.gather(*(self._find(partition, one) for one in left))
            await self._write(partition, _without_place(left))
            if not (left := _without_place(left)):
                return
        entry = left[0].entry
        raise Conflict(f"entry {entry.id}: overtaken {ATTEMPTS} times; verify {entry.day} of the ledger")

    async def _find(self, partition: str, one: _Waiting) -> None:
        found = await self.stored(partition, one.entry.id)
        if found is not None and not one.place.done():
            one.place.set_result(found)

    async def _write(self, partition: str, some: Sequence[_Waiting]) -> None:
        """Try to append these; who has no place afterwards was overtaken, or did not fit in."""
        if not some:
            return
        head = self._heads.pop(partition, None) or chain.read_head(await self._table().get(partition, chain.HEAD_ROW))
        if head.removed_to:
            raise RecordsError(
                f"entry {some[0].entry.id}: its day was removed from the tables: {head.removed_to} has it"
            )
        placed, rows = _linked(head, some)
        if not rows:
            return
        try:
            etags = await self._table().write_together(rows)
        except (Conflict, AnswerLost):
            return  # the next look tells whether it arrived all the same
        if etags[-1]:
            self._remember(partition, replace(chain.read_head(rows[-1]), etag=etags[-1]))
        for one in some:
            if not one.place.done() and (row := placed.get(one.entry.id)) is not None:
                one.place.set_result(chain.read_entry(row))

    def _remember(self, partition: str, head: Head) -> None:
        """The head that we wrote is the head until another process appends: then our next try fails, and reads it."""
        self._heads[partition] = head
        if len(self._heads) > _HEADS_REMEMBERED:
            self._heads.popitem(last=False)


def _linked(head: Head, some: Sequence[_Waiting]) -> tuple[dict[str, Entity], list[Entity]]:
    """The rows of entries by id, and all rows of one transaction that appends them behind `head`.

    Who cannot be stored is told so here; the same entry twice is one.
    """
    placed: dict[str, Entity] = {}
    rows: list[Entity] = []
    last, characters = head, 0
    new_head: Entity | None = None
    for one in some:
        if one.entry.id in placed:
            continue
        try:
            entry_row, id_row, head_row = chain.next_rows(last, one.entry)
        except Exception as error:  # this entry's own
            one.place.set_exception(error)
            continue
        characters += len(value_text(entry_row))
        if rows and characters > _CHARACTERS_TOGETHER:
            break
        placed[one.entry.id] = entry_row
        rows += (entry_row, id_row)
        new_head = head_row
        last = replace(chain.read_head(head_row), etag=head.etag)
    return placed, rows if new_head is None else [*rows, new_head]


def _without_place(some: Sequence[_Waiting]) -> list[_Waiting]:
    return [one for one in some if not one.place.done()]
