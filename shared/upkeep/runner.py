"""Runs the chores that are due, each in its own turn."""

import importlib
import logging
import pkgutil
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import shared.upkeep
from shared.upkeep.base import Chore, Run

if TYPE_CHECKING:
    from azure.durable_functions import DurableFunctionsClient

    from shared.services import Services

log = logging.getLogger("watchkeeper")


@dataclass(frozen=True, slots=True)
class Report:
    """What one run of a chore came to."""

    name: str
    said: str
    failed: bool = False


def discover_chores() -> tuple[Chore, ...]:
    """Every module of `shared.upkeep` that offers `CHORE`, by name."""
    modules = (importlib.import_module(f"shared.upkeep.{m.name}") for m in pkgutil.iter_modules(shared.upkeep.__path__))
    chores = [module.CHORE for module in modules if hasattr(module, "CHORE")]
    return tuple(sorted(chores, key=lambda chore: chore.name))


async def run_due(
    made: "Services", client: "DurableFunctionsClient", forced: Collection[str] = ()
) -> tuple[Report, ...]:
    """Run what is due, and the `forced` ones in any case. One that fails hinders no other, and is due again later."""
    known = await made.stores.progress.all()
    reports = []
    for chore in discover_chores():
        if chore.name in forced or chore.is_due(known.get(chore.name), made.now()):
            reports += await _run(chore, made, client, force=chore.name in forced)
    return tuple(reports)


async def _run(chore: Chore, made: "Services", client: "DurableFunctionsClient", *, force: bool) -> list[Report]:
    progress = made.stores.progress
    turn = await progress.take(chore.name, lambda before: force or chore.is_due(before, made.now()), made.now())
    if turn is None:
        return []  # another process was faster
    try:
        run = Run(made=made, client=client, now=made.now(), marks=turn.marks)
        done = await chore.run(run)
    except Exception as error:
        log.exception("chore %s failed (%d times in a row before)", chore.name, turn.failures)
        report = Report(chore.name, f"failed: {type(error).__name__}: {error}", failed=True)
        await progress.end(turn, report.said, made.now(), failed=True)
    else:
        report = Report(chore.name, done.said)
        await progress.end(turn, done.said, made.now(), marks=done.marks)
    return [report]
