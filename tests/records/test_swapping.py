"""The one way to change a row that several processes may change at once."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from shared.records import Conflict, CorruptRow, SchemaTooNew, Tables
from shared.records.codec import Codec
from shared.records.rows import Column, Entity, value_text
from shared.records.swapping import swap
from shared.records.table import Table


@dataclass(frozen=True, slots=True)
class Count:
    number: int


COUNT = Codec(Count)


def more(old: Count | None) -> Count:
    return Count(old.number + 1 if old else 1)


async def no_pause(_seconds: float) -> None:
    await asyncio.sleep(0)


@pytest.fixture
def table(tables: Tables) -> Table:
    return tables.table("Counts")


async def change(table: Table, **more_of_it: Any) -> Count | None:
    return await swap(table, "p", "r", COUNT, **{"change": more, "sleep": no_pause} | more_of_it)


async def stored(table: Table) -> Count | None:
    entity = await table.get("p", "r")
    return None if entity is None else COUNT.decode(value_text(entity))


async def test_no_change_of_many_at_once_is_lost(table: Table) -> None:
    await asyncio.gather(*(change(table) for _ in range(8)))
    assert await stored(table) == Count(8)


async def test_a_row_is_made_kept_as_it_is_and_removed(table: Table) -> None:
    assert await change(table, change=lambda old: old) is None
    assert await stored(table) is None
    assert await change(table) == Count(1)
    before = await table.get("p", "r")
    assert await change(table, change=lambda old: old) == Count(1)
    assert await table.get("p", "r") == before
    assert await change(table, change=lambda old: None) is None
    assert await stored(table) is None


async def test_what_a_row_is_found_by_is_that_of_its_new_value(table: Table) -> None:
    def columns(count: Count) -> Mapping[str, Column]:
        return {"number": count.number}

    for number in (1, 2):
        await change(table, columns=columns)
        entity = await table.get("p", "r")
        assert entity is not None
        assert entity.columns["number"] == number


async def test_whoever_is_always_overtaken_gives_up(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    async def overtaken(_entity: Entity) -> str:
        raise Conflict("another was first")

    monkeypatch.setattr(table, "insert", overtaken)
    with pytest.raises(Conflict, match="row r of p: others kept changing it"):
        await change(table)


@pytest.mark.parametrize(("text", "error"), [("?", CorruptRow), ('{"schema":2,"number":1}', SchemaTooNew)])
async def test_a_row_that_cannot_be_read_is_named_or_mended(table: Table, text: str, error: type[Exception]) -> None:
    broken = Entity(partition="p", row="r", columns={"schema": 1, "value": text})
    await table.put(broken)
    with pytest.raises(error, match="row r of p"):
        await change(table)
    assert await change(table, mend=True) == Count(1)
    assert await stored(table) == Count(1)
    await table.put(broken)
    assert await change(table, change=lambda _: None, mend=True) is None
    assert await table.get("p", "r") is None
