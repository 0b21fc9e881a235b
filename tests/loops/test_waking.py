"""Looks are shared: each signal gets a look that begins after it, and no target is looked at twice at once."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain import Order, Signal
from shared.loops.waking import LOOKS_AT_ONCE, Waker, Waking, Woken
from tests.records.builders import NOW


def waking(name: str, *endpoints: str) -> Waking:
    signal = Signal(id=name, source="test", kind="resource.written", at=NOW)
    return Waking(signal=signal, targets={"scaling": endpoints}, endpoints=frozenset(endpoints), known_to=("scaling",))


async def start(_orders: Sequence[Order]) -> None: ...


class Looks:
    """Each look waits to be let go on."""

    def __init__(self) -> None:
        self.begun: list[set[str]] = []
        self.running: list[frozenset[str]] = []
        self._gates: list[asyncio.Future[Exception | None]] = []
        self.overlapped = False

    async def __call__(self, wakings: Sequence[Waking]) -> tuple[Woken, Sequence[Order]]:
        endpoints = frozenset(endpoint for one in wakings for endpoint in one.endpoints)
        self.overlapped = self.overlapped or any(endpoints & other for other in self.running)
        self.begun.append({one.signal.id for one in wakings})
        self.running.append(endpoints)
        gate: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        self._gates.append(gate)
        error = await gate
        self.running.remove(endpoints)
        if error:
            raise error
        return Woken(dict.fromkeys(endpoints, 1)), []

    def end(self, number: int, error: Exception | None = None) -> None:
        self._gates[number].set_result(error)

    def end_all(self) -> None:
        for gate in self._gates:
            if not gate.done():
                gate.set_result(None)


async def turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_what_comes_during_a_look_shares_the_next_one() -> None:
    looks = Looks()
    waker = Waker(looks)
    first = asyncio.create_task(waker.wake(waking("s-0", "a"), start))
    await turns()
    rest = [asyncio.create_task(waker.wake(waking(f"s-{n}", "a"), start)) for n in range(1, 6)]
    await turns()
    assert looks.begun == [{"s-0"}]
    looks.end(0)
    await turns()
    assert looks.begun == [{"s-0"}, {"s-1", "s-2", "s-3", "s-4", "s-5"}]
    assert first.done()
    assert not any(task.done() for task in rest)
    looks.end(1)
    woken = await asyncio.gather(*rest)
    assert [one.decided_on(frozenset({"a"})) for one in woken] == [1] * 5


async def test_a_slow_look_keeps_no_other_target_waiting() -> None:
    looks = Looks()
    waker = Waker(looks)
    slow = asyncio.create_task(waker.wake(waking("slow", "a"), start))
    await turns()
    other = asyncio.create_task(waker.wake(waking("other", "b"), start))
    await turns()
    looks.end(1)
    await other
    assert not slow.done()
    looks.end(0)
    await slow


async def test_beyond_the_looks_at_once_everything_waits_for_one() -> None:
    looks = Looks()
    waker = Waker(looks)
    tasks = [asyncio.create_task(waker.wake(waking(f"s-{n}", f"e-{n}"), start)) for n in range(LOOKS_AT_ONCE)]
    await turns()
    tasks += [asyncio.create_task(waker.wake(waking(f"t-{n}", f"f-{n}"), start)) for n in range(9)]
    await turns()
    assert len(looks.begun) == LOOKS_AT_ONCE
    looks.end(0)
    await turns()
    assert looks.begun[LOOKS_AT_ONCE] == {f"t-{n}" for n in range(9)}
    looks.end_all()
    await asyncio.gather(*tasks)


async def test_a_look_that_fails_is_told_to_all_who_shared_it_and_to_nobody_else() -> None:
    looks = Looks()
    waker = Waker(looks)
    tasks = [asyncio.create_task(waker.wake(waking("s-0", "a"), start))]
    await turns()
    tasks += [asyncio.create_task(waker.wake(waking(f"s-{n}", "a"), start)) for n in (1, 2)]
    await turns()
    looks.end(0)
    await turns()
    looks.end(1, RuntimeError("no policy is in force"))
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(results[0], Woken)
    assert [str(result) for result in results[1:]] == ["no policy is in force"] * 2
    again = asyncio.create_task(waker.wake(waking("s-1", "a"), start))
    await turns()
    looks.end(2)
    assert isinstance(await again, Woken)


async def test_what_cannot_be_started_fails_the_look() -> None:
    looks = Looks()

    async def out_of_reach(_orders: Sequence[Order]) -> None:
        raise ConnectionError("Durable is out of reach")

    task = asyncio.create_task(Waker(looks).wake(waking("s", "a"), out_of_reach))
    await turns()
    looks.end(0)
    with pytest.raises(ConnectionError):
        await task


async def test_who_gives_up_keeps_nobody_else_from_hearing() -> None:
    looks = Looks()
    waker = Waker(looks)
    first = asyncio.create_task(waker.wake(waking("s-0", "a"), start))
    await turns()
    impatient = asyncio.create_task(waker.wake(waking("s-1", "a"), start))
    patient = asyncio.create_task(waker.wake(waking("s-2", "a"), start))
    await turns()
    looks.end(0)
    await turns()
    impatient.cancel()
    looks.end(1)
    assert isinstance(await patient, Woken)
    assert isinstance(await first, Woken)


async def test_nobody_to_wake_is_no_look() -> None:
    looks = Looks()
    assert await Waker(looks).wake(waking("s"), start) == Woken({})
    assert looks.begun == []


STEPS = st.lists(
    st.one_of(
        st.sets(st.sampled_from("abcdef"), min_size=1, max_size=3).map(tuple),
        st.integers(0, 30),
    ),
    max_size=25,
)


@given(steps=STEPS)
async def test_in_any_order_each_gets_a_look_that_began_after_it_and_no_two_overlap(
    steps: list[tuple[str, ...] | int],
) -> None:
    """A tuple: a signal about these endpoints comes in; a number: that look ends."""
    looks = Looks()
    waker = Waker(looks)
    tasks: dict[str, asyncio.Task[Woken]] = {}
    begun_before: dict[str, int] = {}
    ended: set[int] = set()
    for step in steps:
        if isinstance(step, tuple):
            name = f"s-{len(tasks)}"
            begun_before[name] = len(looks.begun)
            tasks[name] = asyncio.create_task(waker.wake(waking(name, *step), start))
        elif step < len(looks.begun) and step not in ended:
            ended.add(step)
            looks.end(step)
        await turns()
    for _ in range(len(tasks) + 1):
        looks.end_all()
        await turns()
    await asyncio.gather(*tasks.values())
    assert not looks.overlapped
    for name, before in begun_before.items():
        (number,) = (number for number, look in enumerate(looks.begun) if name in look)
        assert number >= before
