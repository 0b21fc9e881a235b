"""The chore that lets go of questions that people answered, or did not, more than a year ago."""

from datetime import timedelta

from shared.upkeep.base import Chore, Done, Run


async def run(run: Run) -> Done:
    removed = await run.made.stores.approvals.store.prune(run.now)
    return Done(f"{removed} old questions removed" if removed else "")


CHORE = Chore(name="approvals", every=timedelta(hours=1), run=run)
