"""Pages of the ledger, newest first.

Azure Tables return rows by ascending key only, and the entries of a day lie by endpoint. So a page is found in two
steps: times and keys of what matches, from the newest days backwards, of which the newest are kept; then these entries.
"""

import asyncio
import base64
import heapq
import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from shared.records import chain
from shared.records.chain import EntryKind, StoredEntry
from shared.records.errors import CorruptRow, InvalidCursor, InvalidQuestion
from shared.records.rows import Entity

if TYPE_CHECKING:
    from shared.records.table import Table

type Place = tuple[str, str, str]
"""Where an entry is: its time as text, its partition, its row; in the order of pages (backwards)."""

_MAX_LIMIT = 500
_MAX_SPAN = timedelta(days=400)
_MAX_WINDOW_DAYS = 32
_CONCURRENT_READS = 16
_PLACE_COLUMNS = ("PartitionKey", "RowKey", "at")
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Page:
    """Entries, newest first, and what to ask the next page with: None if this is the last."""

    entries: tuple[StoredEntry, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Search:
    """since <= at < until; None matches everything."""

    since: datetime
    until: datetime
    endpoint_key: str | None = None
    target: str | None = None
    loop: str | None = None
    kind: EntryKind | None = None
    found_by: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.since.tzinfo is None or self.until.tzinfo is None:
            raise InvalidQuestion("since and until need a time zone")
        if not timedelta(0) < self.until - self.since <= _MAX_SPAN:
            raise InvalidQuestion(
                f"since {self.since.isoformat()}, until {self.until.isoformat()}: until must be later, "
                f"by at most {_MAX_SPAN.days} days"
            )


async def page(table: "Table", search: Search, limit: int, cursor: str | None) -> Page:
    """See `Ledger.query`."""
    if not 1 <= limit <= _MAX_LIMIT:
        raise InvalidQuestion(f"limit {limit}: give 1 to {_MAX_LIMIT}")
    after = None if cursor is None else _place(cursor)
    places = await _newest(table, search, after, limit + 1)
    entries = await _read(table, places[:limit])
    return Page(tuple(entries), _cursor(places[limit - 1]) if len(places) > limit else None)


async def _newest(table: "Table", search: Search, after: Place | None, count: int) -> list[Place]:
    """The `count` newest places that match and come after (are older than) `after`, newest first."""
    if after is not None:
        # Entries of the cursor's own instant may still be to come.
        until = datetime.fromisoformat(after[0]) + _TICK
        if until <= search.since:
            return []
        search = replace(search, until=min(search.until, until))
    newest: list[Place] = []
    for days in _windows(search):
        async for entity in _matching(table, search, days):
            place = (str(entity.columns["at"]), entity.partition, entity.row)
            if after is None or place < after:
                heapq.heappush(newest, place)
            if len(newest) > count:
                heapq.heappop(newest)
        if len(newest) == count:
            break
    return sorted(newest, reverse=True)


def _windows(search: Search) -> Iterator[list[date]]:
    """The days of the search, newest first, in growing groups: recent entries soon, quiet months in few queries."""
    day = (search.until.astimezone(UTC) - _TICK).date()
    first = search.since.astimezone(UTC).date()
    size = 1
    while day >= first:
        days = [day - timedelta(days=back) for back in range(min(size, (day - first).days + 1))]
        yield days
        day = days[-1] - timedelta(days=1)
        size = min(2 * size, _MAX_WINDOW_DAYS)


async def _matching(table: "Table", search: Search, days: Sequence[date]) -> AsyncIterator[Entity]:
    """Time and keys of the matching entries of these adjacent days (newest first)."""
    conditions, parameters = _conditions(search)
    for where, bounds in _partitions(search.endpoint_key, days):
        everything = table.query(f"{where} and {conditions}", bounds | parameters, select=_PLACE_COLUMNS)
        async for entity in everything:
            yield entity


def _partitions(endpoint_key: str | None, days: Sequence[date]) -> list[tuple[str, dict[str, str]]]:
    """One range for all endpoints; a partition a day for one endpoint, which leaves the other endpoints unread."""
    if endpoint_key is None:
        first, after = chain.day_range(days[-1], days[0])
        return [("PartitionKey ge @first and PartitionKey lt @after", {"first": first, "after": after})]
    partitions = [chain.partition_key(day, endpoint_key) for day in days]
    return [("PartitionKey eq @partition", {"partition": partition}) for partition in partitions]


def _conditions(search: Search) -> tuple[str, dict[str, str]]:
    first_row, after_row = chain.entry_rows()
    parameters = {
        "first_row": first_row,
        "after_row": after_row,
        "since": chain.time_text(search.since),
        "until": chain.time_text(search.until),
    }
    conditions = ["RowKey ge @first_row", "RowKey lt @after_row", "at ge @since", "at lt @until"]
    words = [(f"by_{name}", word) for name, word in search.found_by.items()]
    for column, wanted in (("target", search.target), ("loop", search.loop), ("kind", search.kind), *words):
        if wanted is not None:
            conditions.append(f"{column} eq @{column}")
            parameters[column] = wanted
    return " and ".join(conditions), parameters


async def _read(table: "Table", places: Sequence[Place]) -> list[StoredEntry]:
    slots = asyncio.Semaphore(_CONCURRENT_READS)

    async def read(place: Place) -> StoredEntry:
        _, partition, row = place
        async with slots:
            entity = await table.get(partition, row)
        if entity is None:
            raise CorruptRow(f"row {row} of {partition} went while it was read: verify that day of the ledger")
        return chain.read_entry(entity)

    return await asyncio.gather(*(read(place) for place in places))


def _cursor(place: Place) -> str:
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode()


def _place(cursor: str) -> Place:
    try:
        at, partition, row = json.loads(base64.urlsafe_b64decode(cursor))
        if (datetime.fromisoformat(at) + _TICK).tzinfo is None:
            raise ValueError("a time without zone")
        return str(at), str(partition), str(row)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise InvalidCursor(
            f"{cursor!r} is not a cursor of the ledger: give `next_cursor` of the page before"
        ) from error
