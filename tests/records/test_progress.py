"""Turns of recurring work: one process at a time, whatever dies, and what it remembers."""

import asyncio
from datetime import timedelta

from shared.records import Tables
from shared.records.progress import Progress, ProgressStore
from tests.records.builders import NOW

HOUR = timedelta(hours=1)


def hourly(before: Progress | None) -> bool:
    return before is None or NOW - before.began_at >= HOUR


async def test_of_several_processes_one_gets_the_turn(tables: Tables) -> None:
    stores = [ProgressStore(tables) for _ in range(5)]
    turns = await asyncio.gather(*(store.take("archive", hourly, NOW) for store in stores))
    assert len([turn for turn in turns if turn]) == 1


async def test_the_next_turn_knows_what_the_last_one_left(tables: Tables) -> None:
    store = ProgressStore(tables)
    first = await store.take("archive", hourly, NOW)
    assert first is not None
    await store.end(first, "3 days", NOW, marks={"day": "20260104"})
    assert await store.take("archive", lambda before: before is None, NOW) is None
    second = await store.take("archive", lambda before: before is not None and not before.is_running, NOW)
    assert second is not None
    assert second.marks == {"day": "20260104"}


async def test_failures_in_a_row_are_counted_until_a_run_succeeds(tables: Tables) -> None:
    store = ProgressStore(tables)
    counts = []
    for failed in (True, True, False, True):
        turn = await store.take("archive", lambda _: True, NOW)
        assert turn is not None
        await store.end(turn, "no storage", NOW, failed=failed)
        counts.append((await store.all())["archive"].failures)
    assert counts == [1, 2, 0, 1]


async def test_whoever_was_taken_over_changes_nothing_any_more(tables: Tables) -> None:
    store = ProgressStore(tables)
    slow = await store.take("archive", hourly, NOW)
    heir = await store.take("archive", lambda before: before is not None and before.is_running, NOW + HOUR)
    assert slow is not None
    assert heir is not None
    await store.end(heir, "mine", NOW + HOUR)
    await store.end(slow, "too late", NOW + 2 * HOUR)
    assert (await store.all())["archive"].said == "mine"


async def test_a_sign_of_life_replaces_the_one_before(tables: Tables) -> None:
    store = ProgressStore(tables)
    await store.beat("sweep", "5 targets", NOW)
    await store.beat("sweep", "6 targets", NOW + HOUR)
    beat = (await store.all())["sweep"]
    assert (beat.began_at, beat.said) == (NOW + HOUR, "6 targets")
