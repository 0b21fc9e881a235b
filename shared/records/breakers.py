"""Circuit breakers by scope: what failed, what was changed back and forth, and whether changes are stopped for it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from shared.domain import Act
from shared.records.codec import Codec
from shared.records.errors import Conflict
from shared.records.keys import join_key
from shared.records.rows import Column, Entity, value_text
from shared.records.swapping import swap

if TYPE_CHECKING:
    from shared.records.table import Table

PARTITION = "breaker"
KEPT = timedelta(days=31)
"""No window of the policy is longer, and an end that is told later is no news."""

_NEVER = datetime.min.replace(tzinfo=UTC)

BreakerCause = Literal["", "failures", "reversals"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """The end of one change: its idempotency key, when, its kind and, of a failure, its code."""

    key: str
    at: datetime
    act: Act
    code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """The breaker of `scope`: open since `opened_at`, None while it is closed.

    `failures` and `changes` (those that succeeded; of a target only) are the ends that count, oldest first; none from
    before `reset_at` does. `opened_by` is the key of the change whose end opened it, `why` says it in words. `trial` is
    the key of the one change that is let through after the cool-down, since `trial_at`; "" if there is none.
    """

    scope: str
    failures: tuple[Mark, ...] = ()
    changes: tuple[Mark, ...] = ()
    opened_at: datetime | None = None
    opened_by: str = ""
    cause: BreakerCause = ""
    why: str = ""
    trial: str = ""
    trial_at: datetime | None = None
    reset_at: datetime | None = None


class BreakerStore:
    """Changes breakers. `GateStore.load` reads them; what a change means is in `shared/safety/breaker.py`."""

    def __init__(self, table: "Table") -> None:
        self._table = table

    async def change(self, scope: str, new: Callable[[Breaker | None], Breaker | None]) -> Breaker | None:
        """What the breaker is after `new` of what it was, by compare and swap."""
        return await swap(self._table, PARTITION, join_key(scope), CODEC, new, columns=_found_by)

    async def prune(self, now: datetime) -> int:
        """Remove those that are closed and that nothing counts for any more; how many were removed."""
        removed = 0
        where = "PartitionKey eq @partition and state eq @closed"
        async for entity in self._table.query(where, {"partition": PARTITION, "closed": "closed"}):
            one = read(entity)
            times = [*(mark.at for mark in (*one.failures, *one.changes)), one.reset_at or _NEVER]
            if now - max(times) >= KEPT:
                await self._remove(entity)
                removed += 1
        return removed

    async def _remove(self, entity: Entity) -> None:
        try:
            await self._table.delete(entity.partition, entity.row, entity.etag)
        except Conflict:
            return  # it counts something again


def _found_by(breaker: Breaker) -> Mapping[str, Column]:
    return {"state": "closed" if breaker.opened_at is None else "open"}


def read(entity: Entity) -> Breaker:
    return CODEC.decode(value_text(entity))


CODEC = Codec(Breaker)
