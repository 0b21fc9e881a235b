"""The virtual clock begins again: whoever slept is awake, and nothing of the time before goes off later."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from local.clock import VirtualClock

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


@pytest.mark.parametrize("begin", [NOON - timedelta(hours=3), NOON + timedelta(days=2)], ids=["earlier", "later"])
async def test_a_clock_that_begins_again_wakes_the_sleepers_and_forgets_the_alarms(begin: datetime) -> None:
    clock = VirtualClock(NOON)
    woken: list[datetime] = []
    cancelled = clock.call_at(NOON + timedelta(seconds=30), lambda: woken.append(clock.now()))
    cancelled.cancel()

    async def every_minute() -> None:
        while True:
            await clock.sleep(60)
            woken.append(clock.now())

    sleeper = asyncio.create_task(every_minute())
    await clock.advance(90)
    await clock.restart(begin)
    assert woken == [NOON + timedelta(seconds=60), begin]
    await clock.advance(119)
    assert woken[2:] == [begin + timedelta(seconds=60)]
    sleeper.cancel()
