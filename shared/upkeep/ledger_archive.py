"""Each finished day of the ledger is verified and exported; old days leave the tables."""

import logging
from datetime import date, timedelta

from shared.domain import Notice, entry_id
from shared.records.archive import CONTAINER, Archive, ArchivedDay
from shared.services import Services
from shared.upkeep.base import Chore, Done, Run

log = logging.getLogger("watchkeeper")


def archive_of(made: Services) -> Archive:
    """The archive of this app's ledger."""
    return Archive(made.stores.ledger, made.tables, made.blobs.container(CONTAINER))


async def run(run: Run) -> Done:
    archive = archive_of(run.made)
    exported = await archive.export_due(run.now)
    for archived in exported:
        await _verify(run, archive, archived)
    policy = await run.made.policies.current()
    removal = await archive.remove_due(run.now, policy.retention.ledger_days)
    for day, problem in removal.kept.items():
        await _tell(run, day, [problem])
    words = [f"exported {archived.day} ({archived.entries} entries)" for archived in exported]
    words += [f"removed {day}" for day in removal.removed] + list(removal.kept.values())
    return Done("; ".join(words))


async def _verify(run: Run, archive: Archive, archived: ArchivedDay) -> None:
    """The chains in the table and the file that was just written."""
    day, ledger = date.fromisoformat(archived.day), run.made.stores.ledger
    problems = [problem for key in await ledger.heads(day) for problem in await ledger.verify(day, key)]
    problems += await archive.verify_file(day)
    if problems:
        await _tell(run, day, problems)


async def _tell(run: Run, day: date, problems: list[str]) -> None:
    log.error("the ledger of %s does not hold: %s", day, "; ".join(problems))
    notice = Notice(
        id=entry_id(run.now, f"ledger-broken-{day}"),
        kind="ledger_broken",
        severity="critical",
        at=run.now,
        subject=f"The ledger of {day} does not hold",
        text=f"{len(problems)} problem{'' if len(problems) == 1 else 's'} in the chain of hashes: {problems[0]}",
        facts={f"problem {number}": problem for number, problem in enumerate(problems[:10], start=1)},
    )
    await run.made.door.tell(notice)


CHORE = Chore(name="ledger_archive", every=timedelta(hours=1), run=run)
