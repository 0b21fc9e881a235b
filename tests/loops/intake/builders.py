"""Events as Azure sends them, played loops, and what is in the ledger afterwards."""

import asyncio
import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from shared.domain import Order, Signal
from shared.loops.intake import Intake, Item
from shared.loops.waking import Waking, Woken
from shared.records import Ledger, Tables
from shared.records.chain import StoredEntry
from shared.records.origin import Origin
from shared.records.signals import SIGNAL
from tests.loops.mortal_tables import Life

NOW = datetime.fromisoformat("2026-01-05T12:00:00+00:00")
QUEUE = Origin(trigger="service_bus", queue="signals", message="m-1")
SUBSCRIPTION = "/subscriptions/00000000-0000-0000-0000-000000000001"


def resource(number: int) -> str:
    return f"{SUBSCRIPTION}/resourcegroups/rg/providers/microsoft.x/endpoints/e-{number}"


def event(number: int | str = 1, endpoint: int = 1, **changes: Any) -> dict[str, Any]:
    usual = {
        "id": f"e-{number}",
        "topic": SUBSCRIPTION,
        "subject": resource(endpoint),
        "eventType": "Microsoft.Resources.ResourceWriteSuccess",
        "eventTime": NOW.isoformat(),
        "data": {"resourceUri": resource(endpoint)},
    }
    return usual | changes


def body(*events: Any) -> bytes:
    return json.dumps(events).encode()


class Loops:
    """Woken by what is written: the endpoint of the resource. `looks` are the signals' ids of each look."""

    def __init__(self, life: Life | None = None, look_s: float = 0.0) -> None:
        self.looks: list[set[str]] = []
        self.failing: Exception | None = None
        self._life, self._look_s = life, look_s

    async def waking(self, signal: Signal) -> Waking:
        known = signal.kind == "resource.written"
        return Waking(
            signal=signal,
            targets={"scaling": tuple(subject.rpartition("/")[2] for subject in signal.subjects) if known else ()},
            endpoints=frozenset(signal.subjects if known else ()),
            known_to=("scaling",) if known else (),
        )

    async def wake(self, wakings: Sequence[Waking]) -> tuple[Woken, Sequence[Order]]:
        if self._life:
            await self._life.step()
        if self.failing:
            raise self.failing
        self.looks.append({waking.signal.id for waking in wakings})
        await asyncio.sleep(self._look_s)
        return Woken({}), []

    def woken_for(self, signal_id: str) -> int:
        return sum(signal_id in look for look in self.looks)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


async def no_wait(_seconds: float) -> None:
    await asyncio.sleep(0)


async def start(_orders: Sequence[Order]) -> None: ...


Process = Callable[..., Intake]


async def recorded(tables: Tables) -> list[StoredEntry]:
    ledger = Ledger(tables)
    page = await ledger.query(NOW - timedelta(days=3), NOW + timedelta(days=10), kind="signal", limit=500)
    assert page.next_cursor is None
    return list(page.entries)


def ids(entries: Sequence[StoredEntry]) -> list[str]:
    """Of the signals."""
    return [SIGNAL.from_plain(entry.body["signal"]).id for entry in entries]


def became(items: Sequence[Item]) -> list[str]:
    return [item.became for item in items]
