"""Generations: whoever knows that something changed raises a number, and every process drops what it kept."""

import asyncio
from datetime import UTC, datetime

import pytest

from shared.records import Tables, open_tables
from shared.records.generations import Generations, GenerationWatch
from shared.records.keys import join_key
from tests.estate.azure import Ticking

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
EVERY_S = 5.0


class Process:
    """One process's watch, and what it was told to drop."""

    def __init__(self, tables: Tables, now: Ticking) -> None:
        self.watch = GenerationWatch(Generations(tables), now, EVERY_S)
        self.dropped: list[str] = []
        self.watch.on_change("secret:", self.dropped.append)


@pytest.fixture
def now() -> Ticking:
    return Ticking(NOW)


async def test_a_bump_reaches_the_others_at_their_next_look(tables: Tables, now: Ticking) -> None:
    here, there = Process(tables, now), Process(tables, now)
    await asyncio.gather(here.watch.check(), there.watch.check())
    raised = await here.watch.bump("secret:kv/key", "rotated", by="ada")
    assert (raised.number, raised.why, raised.by) == (1, "rotated", "ada")
    assert here.dropped == ["secret:kv/key"]
    await there.watch.check()
    assert there.dropped == []
    now.passes(EVERY_S)
    await there.watch.check()
    assert there.dropped == ["secret:kv/key"]
    now.passes(EVERY_S)
    await there.watch.check()
    assert there.dropped == ["secret:kv/key"], "once"


async def test_only_caches_of_that_name_drop(tables: Tables, now: Ticking) -> None:
    process = Process(tables, now)
    await process.watch.check()
    await process.watch.bump("cache:quota", "an operator's wish")
    assert process.dropped == []


async def test_what_the_others_are_told_is_new_here_already(tables: Tables, now: Ticking) -> None:
    here, there = Process(tables, now), Process(tables, now)
    await asyncio.gather(here.watch.check(), there.watch.check())
    await here.watch.tell_others("secret:kv/key", "found a new version")
    now.passes(EVERY_S)
    await asyncio.gather(here.watch.check(), there.watch.check())
    assert (here.dropped, there.dropped) == ([], ["secret:kv/key"])


async def test_two_at_the_same_time_are_not_hidden_from_either(tables: Tables, now: Ticking) -> None:
    here, there = Process(tables, now), Process(tables, now)
    await asyncio.gather(here.watch.check(), there.watch.check())
    await there.watch.bump("secret:kv/key", "rotated")
    await here.watch.tell_others("secret:kv/key", "found a new version")
    now.passes(EVERY_S)
    await here.watch.check()
    assert here.dropped == ["secret:kv/key"]


async def test_concurrent_bumps_never_lower_the_number(tables: Tables, now: Ticking) -> None:
    generations = Generations(tables)
    raised = await asyncio.gather(*(generations.bump("secret:kv/key", f"{n}", now()) for n in range(5)))
    (stored,) = (await generations.load()).values()
    assert stored.number == max(one.number for one in raised) == 5


async def test_one_look_for_all_who_ask_and_none_between(tables: Tables, now: Ticking) -> None:
    process = Process(tables, now)
    looks = 0
    load = process.watch.generations.load

    async def counted():  # type: ignore[no-untyped-def]
        nonlocal looks
        looks += 1
        return await load()

    process.watch.generations.load = counted  # type: ignore[method-assign]
    await asyncio.gather(*(process.watch.check() for _ in range(50)))
    assert looks == 1
    now.passes(EVERY_S - 0.1)
    await process.watch.check()
    assert looks == 1
    now.passes(-3600)
    await process.watch.check()
    assert looks == 2, "a clock set back does not stop the looking"


async def test_tables_that_are_away_cost_nothing_but_the_news(azurite: str, prefix: str, now: Ticking) -> None:
    async with open_tables({"AzureWebJobsStorage": azurite}, prefix=prefix) as tables:
        await Generations(tables).bump("secret:kv/key", "rotated", now())
        away = "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=YQ==;TableEndpoint=http://127.0.0.1:1/a;"
        async with open_tables({"AzureWebJobsStorage": away}, prefix=prefix) as lost:
            process = Process(lost, now)
            await process.watch.check()
        assert process.dropped == []
        process.watch.generations = Generations(tables)
        now.passes(EVERY_S)
        await process.watch.check()
        assert process.dropped == ["secret:kv/key"], "what was loaded meanwhile may be older than this"


async def test_a_table_that_was_emptied_hides_nothing(tables: Tables, now: Ticking) -> None:
    process = Process(tables, now)
    await process.watch.bump("secret:kv/key", "rotated")
    process.dropped.clear()
    await tables.table("WatchkeeperGenerations").delete("generation", join_key("secret:kv/key"))
    now.passes(1)
    await Generations(tables).bump("secret:kv/key", "rotated again", now())
    now.passes(EVERY_S)
    await process.watch.check()
    assert process.dropped == ["secret:kv/key"]
