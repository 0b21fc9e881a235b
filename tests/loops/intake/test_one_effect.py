"""One effect for each signal, whoever dies where, however often it comes and to how many at once.

The loops are played: what counts here is whom they were woken for, and how often.
"""

import asyncio
import random
from collections import Counter
from datetime import timedelta

import pytest

from shared.loops.intake import StillBusy
from shared.records import Ledger, Tables
from shared.records.claims import LEASE, Claims
from tests.loops.intake.builders import (
    NOW,
    QUEUE,
    Clock,
    Loops,
    Process,
    became,
    body,
    event,
    recorded,
    resource,
    start,
)
from tests.loops.mortal_tables import Life


async def steps_of_a_life(process: Process) -> int:
    life = Life()
    await process(Loops(life), life).take(body(event("probe", 77)), QUEUE, start)
    return life.steps


@pytest.mark.parametrize("afterwards", ["redelivery", "upkeep"])
async def test_killed_between_any_two_steps_it_has_one_effect(
    tables: Tables, process: Process, clock: Clock, afterwards: str
) -> None:
    """Before and after each request of the tables and the look: the process stops there; then the message comes again
    to another one, or nobody sends it again and the upkeep finds what the claim holds.
    """
    steps = await steps_of_a_life(process)
    assert steps >= 9, "claim, a look at the ledger, its write, the loops, done"
    for dies_at in range(1, steps + 1):
        signal = event(dies_at, dies_at)
        life = Life(dies_at)
        first = asyncio.create_task(process(Loops(life), life).take(body(signal), QUEUE, start))
        await life.died.wait()
        clock.now += LEASE + timedelta(seconds=1)
        loops = Loops()
        if afterwards == "redelivery":
            (item,) = await process(loops).take(body(signal), QUEUE, start)
            assert item.became == ("signal" if loops.looks else "duplicate")
        else:
            await process(loops).finish_left(start)
        was_claimed = afterwards == "redelivery" or dies_at > 1
        entries = [entry for entry in await recorded(tables) if entry.endpoint_key == resource(dies_at)]
        assert len(entries) == was_claimed, dies_at
        assert loops.woken_for(signal["id"]) == (was_claimed and dies_at < steps), dies_at
        assert became(await process(Loops()).take(body(signal), QUEUE, start)) == (
            ["duplicate"] if was_claimed else ["signal"]
        )
        first.cancel()
    assert [row async for row in Claims(tables).left(clock.now + LEASE)] == []


async def test_two_processes_that_get_the_same_at_once(tables: Tables, process: Process) -> None:
    one, other = Loops(look_s=0.05), Loops(look_s=0.05)

    async def patient(_seconds: float) -> None:
        await asyncio.sleep(0.05)

    intakes = [process(one, sleep=patient), process(other, sleep=patient)]
    results = await asyncio.gather(*(intakes[n % 2].take(body(event()), QUEUE, start) for n in range(10)))
    assert Counter(item.became for items in results for item in items) == {"signal": 1, "duplicate": 9}
    assert len(await recorded(tables)) == 1
    assert one.woken_for("e-1") + other.woken_for("e-1") == 1


async def test_who_meets_a_live_claim_leaves_the_message_for_later(process: Process, clock: Clock) -> None:
    """It must not be acknowledged: whoever is at it may yet die, and this message may be the last."""
    life = Life(5)
    first = asyncio.create_task(process(Loops(life), life).take(body(event()), QUEUE, start))
    await life.died.wait()
    loops = Loops()
    intake = process(loops)
    with pytest.raises(StillBusy, match="deliver it again"):
        await intake.take(body(event()), QUEUE, start)
    assert loops.looks == []
    clock.now += LEASE
    assert became(await intake.take(body(event()), QUEUE, start)) == ["signal"]
    first.cancel()


async def test_across_midnight_and_for_a_day_a_repetition_is_one(
    tables: Tables, process: Process, clock: Clock
) -> None:
    clock.now = NOW.replace(hour=23, minute=59, second=59)
    await process(Loops()).take(body(event()), QUEUE, start)
    for later in (timedelta(seconds=2), timedelta(hours=1), timedelta(hours=24)):
        clock.now += later
        await process(Loops()).forget_old()
        assert became(await process(Loops()).take(body(event()), QUEUE, start)) == ["duplicate"]
    assert len(await recorded(tables)) == 1


async def test_a_repetition_costs_little(process: Process) -> None:
    life = Life()
    intake = process(Loops(life), life)
    await intake.take(body(event(0)), QUEUE, start)
    life.requests = 0
    await intake.take(body(event(1)), QUEUE, start)
    assert life.requests == 3, "claim, entry, done"
    life.requests = 0
    await intake.take(body(event(1)), QUEUE, start)
    assert life.requests == 0, "this process knows"
    other = Life()
    await process(Loops(other), other).take(body(event(1)), QUEUE, start)
    assert other.requests <= 2


async def test_a_storm_is_recorded_once_each_and_looked_at_together(tables: Tables, process: Process) -> None:
    """200 signals with 30 % duplicates over 10 endpoints, shuffled, to two processes in small deliveries."""
    distinct = [event(number, number % 10) for number in range(140)]
    sent = distinct + random.Random(4).sample(distinct, 60)
    random.Random(5).shuffle(sent)
    loops = [Loops(look_s=0.2), Loops(look_s=0.2)]

    async def patient(_seconds: float) -> None:
        await asyncio.sleep(0.05)

    intakes = [process(each, sleep=patient) for each in loops]
    slots = asyncio.Semaphore(64)

    async def deliver(number: int) -> list[str]:
        async with slots:
            some = sent[4 * number : 4 * number + 4]
            return became(await intakes[number % 2].take(body(*some), QUEUE, start))

    told = await asyncio.gather(*(deliver(number) for number in range(len(sent) // 4)))
    assert Counter(word for words in told for word in words) == {"signal": 140, "duplicate": 60}
    entries = await recorded(tables)
    assert len(entries) == len({entry.id for entry in entries}) == 140
    looks = loops[0].looks + loops[1].looks
    assert Counter(signal for look in looks for signal in look) == {one["id"]: 1 for one in distinct}
    assert len(looks) <= 70, "on average at least two signals a look"
    ledger = Ledger(tables)
    for number in range(10):
        assert await ledger.verify(NOW.date(), resource(number)) == []
