"""Requests for approval: each a row that is compared and swapped by ETag, so that one answer, one end, one use wins.

Rows: partition `r,<day>` with `<id>` the request (an id starts with its UTC day, so days are partitions and an id alone
finds its row); partition `o` with `<id>` a mark while something of it remains to be done; partition `q` with
`<target>,<dimension>` the id of what people denied or did not answer last. A mark is set before its request is written
and removed after everything that follows from the request's end: a crash leaves a mark too many, never one too few.
"""

import base64
import heapq
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from shared.domain import ApprovalRequest, ApprovalState, Dimension
from shared.records.codec import APPROVAL_REQUEST
from shared.records.errors import CorruptRow, InvalidCursor, InvalidQuestion, SchemaTooNew
from shared.records.keys import join_key, split_key
from shared.records.rows import LAYOUT_VERSION, Column, Entity, value_columns, value_text
from shared.records.state import Row
from shared.records.swapping import swap

if TYPE_CHECKING:
    from shared.records.table import Table
    from shared.records.tables import Tables

TABLE = "WatchkeeperApprovals"
KEPT_DAYS = 400

_REQUEST, _OPEN, _REST = "r", "o", "q"
_MAX_LIMIT = 500
_MAX_SPAN = timedelta(days=KEPT_DAYS)
_PRUNED_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class ApprovalPage:
    """Requests, newest first, and what to ask the next page with: None if this is the last."""

    requests: tuple[ApprovalRequest, ...]
    next_cursor: str | None


