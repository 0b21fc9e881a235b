"""The changes of the last hour, counted before they are sent: one list a budget, shared by all processes.

A place is taken by compare and swap before the request, so of two processes that race for the last one exactly one
gets it. It is given back only where it is known that nothing was sent: a crash in between counts.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from shared.records.codec import Codec
from shared.records.rows import Entity, value_text
from shared.records.swapping import swap

if TYPE_CHECKING:
    from shared.records.table import Table

PARTITION = "budget"
HOUR = timedelta(hours=1)

BudgetName = Literal["reductions", "growths"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change that was begun at `at`, or is about to be. `key` is its idempotency key; `workspace` a resource id."""

    key: str
    at: datetime
    target: str
    project: str
    workspace: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangesMade:
    """Those of one budget, oldest first."""

    changes: tuple[Change, ...] = ()

    def within_the_hour(self, now: datetime) -> tuple[Change, ...]:
        return tuple(change for change in self.changes if now - change.at < HOUR)


class BudgetStore:
    """Takes places in a budget and gives them back. `GateStore.load` reads them."""

    def __init__(self, table: "Table") -> None:
        self._table = table

    async def take[R](
        self, budget: BudgetName, change: Change, refuse: Callable[[Sequence[Change]], R | None]
    ) -> R | None:
        """Count `change` (at its time), unless `refuse` has something against it beside those of its hour: that.

        A change that is counted already is not counted again, and not refused.
        """
        refused: list[R | None] = [None]

        def with_it(old: ChangesMade | None) -> ChangesMade | None:
            made = (old or ChangesMade()).within_the_hour(change.at)
            refused[0] = None
            if any(one.key == change.key for one in made):
                return old
            refused[0] = refuse(made)
            return old if refused[0] is not None else ChangesMade(changes=(*made, change))

        await swap(self._table, PARTITION, budget, CODEC, with_it)
        return refused[0]

    async def give_back(self, budget: BudgetName, key: str) -> None:
        """Take a change out that was never sent; one that is not there is no error."""

        def without(old: ChangesMade | None) -> ChangesMade | None:
            return old and ChangesMade(changes=tuple(one for one in old.changes if one.key != key))

        await swap(self._table, PARTITION, budget, CODEC, without)


def read(entity: Entity) -> ChangesMade:
    return CODEC.decode(value_text(entity))


CODEC = Codec(ChangesMade)
