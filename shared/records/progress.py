"""How far recurring work has come: one row a piece of work, by which several processes take turns.

Whoever swaps the row of a piece of work that is due runs it; a process that dies in the middle leaves a row that says
that it runs, until somebody takes over.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from shared.records.codec import Codec
from shared.records.errors import Conflict
from shared.records.keys import decode_key, join_key
from shared.records.rows import Entity, value_columns, value_text

if TYPE_CHECKING:
    from shared.records.table import Table
    from shared.records.tables import Tables

TABLE = "WatchkeeperProgress"
_PARTITION = "work"
MAX_SAID = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One piece of work: when it last began and ended, what it said, and how often in a row it failed.

    `marks` is what it wants to remember until its next run (such as the day up to which it came).
    """

    name: str
    began_at: datetime
    ended_at: datetime | None = None
    said: str = ""
    failures: int = 0
    marks: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_running(self) -> bool:
        return self.ended_at is None


@dataclass(frozen=True, slots=True)
class Turn:
    """The right to run a piece of work now; `marks` and `failures` are those of the run before."""

    name: str
    began_at: datetime
    marks: Mapping[str, str]
    failures: int
    etag: str


_CODEC = Codec(Progress)


class ProgressStore:
    """Takes and ends turns."""

    def __init__(self, tables: "Tables") -> None:
        self._tables = tables

    async def all(self) -> Mapping[str, Progress]:
        """Everything by name."""
        rows = self._table.query("PartitionKey eq @partition", {"partition": _PARTITION})
        return {decode_key(row.row): _CODEC.decode(value_text(row)) async for row in rows}

    async def take(self, name: str, is_due: Callable[[Progress | None], bool], now: datetime) -> Turn | None:
        """The turn if the work is due by what its last run left and nobody else took it, else None."""
        row = await self._table.get(_PARTITION, join_key(name))
        before = None if row is None else _CODEC.decode(value_text(row))
        if not is_due(before):
            return None
        begun = Progress(name=name, began_at=now) if before is None else replace(before, began_at=now, ended_at=None)
        try:
            etag = await self._write(begun, row.etag if row else None)
        except Conflict:
            return None
        return Turn(name, now, begun.marks, begun.failures, etag)

    async def end(
        self, turn: Turn, said: str, now: datetime, *, failed: bool = False, marks: Mapping[str, str] | None = None
    ) -> None:
        """Write down what came of a turn; one that was taken over meanwhile keeps the other's word."""
        ended = Progress(
            name=turn.name,
            began_at=turn.began_at,
            ended_at=now,
            said=said[:MAX_SAID],
            failures=turn.failures + 1 if failed else 0,
            marks=turn.marks if marks is None else marks,
        )
        try:
            await self._write(ended, turn.etag)
        except Conflict:
            return

    async def beat(self, name: str, said: str, now: datetime) -> None:
        """A sign of life of work that takes no turns; the newest stands."""
        beat = Progress(name=name, began_at=now, ended_at=now, said=said[:MAX_SAID])
        await self._table.put(_entity(beat))

    @property
    def _table(self) -> "Table":
        return self._tables.table(TABLE)

    async def _write(self, progress: Progress, etag: str | None) -> str:
        entity = _entity(progress)
        return await (self._table.insert(entity) if etag is None else self._table.replace(entity, etag))


def _entity(progress: Progress) -> Entity:
    columns = value_columns(_CODEC.encode(progress))
    return Entity(partition=_PARTITION, row=join_key(progress.name), columns=columns)
