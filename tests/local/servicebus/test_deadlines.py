"""One alarm for all deadlines of a queue: in order, at the instant, and without keeping what was cancelled."""

from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from local.clock import VirtualClock
from local.servicebus.deadlines import Deadlines


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 3 * 86_400), st.booleans()), max_size=30))
async def test_what_is_not_cancelled_falls_due_in_order_at_its_instant(plan: list[tuple[int, bool]]) -> None:
    clock = VirtualClock()
    start = clock.now()
    fell_due: list[tuple[datetime, int]] = []

    def on_alarm() -> None:
        while (subject := deadlines.pop_due()) is not None:
            fell_due.append((clock.now(), subject))

    deadlines: Deadlines[int] = Deadlines(clock, on_alarm)
    added = [deadlines.add(start + timedelta(seconds=delay_s), delay_s) for delay_s, _ in plan]
    for deadline, (_, keep) in zip(added, plan, strict=True):
        if not keep:
            deadlines.cancel(deadline)
    await clock.advance(4 * 86_400)
    expected = sorted(delay_s for delay_s, keep in plan if keep)
    assert fell_due == [(start + timedelta(seconds=delay_s), delay_s) for delay_s in expected]


def test_cancelled_deadlines_do_not_pile_up() -> None:
    """A queue with a time to live of days completes its messages in seconds."""
    clock = VirtualClock()
    deadlines: Deadlines[int] = Deadlines(clock, lambda: None)
    kept = [deadlines.add(clock.now() + timedelta(days=1), number) for number in range(10)]
    for number in range(10_000):
        deadlines.cancel(deadlines.add(clock.now() + timedelta(days=14), number))
    assert len(deadlines._heap) < 1000
    assert [deadline.subject for deadline in kept] == list(range(10))


def test_cancelling_twice_changes_nothing() -> None:
    clock = VirtualClock()
    deadlines: Deadlines[str] = Deadlines(clock, lambda: None)
    once = deadlines.add(clock.now(), "cancelled")
    deadlines.add(clock.now(), "due")
    deadlines.cancel(once)
    deadlines.cancel(once)
    assert deadlines.pop_due() == "due"
    assert deadlines.pop_due() is None
