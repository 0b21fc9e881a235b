"""The secrets that we use are looked at daily: those that run out are announced."""

from datetime import timedelta

from shared.loops.secret_expiry import look_at_expiry
from shared.upkeep.base import Chore, Done, Run


async def run(run: Run) -> Done:
    if not run.made.settings.vault_url:
        return Done()
    return Done("; ".join(await look_at_expiry(run.made.secrets, run.made.door, run.now)))


CHORE = Chore(name="secret_expiry", every=timedelta(days=1), run=run)
