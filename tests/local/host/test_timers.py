"""Timers, in virtual time."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from local.clock import VirtualClock
from local.host.errors import HostStartError
from local.host.listeners import cancel
from local.host.protos import plain
from local.host.runtime import Runtime, TriggerData
from local.host.schedules import parse_schedule
from local.host.timers import StatusFile, TimerListener
from local.host.worker import RetryPolicy
from tests.local.host.rule import rule
from tests.local.host.stubs import Behaviour, RecordingRuntime, fail, function, succeed

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOURLY = "0 0 * * * *"


class Timer:
    """A timer function on a virtual clock; `restart` plays a host that was down."""

    def __init__(self, clock: VirtualClock, path: Path | None) -> None:
        self.clock = clock
        self.path = path
        self.runtime = RecordingRuntime()
        self.fired_at: list[datetime] = []
        self._task: asyncio.Task[None] | None = None

    async def start(
        self, schedule: str = HOURLY, behaviour: Behaviour = succeed, retry: RetryPolicy | None = None, **trigger: Any
    ) -> None:
        async def noted(data: TriggerData) -> None:
            self.fired_at.append(self.clock.now())
            await behaviour(data)

        self.runtime.behaviour = noted
        listener = TimerListener(
            function("timerTrigger", schedule=schedule, **trigger),
            parse_schedule(schedule),
            cast("Runtime", self.runtime),
            self.clock,
            StatusFile(self.path),
            retry,
        )
        self._task = asyncio.create_task(listener.listen(lambda: None))
        await self.clock.settle()

    async def stop(self) -> None:
        if self._task is not None:
            await cancel([self._task])

    @property
    def infos(self) -> list[dict[str, Any]]:
        return [json.loads(plain(call.data)) for call in self.runtime.calls]


@pytest.fixture
async def timer(tmp_path: Path) -> AsyncIterator[Timer]:
    made = Timer(VirtualClock(NOON), tmp_path / "timers.json")
    yield made
    await made.stop()


def at(*hours: float) -> list[datetime]:
    return [NOON + timedelta(hours=one) for one in hours]


@rule("timer.schedule")
@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("30 15 * * * *", "2026-03-02 12:15:30"),
        ("*/20 * * * * *", "2026-03-02 12:00:20"),
        ("15 * * * *", "2026-03-02 12:15:00"),
        ("0 0 9 * * Mon-Fri", "2026-03-03 09:00:00"),
        ("0 0 0 13 * 5", "2026-03-13 00:00:00"),
        ("0 0 0 31 * 5", "2026-07-31 00:00:00"),
        ("0 0 0 * Jan,Jun 0", "2026-06-07 00:00:00"),
        ("0 0 0 * * 7", "2026-03-08 00:00:00"),
        ("01:30:00", "2026-03-02 13:30:00"),
        ("1.00:00:00", "2026-03-03 12:00:00"),
    ],
)
def test_schedules(schedule: str, expected: str) -> None:
    """Every field must match: `0 0 0 31 * 5` is a 31st that is a Friday, where cron would take either."""
    assert parse_schedule(schedule).after(NOON) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@pytest.mark.parametrize("schedule", ["", "hourly", "0 0 * * * * *", "61 * * * * *", "24:00:00", "00:00:00", "* * *"])
def test_bad_schedules(schedule: str) -> None:
    with pytest.raises(ValueError, match="NCRONTAB"):
        parse_schedule(schedule)


async def test_it_fires_on_schedule_with_its_status(timer: Timer) -> None:
    await timer.start()
    await timer.clock.advance(2.5 * 3600)
    assert timer.fired_at == at(1, 2)
    assert [info["IsPastDue"] for info in timer.infos] == [False, False]
    second = timer.infos[1]["ScheduleStatus"]
    assert (second["Last"], second["Next"]) == ("2026-03-02T13:00:00+00:00", "2026-03-02T14:00:00+00:00")


@rule("timer.catch_up")
async def test_one_catch_up_run_for_many_missed(timer: Timer) -> None:
    await timer.start()
    await timer.clock.advance(3700)
    await timer.stop()
    await timer.clock.advance(5 * 3600)
    await timer.start()
    assert timer.infos[-1]["IsPastDue"] is True
    assert len(timer.fired_at) == 2
    await timer.clock.advance(3600)
    assert timer.fired_at[-1] == at(7)[0]
    assert timer.infos[-1]["IsPastDue"] is False


@rule("timer.first_start")
async def test_a_first_start_or_a_changed_schedule_is_never_past_due(timer: Timer) -> None:
    await timer.start()
    await timer.stop()
    await timer.clock.advance(10 * 60)
    await timer.start("0 5 * * * *")
    assert timer.fired_at == []
    await timer.stop()
    await timer.clock.advance(3600)
    await timer.start("0 5 * * * *")
    assert [info["IsPastDue"] for info in timer.infos] == [True], "missed since the changed schedule was recorded"


@rule("timer.catch_up")
async def test_nothing_missed_is_nothing_to_catch_up(timer: Timer) -> None:
    await timer.start()
    await timer.clock.advance(3700)
    await timer.stop()
    await timer.start()
    assert len(timer.fired_at) == 1


@rule("timer.monitor")
@pytest.mark.parametrize(
    ("schedule", "options", "monitored"),
    [
        (HOURLY, {}, True),
        (HOURLY, {"useMonitor": False}, False),
        ("*/30 * * * * *", {}, False),
        ("00:00:59", {}, False),
        ("0 * * * * *", {}, True),
    ],
)
async def test_the_monitor(timer: Timer, schedule: str, options: dict[str, Any], monitored: bool) -> None:
    await timer.start(schedule, **options)
    await timer.clock.advance(3700)
    assert all((info["ScheduleStatus"] is not None) is monitored for info in timer.infos)
    await timer.stop()
    before = len(timer.fired_at)
    await timer.clock.advance(3 * 3600)
    await timer.start(schedule, **options)
    assert (len(timer.fired_at) > before) is monitored


@rule("timer.no_overlap")
async def test_a_long_run_delays_the_next(timer: Timer) -> None:
    async def long_run(_data: TriggerData) -> None:
        await timer.clock.sleep(2.5 * 3600)

    await timer.start(behaviour=long_run)
    await timer.clock.advance(5 * 3600)
    assert timer.fired_at == at(1, 4)
    assert timer.runtime.most_running == 1


@rule("timer.run_on_startup")
async def test_run_on_startup_fires_at_every_start(timer: Timer) -> None:
    for _ in range(2):
        await timer.start(runOnStartup=True)
        await timer.stop()
    assert timer.fired_at == [NOON, NOON]
    assert [info["IsPastDue"] for info in timer.infos] == [False, False]


@rule("timer.failure")
async def test_a_failed_run_waits_for_the_next_time(timer: Timer) -> None:
    await timer.start(behaviour=fail)
    await timer.clock.advance(2.5 * 3600)
    assert timer.fired_at == at(1, 2)


@rule("timer.retry")
@pytest.mark.parametrize(
    ("policy", "seconds"),
    [
        (RetryPolicy(False, 2, timedelta(seconds=5), timedelta(seconds=5)), [0, 5, 10]),
        (RetryPolicy(True, 3, timedelta(seconds=4), timedelta(seconds=10)), [0, 4, 12, 22]),
    ],
)
async def test_retry_metadata(timer: Timer, policy: RetryPolicy, seconds: list[int]) -> None:
    await timer.start(behaviour=fail, retry=policy)
    await timer.clock.advance(1.5 * 3600)
    assert timer.fired_at == [at(1)[0] + timedelta(seconds=one) for one in seconds]
    assert [call.retry_count for call in timer.runtime.calls] == list(range(len(seconds)))


@rule("timer.retry")
async def test_retry_for_ever(timer: Timer) -> None:
    tries = 0

    async def fail_often(data: TriggerData) -> None:
        nonlocal tries
        tries += 1
        if tries < 100:
            await fail(data)

    await timer.start(behaviour=fail_often, retry=RetryPolicy(False, -1, timedelta(seconds=1), timedelta(seconds=1)))
    await timer.clock.advance(2.5 * 3600)
    assert tries == 101


def test_a_record_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "timers.json"
    for text in ("{", '{"f": {"Last": "x"}}', "[]"):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(HostStartError, match=r"timers\.json cannot be read"):
            StatusFile(path)


async def test_a_lost_record_is_a_first_start(timer: Timer) -> None:
    timer.path = None
    await timer.start()
    await timer.clock.advance(3700)
    await timer.stop()
    await timer.clock.advance(5 * 3600)
    await timer.start()
    assert len(timer.fired_at) == 1
