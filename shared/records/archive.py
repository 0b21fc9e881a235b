"""Whole days of the ledger as files, and their removal from the tables once they are safe there.

A day is exported when it is over, and again, under the next number, when an entry came late: a file is never written
over, so the container may be made immutable. The catalogue has one row a day: by which heads, into which file. A day is
removed only from its catalogued file on: the file is read back and must hold every entry of every chain. The heads
stay in the ledger, so that a file can be checked against them for ever.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from shared.records import chain
from shared.records.codec import Codec, canonical_json
from shared.records.errors import CorruptRow
from shared.records.exported import lines_of, problems_of_file
from shared.records.ledger import Ledger
from shared.records.rows import Entity, value_columns, value_text

if TYPE_CHECKING:
    from pydantic import JsonValue

    from shared.records.blobs import Container
    from shared.records.table import Table
    from shared.records.tables import Tables

TABLE = "WatchkeeperArchive"
CONTAINER = "watchkeeper-ledger"
_PARTITION = "day"

# A day is not exported before the stragglers of midnight are in.
SETTLES_AFTER = timedelta(hours=1)
# Entries that come late (the end of an action whose process died) belong to the day of their time.
LATE_FOR = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedDay:
    """One day's file. `heads` is the digest of the day's chains when it was written, `removed_at` when the tables let
    the day go."""

    day: str
    file: str
    entries: int
    sha256: str
    heads: str
    exported_at: datetime
    removed_at: datetime | None = None


_CODEC = Codec(ArchivedDay)


@dataclass(frozen=True, slots=True)
class Removal:
    """The days that went, and those that should have, with the reason why they are kept."""

    removed: tuple[date, ...]
    kept: Mapping[date, str]


class Archive:
    """Exports and removes days."""

    def __init__(self, ledger: Ledger, tables: "Tables", container: "Container") -> None:
        self._ledger, self._tables, self._container = ledger, tables, container

    async def catalogue(self) -> Mapping[date, ArchivedDay]:
        """Every exported day."""
        rows = self._table.query("PartitionKey eq @partition", {"partition": _PARTITION})
        days = [_CODEC.decode(value_text(row)) async for row in rows]
        return {date.fromisoformat(archived.day): archived for archived in days}

    async def export_due(self, now: datetime) -> list[ArchivedDay]:
        """Export every day that is over and has no file, or had entries since; the days that were written."""
        known = await self.catalogue()
        last = (now.astimezone(UTC) - SETTLES_AFTER).date() - timedelta(days=1)
        first = await self._first_to_look_at(known, last)
        written = []
        for day in _days(first, last):
            if (archived := await self._export(day, known.get(day), now)) is not None:
                written.append(archived)
        return written

    async def remove_due(self, now: datetime, keep_days: int) -> Removal:
        """Remove the days that are older than `keep_days`. A day whose file does not hold it is kept, and said why."""
        before = now.astimezone(UTC).date() - timedelta(days=keep_days)
        removed, kept = [], {}
        for day, archived in sorted((await self.catalogue()).items()):
            if day >= before or archived.removed_at is not None:
                continue
            current = await self._export(day, archived, now) or archived
            if problems := await self._problems(day, current):
                kept[day] = f"{current.file} cannot stand for {day}: {'; '.join(problems[:5])}"
                continue
            await self._ledger.remove_day(day, current.file)
            await self._put(replace(current, removed_at=now))
            removed.append(day)
        return Removal(tuple(removed), kept)

    async def verify_file(self, day: date) -> list[str]:
        """What is wrong with a day's file against the heads in the ledger, a sentence each."""
        archived = (await self.catalogue()).get(day)
        if archived is None:
            return [f"{day} has not been exported"]
        return await self._problems(day, archived)

    async def _first_to_look_at(self, known: Mapping[date, ArchivedDay], last: date) -> date:
        if not known:
            return await self._ledger.first_day() or last + timedelta(days=1)
        newest = max(known)
        return min(newest + timedelta(days=1), max(min(known), last - LATE_FOR))

    async def _export(self, day: date, before: ArchivedDay | None, now: datetime) -> ArchivedDay | None:
        """Write the day's file if it differs from the one before; None if there is nothing (new) to write."""
        heads = await self._ledger.heads(day)
        digest = _digest(heads)
        if not heads or (before is not None and before.heads == digest):
            return None
        lines = [line async for line in self._ledger.export(day)]
        content = "".join(f"{line}\n" for line in lines).encode()
        sha256 = hashlib.sha256(content).hexdigest()
        archived = ArchivedDay(
            day=day.isoformat(),
            file=await self._write(day, content, sha256),
            entries=len(lines),
            sha256=sha256,
            heads=digest,
            exported_at=now,
        )
        await self._put(archived)
        return archived

    async def _write(self, day: date, content: bytes, sha256: str) -> str:
        """The name of the day's file with this content: written now, or by a run that was cut off."""
        for number in range(1, 1000):
            name = f"{day:%Y/%m}/{day}.{number}.jsonl"
            if await self._container.put_new(name, content, {"sha256": sha256}):
                return name
            if await self._container.get(name) == content:
                return name
        raise CorruptRow(f"{day} has 1000 files already: something writes into days that are over")

    async def _problems(self, day: date, archived: ArchivedDay) -> list[str]:
        content = await self._container.get(archived.file)
        if content is None:
            return [f"{archived.file} is gone"]
        if hashlib.sha256(content).hexdigest() != archived.sha256:
            return [f"{archived.file} was changed: it does not have the hash that it was written with"]
        return problems_of_file(day, lines_of(content.decode()), await self._ledger.heads(day))

    async def _put(self, archived: ArchivedDay) -> None:
        columns = value_columns(_CODEC.encode(archived))
        await self._table.put(Entity(partition=_PARTITION, row=archived.day, columns=columns))

    @property
    def _table(self) -> "Table":
        return self._tables.table(TABLE)


def _days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=offset) for offset in range((last - first).days + 1)]


def _digest(heads: Mapping[str, chain.Head]) -> str:
    plain: JsonValue = {endpoint: [head.sequence, head.row_hash] for endpoint, head in heads.items()}
    return hashlib.sha256(canonical_json(plain).encode()).hexdigest()
