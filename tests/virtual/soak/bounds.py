"""What must stay bounded: what the app's services hold, rows of its tables, histories, and the log."""

import gc
import logging
import types
from collections.abc import Iterator
from contextlib import contextmanager

from shared.records.claims import TABLE as CLAIMS
from shared.records.outbox import TABLE as NOTICES
from shared.records.progress import TABLE as PROGRESS
from shared.upkeep.runner import discover_chores
from tests.virtual.arena import Arena
from tests.virtual.soak.day import Day

GROWS_AT_MOST = 0.25
"""Share by which the objects that the services hold may grow from the first measurement to the last."""
_ELSEWHERE = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.FrameType, types.CodeType)


def held(arena: Arena) -> int:
    """How many objects are reached from the services: caches, clients and all, but nothing of the local Azure."""
    gc.collect()
    seen = {id(arena), id(arena.world), id(arena.app), id(arena.clock), id(arena.app.host)}
    count, waiting = 0, [getattr(arena.made, name) for name in arena.made.__slots__]
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, _ELSEWHERE) or _is_of_tests(one):
            continue
        seen.add(id(one))
        count += 1
        waiting += gc.get_referents(one)
    return count


def _is_of_tests(one: object) -> bool:
    return type(one).__module__.partition(".")[0] in ("local", "tests", "asyncio", "_pytest", "logging", "ssl")


@contextmanager
def error_log() -> Iterator[list[str]]:
    """Errors with a traceback: what nobody expected."""
    found: list[str] = []

    class Trap(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.levelno >= logging.ERROR and record.exc_info:
                found.append(f"{record.name}: {record.getMessage()}: {record.exc_info[1]!r}")

    trap, root = Trap(), logging.getLogger()
    root.addHandler(trap)
    try:
        yield found
    finally:
        root.removeHandler(trap)


async def excess(arena: Arena, day: Day) -> list[str]:
    """Whatever has grown beyond its bound, a sentence each."""
    rows = {name: await _rows(arena, name) for name in (CLAIMS, NOTICES, PROGRESS)}
    work = await arena.made.stores.outbox.work()
    waiting = len(work.open) + sum(map(len, work.waiting.values()))
    client = arena.app.host.client
    states = await client.get_all_orchestration_states()
    events = [len(await client.get_orchestration_history(state.instance_id)) for state in states]
    quarantined = (await arena.made.intake.quarantine.query()).entries
    notices = len(arena.world.cloud.inbox.of("webhook"))
    bounds = {
        f"{rows[CLAIMS]} claims for {day.signals} signals": rows[CLAIMS] == day.signals,
        f"{rows[PROGRESS]} rows of progress": rows[PROGRESS] <= len(discover_chores()) + 5,
        f"{waiting} notices and deliveries wait": waiting <= 6,
        f"{len(states)} orchestrations": len(states) <= 2,
        f"{max(events, default=0)} events in a history": max(events, default=0) < 300,
        f"{len(quarantined)} in the quarantine": not quarantined,
        f"{notices} notices to the team in {day.signals / 6:.0f} hours": notices <= 8 * max(1, day.signals / 6) + 10,
    }
    return [f"too much: {words}" for words, kept in bounds.items() if not kept]


async def _rows(arena: Arena, name: str) -> int:
    return len([row.row async for row in arena.made.tables.table(name).query("PartitionKey ge @a", {"a": ""})])
