"""Malformed input and dead letters that people dealt with long ago are forgotten; what is open is never touched."""

from datetime import timedelta

from shared.loops.dead_letters import forget_kept
from shared.upkeep.base import Chore, Done, Run

# Of each, in a run; the next one continues.
REMOVED_AT_ONCE = 1000


async def run(run: Run) -> Done:
    policy = await run.made.policies.current()
    before = run.now - timedelta(days=policy.retention.quarantine_days)
    entries = await run.made.intake.quarantine.purge(before, REMOVED_AT_ONCE)
    letters = await forget_kept(run.made.blobs, before, REMOVED_AT_ONCE)
    said = [f"removed {entries} closed entries"] if entries else []
    said += [f"removed {letters} dead letters"] if letters else []
    return Done("; ".join(said))


CHORE = Chore(name="quarantine_purge", every=timedelta(hours=6), run=run)
