"""The timer trigger: one run at a time, one catch-up run for many missed ones (facts/hostrules.md §4).

The record of the last run, kept in a file where Azure keeps a blob, tells a restarted host what it missed.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from local.clock import Clock
from local.host.errors import HostStartError
from local.host.functions import FunctionFailed, LoadedFunction
from local.host.protos import typed_json
from local.host.runtime import Runtime, TriggerData
from local.host.schedules import Schedule
from local.host.settings import is_true
from local.host.worker import RetryPolicy

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Status:
    """What is known of a timer's runs. `last` is `datetime.min` before the first one."""

    last: datetime
    next: datetime
    updated: datetime

    def document(self) -> dict[str, str]:
        return {"Last": self.last.isoformat(), "Next": self.next.isoformat(), "LastUpdated": self.updated.isoformat()}

    @classmethod
    def parse(cls, document: dict[str, str]) -> "Status":
        return cls(*(datetime.fromisoformat(document[name]) for name in ("Last", "Next", "LastUpdated")))


class StatusFile:
    """The statuses of all timers by function, in one JSON file; in memory only without a path."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._statuses: dict[str, Status] = {}
        if path is not None and path.exists():
            self._statuses = _read(path)

    def get(self, function: str) -> Status | None:
        return self._statuses.get(function)

    def put(self, function: str, status: Status) -> None:
        self._statuses[function] = status
        if self._path is not None:
            document = {name: known.document() for name, known in self._statuses.items()}
            draft = self._path.with_name(self._path.name + ".new")
            draft.write_text(json.dumps(document), encoding="utf-8")
            draft.replace(self._path)


def _read(path: Path) -> dict[str, Status]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return {name: Status.parse(status) for name, status in document.items()}
    except (ValueError, KeyError, AttributeError) as error:
        raise HostStartError(f"The timers' record {path.name} cannot be read: {error}. Remove it.") from error


class TimerListener:
    """Runs one timer function."""

    def __init__(
        self,
        function: LoadedFunction,
        schedule: Schedule,
        runtime: Runtime,
        clock: Clock,
        statuses: StatusFile,
        retry: RetryPolicy | None = None,
    ) -> None:
        self.function = function
        self._schedule = schedule
        self._runtime = runtime
        self._clock = clock
        self._statuses = statuses
        self._retry = retry
        monitored = is_true(str(function.trigger.get("useMonitor", True)))
        self._monitored = monitored and not schedule.is_frequent(clock.now())

    def busy(self) -> bool:
        return False  # a run is an invocation in flight, which the runtime counts

    async def listen(self, started: Callable[[], None]) -> None:
        started()
        if self._monitored and self._is_past_due():
            await self._run(self._clock.now(), past_due=True)
        elif is_true(str(self.function.trigger.get("runOnStartup", False))):
            await self._run(self._clock.now(), past_due=False)
        while True:
            due = self._schedule.after(self._clock.now())
            await self._clock.sleep((due - self._clock.now()).total_seconds())
            await self._run(due, past_due=False)

    async def close(self, longest_s: float) -> None:  # noqa: ARG002 - holds nothing
        return

    def _is_past_due(self) -> bool:
        """Whether a run was missed. A first start, or a changed schedule, is never past due."""
        now, status = self._clock.now(), self._statuses.get(self.function.name)
        if status is None:
            self._record(Status(_NEVER, self._schedule.after(now), now))
            return False
        since = status.updated if status.last == _NEVER else status.last
        expected = self._schedule.after(since)
        if status.next != expected:  # the schedule is another one
            since = now if now > expected else since
            self._record(Status(_NEVER, self._schedule.after(since), since))
            return False
        return now > status.next

    def _record(self, status: Status) -> None:
        self._statuses.put(self.function.name, status)

    async def _run(self, due: datetime, *, past_due: bool) -> None:
        await self._run_with_retries(timer_info(past_due, self._status()))
        if self._monitored:
            self._record(Status(due, self._schedule.after(due), due))

    def _status(self) -> Status | None:
        return self._statuses.get(self.function.name) if self._monitored else None

    async def _run_with_retries(self, info: dict[str, Any]) -> None:
        limit, attempt = self._retry.max_count if self._retry else 0, 0
        while True:
            try:
                trigger = TriggerData(typed_json(info), retry_count=attempt, max_retry_count=limit)
                await self._runtime.invoke(self.function, trigger)
                return
            except FunctionFailed:  # the runtime has logged it
                if self._retry is None or attempt >= limit >= 0:
                    return
            await self._clock.sleep(self._retry.pause_s(attempt))
            attempt += 1


def timer_info(past_due: bool, status: Status | None) -> dict[str, Any]:
    """The trigger's data as the worker expects it."""
    return {
        "Schedule": {"AdjustForDST": True},
        "ScheduleStatus": None if status is None else status.document(),
        "IsPastDue": past_due,
    }
