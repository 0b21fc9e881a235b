"""Work in flight is counted exactly: a virtual clock moves on it."""

import asyncio
import threading

import pytest

from local.activity import Activity, Signal
from local.clock import VirtualClock


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
async def activity(clock: VirtualClock) -> Activity:
    counted = Activity(clock)
    clock.add_busy_probe(counted.busy)
    counted.open()
    return counted


async def test_a_task_counts_while_it_runs_and_not_while_it_sleeps(clock: VirtualClock, activity: Activity) -> None:
    steps = []

    async def work() -> None:
        steps.append(clock.now())
        await activity.sleep(10)
        for _ in range(50):  # many turns of the loop without the clock
            await asyncio.sleep(0)
        steps.append(clock.now())

    start = clock.now()
    activity.spawn(work())
    assert activity.busy()
    await clock.settle()
    assert not activity.busy()
    await clock.advance(10)
    assert [(at - start).total_seconds() for at in steps] == [0, 10]
    assert not activity.busy()


async def test_a_signal_counts_from_the_moment_it_is_fired(activity: Activity) -> None:
    signal: Signal[str] = Signal(activity)
    waiting = asyncio.ensure_future(activity.uncounted(asyncio.sleep(0)))
    await waiting
    got = []

    async def wait() -> None:
        got.append(await signal.wait())

    activity.spawn(wait())
    await asyncio.sleep(0.01)
    assert not activity.busy()
    thread = threading.Thread(target=signal.fire, args=("first",))
    thread.start()
    thread.join()
    assert activity.busy()
    assert not signal.fire("second")
    await asyncio.sleep(0.01)
    assert got == ["first"]
    assert not activity.busy()


@pytest.mark.parametrize("fired", [True, False])
async def test_a_cancelled_or_discarded_wait_leaves_no_count_behind(activity: Activity, fired: bool) -> None:
    discarded: Signal[None] = Signal(activity)
    if fired:
        discarded.fire(None)
    discarded.discard()
    assert not discarded.fire(None)

    waited: Signal[None] = Signal(activity)

    async def wait() -> None:
        await waited.wait()

    activity.spawn(wait())
    await asyncio.sleep(0.01)
    if fired:
        waited.fire(None)
    await activity.close()
    assert not waited.fire(None)
    assert not activity.busy()


async def test_close_ends_sleepers_and_what_was_not_yet_started(clock: VirtualClock, activity: Activity) -> None:
    ran = []

    async def work(name: str) -> None:
        ran.append(name)

    activity.spawn_after(10, lambda: work("later"))
    await clock.settle()
    activity.spawn(work("at once"))
    await activity.close()
    await clock.advance(20)
    assert ran == []
    assert not activity.busy()
    with pytest.raises(RuntimeError, match="not started"):
        activity.spawn(work("closed"))


async def test_a_failing_task_is_reported_and_counted_out(activity: Activity) -> None:
    reported = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context["exception"]))

    async def fail() -> None:
        raise ValueError("broken")

    activity.spawn(fail())
    await asyncio.sleep(0.01)
    assert [str(error) for error in reported] == ["broken"]
    assert not activity.busy()
