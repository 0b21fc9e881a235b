"""Tables of a process that stops for good before or after any of its requests, as one that is killed does."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

from shared.records import Tables
from shared.records.table import Table

_REQUESTS = ("get", "insert", "replace", "put", "delete", "write_together", "delete_together")


class Life:
    """Counts the steps of a process; at step `dies_at` it stands still for ever, and `died` is set."""

    def __init__(self, dies_at: int = 0) -> None:
        self.steps = 0
        self.requests = 0
        self.died = asyncio.Event()
        self._dies_at = dies_at

    async def step(self) -> None:
        self.steps += 1
        if self.steps == self._dies_at:
            self.died.set()
        if self.died.is_set():
            await asyncio.Event().wait()


class MortalTables:
    """Give it where `Tables` is wanted."""

    def __init__(self, tables: Tables, life: Life) -> None:
        self._tables, self._life = tables, life

    def table(self, name: str) -> Table:
        return cast("Table", _MortalTable(self._tables.table(name), self._life))


class _MortalTable:
    def __init__(self, table: Table, life: Life) -> None:
        self._table, self._life = table, life

    def __getattr__(self, name: str) -> Any:
        inner = getattr(self._table, name)
        if name not in _REQUESTS:
            return inner

        async def request(*args: Any, **kwargs: Any) -> Any:
            await self._life.step()
            self._life.requests += 1
            result = await inner(*args, **kwargs)
            await self._life.step()
            return result

        return request

    async def query(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        await self._life.step()
        self._life.requests += 1
        async for row in self._table.query(*args, **kwargs):
            yield row
