"""Input that cannot be read, kept until a person has dealt with it: its body in a blob, the rest in a table row.

An entry is named after its body, so that the same body is one entry with a count, whoever sends it how often. The blob
is written before the row: a process that dies in between leaves a blob that the redelivery finds. A body that comes
again after its entry was closed opens it again.

What people closed long ago goes, body first. It is written anew each time that it comes in, so a body that comes in
while its old entry goes is never taken along: a purge that looked at the blob before does not find it as it was, and
one that looks later sees that it is new.
"""

import hashlib
import heapq
import logging
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from shared.records.chain import time_text
from shared.records.codec import Codec
from shared.records.errors import Conflict, CorruptRow, InvalidCursor, InvalidQuestion, SchemaTooNew
from shared.records.keys import join_key
from shared.records.origin import Origin, Trigger
from shared.records.rows import Column, Entity, value_columns, value_text
from shared.records.state import Row
from shared.records.swapping import swap

if TYPE_CHECKING:
    from shared.records.blobs import Blobs
    from shared.records.table import Table
    from shared.records.tables import Tables

log = logging.getLogger("watchkeeper")

TABLE = "WatchkeeperQuarantine"
CONTAINER = "watchkeeper-quarantine"
MAX_LIMIT = 500

QuarantineState = Literal["open", "closed"]
How = Literal["resubmitted", "corrected", "discarded"]

_PARTITION = "quarantine"
_ID = re.compile(r"[0-9a-f]{32}")
_KEPT_ORIGINS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """How a person dealt with an entry, and what became of it (a line each)."""

    how: How
    by: str
    reason: str
    at: datetime
    became: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined:
    """One body that could not be read. `source` and `kind` are what it says of itself, "" where it does not.

    `count` are the times it came in, but for redeliveries of a message that is known; `origins` are the last of them.
    `open_since` is when it came in first, or first after it was closed the last time.
    """

    id: str
    reason: str
    size: int
    first_at: datetime
    last_at: datetime
    open_since: datetime
    source: str = ""
    kind: str = ""
    state: QuarantineState = "open"
    count: int = 1
    origins: tuple[Origin, ...] = ()
    closings: tuple[Closing, ...] = ()

    def again(self, origin: Origin, reason: str, now: datetime) -> "Quarantined":
        """After the same body came in once more. A message that is redelivered late opens nothing that was closed."""
        others = tuple(known for known in self.origins if not _same_message(known, origin))
        came_again = len(others) == len(self.origins)
        opens = came_again and self.state == "closed"
        return replace(
            self,
            reason=reason,
            last_at=now,
            open_since=now if opens else self.open_since,
            state="open" if opens else self.state,
            count=self.count + came_again,
            origins=(*others, origin)[-_KEPT_ORIGINS:],
        )


@dataclass(frozen=True, slots=True)
class QuarantinePage:
    """Entries, the newest first, and what to ask the next page with: None if this is the last."""

    entries: tuple[Quarantined, ...]
    next_cursor: str | None


QUARANTINED = Codec(Quarantined)


