"""Change one row of a table by compare and swap, however many processes want to."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from shared.records.codec import Codec
from shared.records.errors import AnswerLost, Conflict, CorruptRow, SchemaTooNew
from shared.records.rows import Column, Entity, value_columns, value_text

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from shared.records.table import Table

_ATTEMPTS = 50
_BACKOFF_S, _BACKOFF_MAX_S = 0.01, 0.5


async def swap[T: DataclassInstance](
    table: "Table",
    partition: str,
    row: str,
    codec: Codec[T],
    change: Callable[[T | None], T | None],
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    columns: Callable[[T], Mapping[str, Column]] = lambda _: {},
    again_if_lost: bool = False,
    mend: bool = False,
) -> T | None:
    """What the row holds after `change` of what it held: None is no row. Without a difference nothing is written.

    `change` is asked anew whenever another writer was first, so it must not remember what it answered before. `columns`
    are those by which queries find the row, beside its value. `again_if_lost`: it may be done twice, so an answer that
    was lost is no error. `mend`: a row that cannot be read counts as none, and is written over or removed.

    Raises:
        Conflict: fifty tries in a row were overtaken.
        AnswerLost: no telling whether the change arrived: repeat it, `change` must see what is there.
        CorruptRow, SchemaTooNew: the row cannot be read; the message names it.
    """
    for attempt in range(_ATTEMPTS):
        if attempt:
            await sleep(random.random() * min(_BACKOFF_MAX_S, _BACKOFF_S * 2.0**attempt))  # noqa: S311
        before = await table.get(partition, row)
        old, is_broken = None, False
        try:
            old = None if before is None else codec.decode(value_text(before))
        except (CorruptRow, SchemaTooNew) as error:
            if not mend:
                raise type(error)(f"row {row} of {partition}: {error}") from error
            is_broken = True
        new = change(old)
        if new == old and not is_broken:
            return old
        try:
            found_by = {} if new is None else columns(new)
            await _write(table, partition, row, None if new is None else codec.encode(new), found_by, before)
        except Conflict:
            continue
        except AnswerLost:
            if not again_if_lost:
                raise
            continue
        return new
    raise Conflict(f"row {row} of {partition}: others kept changing it, {_ATTEMPTS} times; look at it and repeat")


async def _write(
    table: "Table", partition: str, row: str, text: str | None, found_by: Mapping[str, Column], before: Entity | None
) -> None:
    if text is None:
        if before is not None:
            await table.delete(partition, row, before.etag)
        return
    entity = Entity(partition=partition, row=row, columns={**value_columns(text), **found_by})
    if before is None:
        await table.insert(entity)
    else:
        await table.replace(entity, before.etag)
