"""The dead-man's switch: the two timers watch each other, and `GET /api/ready` tells whoever watches from outside.

The upkeep timer tells people when the sweep has given no sign of life; the sweep tells them when no chore has run
(`shared.loops.engine`). When both are still, only somebody outside can notice: `ready` then answers 503.
"""

from datetime import timedelta

from shared.records.heartbeats import notice_of_silence, silent
from shared.upkeep.base import Chore, Done, Run


async def run(run: Run) -> Done:
    since = silent(await run.made.stores.progress.all(), run.now).get("sweep")
    if since is None:
        return Done()
    await run.made.door.tell(notice_of_silence("sweep", since, run.now))
    return Done(f"the sweep is still since {since:%Y-%m-%d %H:%M:%S} UTC")


# Who dies in it is followed by another long before the silence would be told.
CHORE = Chore(name="dead_mans_switch", every=timedelta(minutes=1), run=run, takes_at_most=timedelta(minutes=2))