class ApprovalStore:
    """Reads and writes requests for approval."""

    def __init__(self, tables: "Tables") -> None:
        self._tables = tables

    async def get(self, request_id: str) -> Row[ApprovalRequest] | None:
        """The request of this id, None if there is none.

        Raises:
            InvalidQuestion: not an id of a decision.
        """
        entity = await self._table.get(_partition(request_id), join_key(request_id))
        return None if entity is None else _row(entity)

    async def insert(self, request: ApprovalRequest) -> Row[ApprovalRequest]:
        """Raises Conflict if there is one of this id, AnswerLost if that cannot be told."""
        return Row(request, await self._table.insert(_entity(request)))

    async def change(
        self, request_id: str, change: Callable[[ApprovalRequest | None], ApprovalRequest]
    ) -> ApprovalRequest:
        """The request after `change` of what is stored; nothing is written if that raises. See `swapping.swap`."""
        partition, row = _partition(request_id), join_key(request_id)
        found = await swap(self._table, partition, row, APPROVAL_REQUEST, change, columns=_columns)
        assert found is not None  # as `change` says
        return found

    # ---- marks

    async def mark_open(self, request_id: str, now: datetime) -> None:
        columns: dict[str, Column] = {"schema": LAYOUT_VERSION, "at": _time_text(now)}
        await self._table.put(Entity(partition=_OPEN, row=join_key(request_id), columns=columns))

    async def unmark_open(self, request_id: str) -> None:
        await self._table.delete(_OPEN, join_key(request_id))

    async def open_marks(self) -> dict[str, datetime]:
        """Ids of what has not been seen to its end, and since when each is marked."""
        rows = self._table.query("PartitionKey eq @partition", {"partition": _OPEN})
        return {split_key(row.row)[0]: datetime.fromisoformat(str(row.columns["at"])) async for row in rows}

    async def set_rest(self, target: str, dimension: Dimension, request_id: str) -> None:
        """Keep which request of this target people denied or did not answer last."""
        columns: dict[str, Column] = {"schema": LAYOUT_VERSION, "value": request_id}
        await self._table.put(Entity(partition=_REST, row=join_key(target, dimension), columns=columns))

    async def rest_of(self, target: str, dimension: Dimension) -> ApprovalRequest | None:
        """The request that people denied or did not answer last."""
        entity = await self._table.get(_REST, join_key(target, dimension))
        row = None if entity is None else await self.get(value_text(entity))
        return None if row is None else row.value

    # ---- to look at

    async def query(
        self,
        since: datetime,
        until: datetime,
        *,
        state: ApprovalState | None = None,
        target: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> ApprovalPage:
        """Requests about decisions of since <= at < until, newest first, `limit` (1 to 500) at a time.

        `state` is the one that is stored: what ran out is written as expired by the next sweep. `target` is a name of
        the policy. `cursor` is the page before's `next_cursor`, with everything else the same.

        Raises:
            InvalidQuestion: times without zone, in the wrong order or too far apart, a limit out of range.
            InvalidCursor: not a cursor of the approvals.
        """
        if since.tzinfo is None or until.tzinfo is None or not timedelta(0) < until - since <= _MAX_SPAN:
            raise InvalidQuestion(
                f"since and until need a time zone, and until must be later, by {KEPT_DAYS} days at most"
            )
        if not 1 <= limit <= _MAX_LIMIT:
            raise InvalidQuestion(f"limit {limit}: give 1 to {_MAX_LIMIT}")
        before = None if cursor is None else _place(cursor)
        newest: list[tuple[str, str, str]] = []
        async for entity in self._matching(since, until, state, target):
            place = (str(entity.columns["at"]), entity.partition, entity.row)
            if before is None or place < before:
                heapq.heappush(newest, place)
            if len(newest) > limit + 1:
                heapq.heappop(newest)
        places = sorted(newest, reverse=True)
        found = [await self._table.get(partition, row) for _, partition, row in places[:limit]]
        last = places[limit - 1] if len(places) > limit else None
        return ApprovalPage(
            tuple(_row(entity).value for entity in found if entity is not None), None if last is None else _cursor(last)
        )

    async def prune(self, now: datetime) -> int:
        """Remove requests of more than `KEPT_DAYS` days ago, a thousand at a time; how many were removed."""
        oldest = f"{(now.astimezone(UTC) - timedelta(days=KEPT_DAYS)):%Y%m%d}"
        where, bounds = "PartitionKey ge @first and PartitionKey lt @after", _days("", oldest)
        removed = 0
        async for entity in self._table.query(where, bounds, select=("PartitionKey", "RowKey")):
            await self._table.delete(entity.partition, entity.row)
            removed += 1
            if removed >= _PRUNED_AT_ONCE:
                break
        return removed

    @property
    def _table(self) -> "Table":
        return self._tables.table(TABLE)

    def _matching(
        self, since: datetime, until: datetime, state: str | None, target: str | None
    ) -> AsyncIterator[Entity]:
        conditions = ["PartitionKey ge @first", "PartitionKey le @after", "at ge @since", "at lt @until"]
        parameters = {"since": _time_text(since), "until": _time_text(until)}
        parameters |= _days(f"{since.astimezone(UTC):%Y%m%d}", f"{until.astimezone(UTC):%Y%m%d}")
        for column, wanted in (("state", state), ("target", target)):
            if wanted is not None:
                conditions.append(f"{column} eq @{column}")
                parameters[column] = wanted
        return self._table.query(" and ".join(conditions), parameters, select=("PartitionKey", "RowKey", "at"))


def _days(first: str, last: str) -> dict[str, str]:
    return {"first": join_key(_REQUEST, first), "after": join_key(_REQUEST, last)}


def _partition(request_id: str) -> str:
    day, mark, _ = request_id.partition("T")
    if not (mark and len(day) == 8 and day.isascii() and day.isdigit()):
        raise InvalidQuestion(f"{request_id!r} is not the id of an approval: those start with YYYYMMDDT")
    return join_key(_REQUEST, day)


def _entity(request: ApprovalRequest) -> Entity:
    return Entity(
        partition=_partition(request.id),
        row=join_key(request.id),
        columns={**value_columns(APPROVAL_REQUEST.encode(request)), **_columns(request)},
    )


def _columns(request: ApprovalRequest) -> Mapping[str, Column]:
    return {"at": _time_text(request.decision.at), "state": request.state, "target": request.target_name}


def _row(entity: Entity) -> Row[ApprovalRequest]:
    try:
        return Row(APPROVAL_REQUEST.decode(value_text(entity)), entity.etag)
    except (CorruptRow, SchemaTooNew) as error:
        raise type(error)(f"row {entity.row} of {entity.partition} in {TABLE}: {error}") from error


def _time_text(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def _cursor(place: tuple[str, str, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode()


def _place(cursor: str) -> tuple[str, str, str]:
    try:
        at, partition, row = json.loads(base64.urlsafe_b64decode(cursor))
        datetime.fromisoformat(at)
        return str(at), str(partition), str(row)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise InvalidCursor(
            f"{cursor!r} is not a cursor of the approvals: give `next_cursor` of the page before"
        ) from error