class Quarantine:
    """Keeps, finds and closes entries."""

    def __init__(self, tables: "Tables", blobs: "Blobs") -> None:
        self._tables = tables
        self._bodies = blobs.container(CONTAINER)

    async def put(
        self, body: bytes, reason: str, origin: Origin, now: datetime, *, source: str = "", kind: str = ""
    ) -> Quarantined:
        """Keep a body that could not be read. Whatever goes wrong is raised: then nothing may be acknowledged."""
        entry_id = hashlib.sha256(body).hexdigest()[:32]
        await self._bodies.put(entry_id, body, now)

        def kept(before: Quarantined | None) -> Quarantined:
            if before is not None:
                return before.again(origin, reason, now)
            return Quarantined(
                id=entry_id,
                reason=reason,
                size=len(body),
                first_at=now,
                last_at=now,
                open_since=now,
                source=source,
                kind=kind,
                origins=(origin,),
            )

        entry = await swap(self._table, _PARTITION, join_key(entry_id), QUARANTINED, kept, columns=_columns)
        assert entry is not None  # as `kept` says
        return entry

    async def get(self, entry_id: str) -> Row[Quarantined] | None:
        if not _ID.fullmatch(entry_id):
            return None
        entity = await self._table.get(_PARTITION, join_key(entry_id))
        return None if entity is None else _row(entity)

    async def body(self, entry_id: str) -> bytes:
        """The body, as it came.

        Raises:
            CorruptRow: it is gone; somebody else removed the blob.
        """
        found = await self._bodies.get(entry_id)
        if found is None:
            raise CorruptRow(f"the body of quarantine entry {entry_id} is gone from the container {self._bodies.name}")
        return found

    async def close(self, row: Row[Quarantined], closing: Closing) -> Quarantined:
        """A person dealt with it.

        Raises:
            Conflict: it has changed since it was read: it came again, or somebody else closed it.
        """
        closed = replace(row.value, state="closed", closings=(*row.value.closings, closing))
        await self._table.replace(_entity(closed), row.etag)
        return closed

    async def purge(self, before: datetime, at_most: int) -> int:
        """Remove the entries that people closed before then, with their bodies; how many went. One that is open stays.

        So does one whose body came in since, though it did not open it, and one that this release cannot read.
        """
        removed = 0
        async for entity in self._find(state="closed", until=before):
            try:
                row = _row(entity)
            except (CorruptRow, SchemaTooNew):
                log.exception("a closed entry of the quarantine cannot be read; it stays, and hinders no other")
                continue
            if row.value.closings[-1].at < before and await self._remove(row, before):
                removed += 1
                if removed >= at_most:
                    break
        return removed

    async def oldest_open(self) -> Quarantined | None:
        """The entry that has waited longest for a person."""
        found = [entity async for entity in self._find(state="open")]
        if not found:
            return None
        return _row(min(found, key=lambda entity: (str(entity.columns["open_since"]), entity.row))).value

    async def query(
        self,
        *,
        state: QuarantineState | None = None,
        trigger: Trigger | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> QuarantinePage:
        """Entries that came in first at since <= at < until, newest first, `limit` (1 to 500) at a time.

        `cursor` is the page before's `next_cursor`, with everything else the same. `trigger` is that of the last time.

        Raises:
            InvalidQuestion: a limit out of range.
            InvalidCursor: not a cursor of the quarantine.
        """
        if not 1 <= limit <= MAX_LIMIT:
            raise InvalidQuestion(f"limit {limit}: give 1 to {MAX_LIMIT}")
        before = None if cursor is None else _place(cursor)
        newest: list[tuple[str, str, Entity]] = []  # rows are unique, so entities are never compared
        async for entity in self._find(state=state, trigger=trigger, since=since, until=until):
            place = (str(entity.columns["at"]), entity.row)
            if before is None or place < before:
                heapq.heappush(newest, (*place, entity))
            if len(newest) > limit + 1:
                heapq.heappop(newest)
        found = sorted(newest, reverse=True)
        last = found[limit - 1][:2] if len(found) > limit else None
        return QuarantinePage(
            tuple(_row(entity).value for _, _, entity in found[:limit]), None if last is None else "|".join(last)
        )

    @property
    def _table(self) -> "Table":
        return self._tables.table(TABLE)

    def _find(
        self,
        *,
        state: QuarantineState | None = None,
        trigger: Trigger | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> AsyncIterator[Entity]:
        conditions, parameters = ["PartitionKey eq @partition"], {"partition": _PARTITION}
        wanted: Sequence[tuple[str, str, str | None]] = (
            ("state eq", "state", state),
            ("trigger eq", "trigger", trigger),
            ("at ge", "since", None if since is None else time_text(since)),
            ("at lt", "until", None if until is None else time_text(until)),
        )
        for condition, name, value in wanted:
            if value is not None:
                conditions.append(f"{condition} @{name}")
                parameters[name] = value
        return self._table.query(" and ".join(conditions), parameters)

    async def _remove(self, row: Row[Quarantined], before: datetime) -> bool:
        """Whether it went: body, then row, so that whoever is cut off in between is followed by the next run."""
        kept = await self._bodies.look(row.value.id)
        if kept is not None and (kept.at >= before or not await self._bodies.delete_as_seen(kept)):
            return False
        try:
            await self._table.delete(_PARTITION, join_key(row.value.id), row.etag)
        except Conflict:
            return False  # it came in again, with a body of its own
        return True


def _same_message(one: Origin, other: Origin) -> bool:
    named = bool(one.message)
    return named and (one.trigger, one.queue, one.message) == (other.trigger, other.queue, other.message)


def _columns(entry: Quarantined) -> Mapping[str, Column]:
    return {
        "at": time_text(entry.first_at),
        "open_since": time_text(entry.open_since),
        "state": entry.state,
        "trigger": entry.origins[-1].trigger if entry.origins else "",
    }


def _entity(entry: Quarantined) -> Entity:
    columns = {**value_columns(QUARANTINED.encode(entry)), **_columns(entry)}
    return Entity(partition=_PARTITION, row=join_key(entry.id), columns=columns)


def _row(entity: Entity) -> Row[Quarantined]:
    try:
        return Row(QUARANTINED.decode(value_text(entity)), entity.etag)
    except (CorruptRow, SchemaTooNew) as error:
        raise type(error)(f"row {entity.row} in {TABLE}: {error}") from error


def _place(cursor: str) -> tuple[str, str]:
    at, _, row = cursor.partition("|")
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", at) or not _ID.fullmatch(row):
        raise InvalidCursor(f"{cursor!r} is not a cursor of the quarantine: give `next_cursor` of the page before")
    return at, row
