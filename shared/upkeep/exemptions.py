"""Tells the owners of exemptions that these ran out, also where nothing is to be done that would tell them."""

from datetime import timedelta

from shared.safety.telling import announce_expired
from shared.upkeep.base import Chore, Done, Run


async def run(run: Run) -> Done:
    gates = run.made.stores.gates
    expired = (await gates.load()).exemptions.expired(run.now)
    await announce_expired(expired, gates, run.made.door)
    return Done(f"{len(expired)} ran out" if expired else "")


CHORE = Chore(name="exemptions", every=timedelta(minutes=5), run=run)
