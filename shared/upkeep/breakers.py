"""Circuit breakers that are closed and that nothing counts for any more are forgotten."""

from datetime import timedelta

from shared.upkeep.base import Chore, Done, Run


async def _run(run: Run) -> Done:
    removed = await run.made.stores.gates.breakers.prune(run.now)
    return Done(f"forgot {removed} breakers" if removed else "")


CHORE = Chore(name="breakers", every=timedelta(days=1), run=_run)
