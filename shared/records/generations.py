"""Generations: how a process learns that what another one keeps, or it itself, is out of date.

Processes share no memory (in Azure the groups of functions run apart), so whatever is kept for longer than a few
seconds has a name here with a number. Whoever knows that it changed (an event, an operator, a caller whose secret was
refused) raises the number, and every cache looks at the numbers every few seconds, all of them in one query. A number
that moved, for whatever reason, means: forget what was loaded before.

Names: `secret:<vault>/<name>` for one secret, `cache:<name>` for a whole cache.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.records.codec import Codec
from shared.records.keys import decode_key, join_key
from shared.records.rows import value_text
from shared.records.swapping import swap

if TYPE_CHECKING:
    from shared.records.table import Table
    from shared.records.tables import Tables

log = logging.getLogger("watchkeeper")

TABLE = "WatchkeeperGenerations"
_PARTITION = "generation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """How often a name was raised; when, by whom and why the last time."""

    name: str
    number: int
    at: datetime
    why: str
    by: str = ""


class Generations:
    """Reads and raises the numbers."""

    def __init__(self, tables: "Tables") -> None:
        self._tables = tables

    async def load(self) -> Mapping[str, Generation]:
        """Every generation by its name: one query, read afresh."""
        rows = self._table.query("PartitionKey eq @partition", {"partition": _PARTITION})
        return {decode_key(row.row): _GENERATION.decode(value_text(row)) async for row in rows}

    async def bump(self, name: str, why: str, now: datetime, *, by: str = "") -> Generation:
        """Raise the number of a name; the generation that is now there.

        Two who raise it at the same time may raise it once: whoever looks afterwards sees that it moved.
        """

        def raised(old: Generation | None) -> Generation:
            return Generation(name=name, number=1 if old is None else old.number + 1, at=now, why=why, by=by)

        found = await swap(self._table, _PARTITION, join_key(name), _GENERATION, raised, again_if_lost=True)
        assert found is not None  # as `raised` says
        return found

    @property
    def _table(self) -> "Table":
        return self._tables.table(TABLE)


class GenerationWatch:
    """This process's look at the generations: at most every `every_s`, one query for all of its caches."""

    def __init__(self, generations: Generations, now: Callable[[], datetime], every_s: float) -> None:
        self.generations = generations
        self._now = now
        self._every = timedelta(seconds=every_s)
        self._droppers: list[tuple[str, Callable[[str], None]]] = []
        self._known: Mapping[str, Generation] | None = None
        self._checked_at: datetime | None = None
        self._failing = False
        self._one_at_a_time = asyncio.Lock()

    def on_change(self, prefix: str, drop: Callable[[str], None]) -> None:
        """`drop(name)` is called for every name that starts with `prefix` and whose generation moved."""
        self._droppers.append((prefix, drop))

    async def check(self, *, at_once: bool = False) -> None:
        """Drop what is out of date, if the last look is old enough, or `at_once`.

        Tables that cannot be read are no error: what is kept then lives no longer than its own bound, and the next
        look after that drops everything that moved meanwhile.
        """
        if not (at_once or self._is_due()):
            return
        async with self._one_at_a_time:
            if at_once or self._is_due():
                await self._look()

    async def bump(self, name: str, why: str, *, by: str = "") -> Generation:
        """Raise a name's number, and drop at once what this process keeps under it."""
        raised = await self.generations.bump(name, why, self._now(), by=by)
        await self.check(at_once=True)
        return raised

    async def tell_others(self, name: str, why: str) -> None:
        """Raise a name's number without dropping what this process keeps: it is new already."""
        async with self._one_at_a_time:
            raised = await self.generations.bump(name, why, self._now())
            if self._known is None:
                return
            before = self._known.get(name)
            if raised.number == (before.number if before else 0) + 1:  # else another raised it too
                self._known = {**self._known, name: raised}

    def _is_due(self) -> bool:
        if self._checked_at is None:
            return True
        age = self._now() - self._checked_at
        return age >= self._every or age < timedelta(0)  # a clock set back must not stop the looking

    async def _look(self) -> None:
        self._checked_at = self._now()
        try:
            found = await self.generations.load()
        except Exception as error:  # whatever it is: the caches have bounds of their own
            if not self._failing:
                log.warning("the generations of the caches cannot be read: %s: %s", type(error).__name__, error)
            self._failing = True
            return
        self._failing = False
        known, self._known = self._known, found
        if known is None:
            # What was loaded before the first look, while the tables were away, may be older than any of these.
            moved = set(found)
        else:
            moved = {name for name in {*found, *known} if not _is_same(found.get(name), known.get(name))}
        for name in sorted(moved):
            for prefix, drop in self._droppers:
                if name.startswith(prefix):
                    drop(name)


def _is_same(one: Generation | None, other: Generation | None) -> bool:
    """Whether nothing was raised between the two. The time tells too where the table was emptied in between."""
    return one is not None and other is not None and (one.number, one.at) == (other.number, other.at)


_GENERATION = Codec(Generation)
