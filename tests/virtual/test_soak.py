"""A long day, in short: what is held stays flat, tables and histories stay bounded, nothing unexpected is logged.

`make torture` lives through all of it.
"""

import os
import random
import time
from typing import Any

import pytest

from shared.estate.reader import EstateReader
from tests.virtual.arena import QUICK
from tests.virtual.conftest import VIRTUAL, OpenArena
from tests.virtual.soak.bounds import GROWS_AT_MOST, error_log, excess, held
from tests.virtual.soak.day import Day, load, policy

pytestmark = VIRTUAL

WHOLE_DAY = os.environ.get("WATCHKEEPER_TORTURE", "") == "1"


async def soak(open_arena: OpenArena, hours: float, seed: int) -> list[str]:
    """Everything that is wrong after so many hours."""
    began = time.process_time()
    with error_log() as errors:
        async with open_arena(shape=QUICK) as arena:
            arena.set_policy(policy(arena.clock.now()))
            arena.world.play(load(hours, seed))
            day, at_first = Day(arena, random.Random(seed)), 0
            slots = round(hours * 6)
            for number in range(slots):
                await day.slot()
                if number == slots // 4:
                    at_first = held(arena)
            arena.world.cloud.faults.clear()
            await arena.pass_time(1800)
            at_last = held(arena)
            wrong = await excess(arena, day)
            if at_last > at_first * (1 + GROWS_AT_MOST):
                wrong.append(f"the services hold {at_last} objects, {at_first} at first")
            wrong += [f"chore {failed}" for failed in day.failed_chores]
            patches = len(arena.patches())
            wrong += [] if patches else ["nothing was ever changed"]
    print(
        f"\n{hours:g} hours: {dict(day.happened)}, {day.signals} signals, {patches} changes, "
        f"objects held {at_first} -> {at_last}, {time.process_time() - began:.0f} CPU s"
    )
    return wrong + [f"logged: {error}" for error in errors]


async def test_two_hours(open_arena: OpenArena) -> None:
    assert "\n".join(await soak(open_arena, 2, seed=1)) == ""


async def test_a_planted_leak_is_seen(open_arena: OpenArena, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache that nobody empties."""
    read = EstateReader._read_views

    async def hoards(reader: EstateReader, ids: Any) -> Any:
        hoard: Any = reader._views
        hoard |= {f"{len(hoard)}-{number}": [number] for number in range(30)}
        return await read(reader, ids)

    monkeypatch.setattr(EstateReader, "_read_views", hoards)
    assert "the services hold" in "\n".join(await soak(open_arena, 0.5, seed=3))


@pytest.mark.skipif(not WHOLE_DAY, reason="a whole day takes minutes: `make torture`")
async def test_a_day(open_arena: OpenArena) -> None:
    assert "\n".join(await soak(open_arena, 24, seed=2)) == ""
