"""Signals in the ledger: each distinct one is an entry, and the entries of a day are the count of each kind.

Nothing is counted while signals come in: a count that is kept beside the entries would be wrong after a crash. A day
that is over is counted once and kept (`SignalKinds.keep`), so that the counts outlive the entries.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from shared.domain import Signal
from shared.records import chain
from shared.records.chain import LedgerEntry
from shared.records.claims import Claim
from shared.records.codec import Codec
from shared.records.ledger import TABLE as LEDGER_TABLE
from shared.records.rows import Entity, value_columns, value_text

if TYPE_CHECKING:
    from shared.records.table import Table
    from shared.records.tables import Tables

TABLE = "WatchkeeperSignalKinds"
MAX_DAYS = 31

Handling = Literal["handled", "not_yet_handled", "unknown"]
"""A loop is woken by this kind; there is a parser but no loop yet; nobody knows it."""

HANDLINGS: tuple[Handling, ...] = ("handled", "not_yet_handled", "unknown")

_PARTITION = "day"
_COUNTED = ("PartitionKey", "RowKey", "at", "by_signal", "by_source", "by_handling")
# Who took a signal shortly before midnight may write its entry a little later, into the day before.
_SETTLED_AFTER = timedelta(hours=1)
_KEPT_BACK_DAYS = 7


def signal_entry(
    claim: Claim, handling: Handling, handled_by: Sequence[str], woke: Mapping[str, Sequence[str]]
) -> LedgerEntry:
    """What came in, and whom it woke: names of targets by loop. `handled_by` are the loops that know its kind."""
    signal, origin = claim.signal, claim.origin
    names = sorted({name for targets in woke.values() for name in targets})
    return LedgerEntry(
        id=claim.entry,
        kind="signal",
        at=claim.at,
        endpoint_key=claim.endpoint_key,
        target=names[0] if len(names) == 1 else "",
        loop=",".join(handled_by),
        summary=f"{signal.kind} from {signal.source or 'an unnamed source'}: {_words(handling, names)}",
        body={
            "signal": SIGNAL.to_plain(signal),
            "handling": handling,
            "handled_by": list(handled_by),
            "woke": {loop: list(targets) for loop, targets in woke.items() if targets},
            "origin": {"trigger": origin.trigger, "queue": origin.queue, "message": origin.message},
            "found_by": {"signal": signal.kind, "source": signal.source, "handling": handling},
        },
    )


def _words(handling: Handling, names: Sequence[str]) -> str:
    if handling == "unknown":
        return "its kind is unknown; acknowledged and counted"
    if handling == "not_yet_handled":
        return "recorded; not yet handled by any loop"
    return f"wakes {', '.join(names)}" if names else "speaks of no target of the policy"


@dataclass(frozen=True, slots=True, kw_only=True)
class KindCount:
    """How many distinct signals of a kind came in from a source on a day, the first and the last at these times."""

    kind: str
    source: str
    handling: Handling
    count: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DayCount:
    """Every kind and source of one UTC day (`2026-01-05`), in their order."""

    day: str
    kinds: tuple[KindCount, ...]


class SignalKinds:
    """Counts signals by kind, source and day."""

    def __init__(self, tables: "Tables") -> None:
        self._tables = tables

    async def days(self, first: date, last: date) -> list[DayCount]:
        """The counts of these days, oldest first: as they were kept, or counted now."""
        kept = await self._kept(first, last)
        days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
        return [kept.get(day.isoformat()) or await self.count(day) for day in days]

    async def count(self, day: date) -> DayCount:
        """Count the ledger's entries of a day."""
        first, after = chain.day_range(day, day)
        first_row, after_row = chain.entry_rows()
        where = (
            "PartitionKey ge @first and PartitionKey lt @after and RowKey ge @first_row and RowKey lt @after_row "
            "and kind eq @kind"
        )
        parameters = {
            "first": first,
            "after": after,
            "first_row": first_row,
            "after_row": after_row,
            "kind": "signal",
        }
        rows = self._tables.table(LEDGER_TABLE).query(where, parameters, select=_COUNTED)
        return DayCount(day=day.isoformat(), kinds=tuple(_counted([row async for row in rows])))

    async def keep(self, now: datetime) -> int:
        """Count the days that are over and were not counted yet; how many there were. May be repeated."""
        last = (now - _SETTLED_AFTER).astimezone(UTC).date() - timedelta(days=1)
        first = last - timedelta(days=_KEPT_BACK_DAYS - 1)
        kept = await self._kept(first, last)
        missing = [last - timedelta(days=back) for back in range(_KEPT_BACK_DAYS)]
        missing = [day for day in missing if day.isoformat() not in kept]
        for day in missing:
            counted = await self.count(day)
            columns = value_columns(DAY_COUNT.encode(counted))
            await self._table.put(Entity(partition=_PARTITION, row=counted.day, columns=columns))
        return len(missing)

    async def _kept(self, first: date, last: date) -> dict[str, DayCount]:
        where = "PartitionKey eq @partition and RowKey ge @first and RowKey le @last"
        parameters = {"partition": _PARTITION, "first": first.isoformat(), "last": last.isoformat()}
        counted = [DAY_COUNT.decode(value_text(row)) async for row in self._table.query(where, parameters)]
        return {day.day: day for day in counted}

    @property
    def _table(self) -> "Table":
        return self._tables.table(TABLE)


def _counted(rows: Iterable[Entity]) -> list[KindCount]:
    times: dict[tuple[str, str], list[tuple[datetime, str]]] = {}
    for row in rows:
        key = (str(row.columns.get("by_signal", "")), str(row.columns.get("by_source", "")))
        at = datetime.fromisoformat(str(row.columns["at"]))
        times.setdefault(key, []).append((at, str(row.columns.get("by_handling", ""))))
    return [
        KindCount(
            kind=kind,
            source=source,
            handling=_handling(max(seen)[1]),
            count=len(seen),
            first_at=min(seen)[0],
            last_at=max(seen)[0],
        )
        for (kind, source), seen in sorted(times.items())
    ]


def _handling(word: str) -> Handling:
    """The newest word stands: a loop may have come in the middle of the day."""
    return next((known for known in HANDLINGS if known == word), "unknown")


DAY_COUNT = Codec(DayCount)
SIGNAL = Codec(Signal)
