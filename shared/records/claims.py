"""Who takes a signal: the same source and id has one effect, whoever delivers it how often, in whatever process.

A claim is one row for each (source, id): inserted before anything is done, marked as done after everything was. A
process that dies in between leaves a claim that is not done; once its lease has run out, the next delivery takes it
over, or the upkeep does, because a claim holds its signal.

The row's place follows from source and id alone and not from the day, so that two processes on the two sides of
midnight meet in one row, and a signal costs one insert and one replacement. What is older than `KEPT` is removed by
`purge`, a hundred rows a transaction; a claim is never renewed, so nothing that is removed can be in use.
"""

import hashlib
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from shared.domain import Signal, entry_id
from shared.records.chain import time_text
from shared.records.codec import Codec
from shared.records.errors import Conflict, CorruptRow, SchemaTooNew
from shared.records.origin import Origin
from shared.records.rows import Column, Entity, value_columns, value_text
from shared.records.state import Row

if TYPE_CHECKING:
    from shared.records.table import Table
    from shared.records.tables import Tables

log = logging.getLogger("watchkeeper")

TABLE = "WatchkeeperClaims"
KEPT = timedelta(hours=48)
"""For at least this long a repetition is known to be one."""
LEASE = timedelta(seconds=120)
"""After this long, who claimed and has not finished is taken for dead; if it lives, the loops look twice, no more."""

_PARTITIONS = "0123456789abcdef"
_KEY_COLUMNS = ("PartitionKey", "RowKey")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A signal that somebody takes, or has taken.

    `at` is when it came in first, and `origin` which way; `entry` and `endpoint_key` are its place in the ledger, the
    same whoever writes it. `owner` is a process, `leased_until` until when others leave it alone, `takes` how many
    tried.
    """

    signal: Signal
    origin: Origin
    at: datetime
    entry: str
    endpoint_key: str
    owner: str
    leased_until: datetime
    takes: int = 1
    done_at: datetime | None = None


type Taking = Literal["mine", "busy", "done"]
"""What came of an attempt to claim: it is ours to do, another process is at it, or it has been done."""

CLAIM = Codec(Claim)


def signal_key(signal: Signal) -> str:
    """What is one signal: source and id. Azure spells resource ids in several letter cases; ids are exact."""
    source = signal.source.lower() if signal.source.startswith("/") else signal.source
    return hashlib.sha256(f"{source}\0{signal.id}".encode()).hexdigest()[:40]


def new_claim(signal: Signal, origin: Origin, endpoint_key: str, owner: str, now: datetime) -> Claim:
    """The claim of a signal that comes in now; its ledger entry lies in the day of now for ever."""
    return Claim(
        signal=signal,
        origin=origin,
        at=now,
        entry=entry_id(now, f"signal-{signal_key(signal)}"),
        endpoint_key=endpoint_key,
        owner=owner,
        leased_until=now + LEASE,
    )


class Claims:
    """Takes, finishes and forgets claims."""

    def __init__(self, tables: "Tables") -> None:
        self._tables = tables

    async def take(self, claim: Claim, now: datetime) -> tuple[Taking, Row[Claim]]:
        """Claim a signal, with the row that says so; one that its owner left is taken over, in its old place.

        Raises:
            AnswerLost: it may be ours; deliver it again: then it is.
            NotStorable: the signal could not be read back.
        """
        entity = _entity(claim)
        try:
            return "mine", Row(claim, await self._table.insert(entity))
        except Conflict:
            found = await self._table.get(entity.partition, entity.row)
        if found is None:  # purged between the two: as good as new, at the next delivery
            return "busy", Row(claim, "")
        row = _row(found)
        if row.value.done_at is not None:
            return "done", row
        # A claim of our own process that we ask for again is one that we failed to finish.
        if row.value.owner != claim.owner and now < row.value.leased_until:
            return "busy", row
        taken = await self.take_over(row, claim.owner, now)
        return ("busy", row) if taken is None else ("mine", taken)

    async def take_over(self, row: Row[Claim], owner: str, now: datetime) -> Row[Claim] | None:
        """Continue what another left; None if somebody else was faster."""
        mine = replace(row.value, owner=owner, leased_until=now + LEASE, takes=row.value.takes + 1)
        try:
            return Row(mine, await self._table.replace(_entity(mine), row.etag))
        except Conflict:
            return None

    async def finish(self, row: Row[Claim], now: datetime) -> None:
        """Everything is done. Whoever took over in between finishes its own."""
        try:
            await self._table.replace(_entity(replace(row.value, done_at=now)), row.etag)
        except Conflict:
            return

    async def left(self, now: datetime) -> AsyncIterator[Row[Claim]]:
        """Claims whose owner has neither finished nor any lease left; one that this release cannot read is left."""
        where = "done eq @no and leased_until lt @now"
        async for entity in self._table.query(where, {"no": "no", "now": time_text(now)}):
            try:
                row = _row(entity)
            except (CorruptRow, SchemaTooNew):
                log.exception("a claim that was left cannot be read; it hinders no other")
                continue
            yield row

    async def purge(self, now: datetime) -> int:
        """Forget what was done and came in more than `KEPT` ago; how many were forgotten."""
        removed = 0
        for partition in _PARTITIONS:
            where = "PartitionKey eq @partition and done eq @yes and at lt @before"
            parameters = {"partition": partition, "yes": "yes", "before": time_text(now - KEPT)}
            rows = [entity.row async for entity in self._table.query(where, parameters, select=_KEY_COLUMNS)]
            await self._table.delete_together(partition, rows)
            removed += len(rows)
        return removed

    @property
    def _table(self) -> "Table":
        return self._tables.table(TABLE)


def _entity(claim: Claim) -> Entity:
    key = signal_key(claim.signal)
    columns: dict[str, Column] = {
        "at": time_text(claim.at),
        "leased_until": time_text(claim.leased_until),
        "done": "no" if claim.done_at is None else "yes",
    }
    return Entity(partition=key[0], row=key, columns={**value_columns(CLAIM.encode(claim)), **columns})


def _row(entity: Entity) -> Row[Claim]:
    try:
        return Row(CLAIM.decode(value_text(entity)), entity.etag)
    except (CorruptRow, SchemaTooNew) as error:
        raise type(error)(f"row {entity.row} of {entity.partition} in {TABLE}: {error}") from error
