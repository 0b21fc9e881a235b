"""What people must hear, kept until they have: notices, their deliveries, and the state of each channel.

One partition. Rows: `n,<id>` the notice and how it ended, `o,<id>` a mark while it has not ended, `d,<id>,<channel>,
<recipient>` a delivery, `w,<channel>,<id>,<recipient>` a mark while that waits, `c,<channel>` a channel's state. Marks
make the work of a run two short queries however much was told before. They are removed after the row that they mark
was written, so a crash leaves a mark too many, never one too few.

Ids start with the day, so that days are ranges of rows and old ones can be removed.
"""

import heapq
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from shared.domain import ChannelState, Delivery, Notice, NoticeKind, NoticeState
from shared.records.codec import CHANNEL_STATE, DELIVERY, Codec
from shared.records.errors import Conflict, CorruptRow, InvalidCursor, InvalidQuestion, SchemaTooNew
from shared.records.keys import encode_key, join_key, prefix_range, split_key
from shared.records.rows import Column, Entity, value_columns, value_text
from shared.records.state import Row

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from shared.records.table import Table
    from shared.records.tables import Tables

TABLE = "WatchkeeperNotices"
KEPT_DAYS = 30
"""For this long a repetition of a notice is known to be one."""

_PARTITION = "notices"
_ID = re.compile(r"\d{8}T\S{1,200}")
_DAYS_BEFORE = 2
_MAX_LIMIT = 500
_ROWS_TOGETHER = 100  # of one transaction, as Azure Tables allow
_PRUNED_AT_ONCE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """A notice in the outbox. `members` are the notices that a digest tells; `ended_at` None while it is open."""

    notice: Notice
    state: NoticeState = "open"
    members: tuple[str, ...] = ()
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be done: notices that have not ended, and what waits by channel as (notice id, recipient)."""

    open: tuple[str, ...]
    waiting: Mapping[str, Sequence[tuple[str, str]]]


@dataclass(frozen=True, slots=True)
class NoticePage:
    """Notices, newest first, and what to ask the next page with: None if this is the last."""

    notices: tuple[Posted, ...]
    next_cursor: str | None


POSTED = Codec(Posted)


class Outbox:
    """Keeps notices until they are told."""

    def __init__(self, tables: "Tables") -> None:
        self._tables = tables

    async def put(self, notice: Notice, *, members: Sequence[str] = (), deliveries: Sequence[Delivery] = ()) -> bool:
        """Leave a notice to be told; whether it is new. A repetition (the same id) changes nothing.

        Without `deliveries` the policy says later who hears of it; a digest or a test names its own.

        Raises:
            InvalidQuestion: the id does not start with a UTC day and "T", or has blanks. The day is that of the
                notice's time, or, where what it tells of began before midnight, one or two before.
            NotStorable: something in it could not be read back.
        """
        day = notice.at.astimezone(UTC)
        days = {f"{day - timedelta(days=before):%Y%m%d}" for before in range(_DAYS_BEFORE + 1)}
        if not _ID.fullmatch(notice.id) or notice.id[:8] not in days:
            raise InvalidQuestion(f"notice id {notice.id!r}: it must start with {day:%Y%m%d}T, the UTC day of its time")
        posted = Posted(notice=notice, members=tuple(members))
        rows = [_posted_row(posted), _mark("o", notice.id), *_delivery_rows(deliveries)]
        try:
            await self._table.write_together(rows)
        except Conflict:
            return False
        return True

    async def get(self, notice_id: str) -> Row[Posted] | None:
        return await self._get(POSTED, "n", notice_id)

    async def deliveries(self, notice_id: str) -> tuple[Row[Delivery], ...]:
        """Every delivery of a notice; none until it has been decided who hears of it."""
        first, after = prefix_range(join_key("d", notice_id, ""))
        return tuple([_row(DELIVERY, entity) async for entity in self._range(first, after)])

    async def get_delivery(self, notice_id: str, channel: str, recipient: str) -> Row[Delivery] | None:
        return await self._get(DELIVERY, "d", notice_id, channel, recipient)

    async def work(self) -> Work:
        """All that has not ended."""
        is_open = [split_key(row)[1] async for row in self._marks("o")]
        waiting: dict[str, list[tuple[str, str]]] = defaultdict(list)
        async for row in self._marks("w"):
            _, channel, notice_id, recipient = split_key(row)
            waiting[channel].append((notice_id, recipient))
        return Work(tuple(is_open), dict(waiting))

    async def add_deliveries(self, deliveries: Sequence[Delivery]) -> None:
        """Let these wait to be sent. Raises Conflict where another process was first."""
        rows = _delivery_rows(deliveries)
        for start in range(0, len(rows), _ROWS_TOGETHER):
            await self._table.write_together(rows[start : start + _ROWS_TOGETHER])

    async def put_delivery(self, row: Row[Delivery], new: Delivery) -> Row[Delivery]:
        """Replace what was read; once it is over, its mark goes. Raises Conflict, AnswerLost."""
        entity = _entity(DELIVERY.encode(new), "d", new.notice, new.channel, new.recipient)
        etag = await self._table.replace(entity, row.etag)
        if new.is_over:
            await self.unmark_waiting(new.notice, new.channel, new.recipient)
        return Row(new, etag)

    async def unmark_waiting(self, notice_id: str, channel: str, recipient: str) -> None:
        await self._table.delete(_PARTITION, join_key("w", channel, notice_id, recipient))

    async def end(self, row: Row[Posted], state: NoticeState, now: datetime) -> Row[Posted]:
        """The notice is told, or never will be. Raises Conflict, AnswerLost."""
        ended = replace(row.value, state=state, ended_at=now)
        etag = await self._table.replace(_posted_row(ended), row.etag)
        await self.unmark_open(ended.notice.id)
        return Row(ended, etag)

    async def unmark_open(self, notice_id: str) -> None:
        await self._table.delete(_PARTITION, join_key("o", notice_id))

    async def reopen(self, row: Row[Posted], failed: Sequence[Row[Delivery]], now: datetime) -> None:
        """Try again what failed; without such, decide anew who hears of it. Raises Conflict."""
        notice_id = row.value.notice.id
        await self._table.put(_mark("o", notice_id))
        await self._table.replace(_posted_row(replace(row.value, state="open", ended_at=None)), row.etag)
        for delivery in failed:
            again = replace(
                delivery.value,
                state="waiting",
                ended_at=None,
                operation="",
                next_at=now,
                gives_up_at=now + (delivery.value.gives_up_at - delivery.value.created_at),
                created_at=now,
            )
            await self._table.put(_mark("w", again.channel, notice_id, again.recipient))
            await self.put_delivery(delivery, again)

    # ---- channels

    async def channel(self, name: str) -> Row[ChannelState] | None:
        return await self._get(CHANNEL_STATE, "c", name)

    async def channels(self) -> tuple[ChannelState, ...]:
        first, after = prefix_range(join_key("c", ""))
        return tuple([_row(CHANNEL_STATE, entity).value async for entity in self._range(first, after)])

    async def put_channel(self, row: Row[ChannelState] | None, new: ChannelState) -> Row[ChannelState]:
        """Compare and swap. Raises Conflict, AnswerLost."""
        entity = _entity(CHANNEL_STATE.encode(new), "c", new.name)
        if row is None:
            return Row(new, await self._table.insert(entity))
        return Row(new, await self._table.replace(entity, row.etag))

    # ---- to look at

    async def query(
        self,
        *,
        since: datetime,
        until: datetime,
        state: NoticeState | None = None,
        kind: NoticeKind | None = None,
        target: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> NoticePage:
        """Notices with since <= at < until, newest first, `limit` (1 to 500) at a time.

        `cursor` is the page before's `next_cursor`, with everything else the same.

        Raises:
            InvalidQuestion: times without zone or in the wrong order, a limit out of range.
            InvalidCursor: not a cursor of the outbox.
        """
        if since.tzinfo is None or until.tzinfo is None or since >= until:
            raise InvalidQuestion("since and until need a time zone, and until must be later")
        if not 1 <= limit <= _MAX_LIMIT:
            raise InvalidQuestion(f"limit {limit}: give 1 to {_MAX_LIMIT}")
        before = None if cursor is None else _place(cursor)
        where, parameters = _conditions(since, until, state, kind, target)
        newest: list[tuple[str, str]] = []
        async for entity in self._table.query(where, parameters, select=("PartitionKey", "RowKey", "at")):
            place = (str(entity.columns["at"]), entity.row)
            if before is None or place < before:
                heapq.heappush(newest, place)
            if len(newest) > limit + 1:
                heapq.heappop(newest)
        places = sorted(newest, reverse=True)
        found = [await self.get(split_key(row)[1]) for _, row in places[:limit]]
        last = places[limit - 1] if len(places) > limit else None
        return NoticePage(tuple(row.value for row in found if row), None if last is None else "|".join(last))

    async def prune(self, now: datetime) -> int:
        """Remove what ended more than `KEPT_DAYS` days ago, a thousand rows at a time; how many were removed."""
        oldest = f"{now.astimezone(UTC).date() - timedelta(days=KEPT_DAYS):%Y%m%d}"
        is_open = {split_key(row)[1] async for row in self._marks("o")}
        removed = 0
        for kind in ("d", "n"):
            async for entity in self._range(join_key(kind, ""), join_key(kind, oldest)):
                if split_key(entity.row)[1] in is_open:
                    continue
                await self._table.delete(entity.partition, entity.row)
                removed += 1
                if removed >= _PRUNED_AT_ONCE:
                    return removed
        return removed

    @property
    def _table(self) -> "Table":
        return self._tables.table(TABLE)

    async def _get[T: DataclassInstance](self, codec: Codec[T], *row: str) -> Row[T] | None:
        entity = await self._table.get(_PARTITION, join_key(*row))
        return None if entity is None else _row(codec, entity)

    async def _marks(self, kind: str) -> AsyncIterator[str]:
        first, after = prefix_range(join_key(kind, ""))
        async for entity in self._range(first, after, select=("PartitionKey", "RowKey")):
            yield entity.row

    def _range(self, first: str, after: str, select: Sequence[str] | None = None) -> AsyncIterator[Entity]:
        where = "PartitionKey eq @partition and RowKey ge @first and RowKey lt @after"
        return self._table.query(where, {"partition": _PARTITION, "first": first, "after": after}, select=select)


def _posted_row(posted: Posted) -> Entity:
    notice = posted.notice
    columns: dict[str, Column] = {
        "at": _time_text(notice.at),
        "state": posted.state,
        "kind": notice.kind,
        "target": notice.target,
    }
    return Entity(
        partition=_PARTITION,
        row=join_key("n", notice.id),
        columns={**value_columns(POSTED.encode(posted)), **columns},
    )


def _delivery_rows(deliveries: Sequence[Delivery]) -> list[Entity]:
    return [
        entity
        for one in deliveries
        for entity in (
            _entity(DELIVERY.encode(one), "d", one.notice, one.channel, one.recipient),
            _mark("w", one.channel, one.notice, one.recipient),
        )
    ]


def _entity(text: str, *row: str) -> Entity:
    return Entity(partition=_PARTITION, row=join_key(*row), columns=value_columns(text))


def _mark(*row: str) -> Entity:
    return _entity("", *row)


def _conditions(
    since: datetime, until: datetime, state: str | None, kind: str | None, target: str | None
) -> tuple[str, dict[str, str]]:
    last_day = until.astimezone(UTC).date()
    parameters = {
        "partition": _PARTITION,
        "first": join_key("n", f"{since.astimezone(UTC) - timedelta(days=_DAYS_BEFORE):%Y%m%d}"),
        "after": prefix_range(join_key("n", f"{last_day:%Y%m%d}"))[1],
        "since": _time_text(since),
        "until": _time_text(until),
    }
    conditions = ["PartitionKey eq @partition", "RowKey ge @first", "RowKey lt @after"]
    conditions += ["at ge @since", "at lt @until"]
    for column, wanted in (("state", state), ("kind", kind), ("target", target)):
        if wanted is not None:
            conditions.append(f"{column} eq @{column}")
            parameters[column] = wanted
    return " and ".join(conditions), parameters


def _place(cursor: str) -> tuple[str, str]:
    at, _, row = cursor.partition("|")
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", at) or not row.startswith(encode_key("n")):
        raise InvalidCursor(f"{cursor!r} is not a cursor of the notices: give `next_cursor` of the page before")
    return at, row


def _time_text(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def _row[T: DataclassInstance](codec: Codec[T], entity: Entity) -> Row[T]:
    try:
        return Row(codec.decode(value_text(entity)), entity.etag)
    except (CorruptRow, SchemaTooNew) as error:
        raise type(error)(f"row {entity.row} in {TABLE}: {error}") from error
