"""The local Azure of the benchmark in a process of its own, so that its work is not counted as ours.

`python -m bench.sweep.cloud TARGETS SEED ASSUMPTIONS` prints its environment and its time as one line of JSON. Its
clock stands still until a line on its standard input says by how many seconds to move it; it answers with its time
then, and ends with its standard input. A twentieth of the queues has traffic: messages come and go, so that there is
something to look at. ASSUMPTIONS are JSON, named as in docs/assumptions.md.
"""

import asyncio
import json
import random
import sys
from collections.abc import Mapping
from pathlib import Path

from bench.sweep.estate import busy_queues, estate, queues_by_namespace
from local.clock import VirtualClock
from local.cloud import Cloud
from local.cloud.estate import Estate
from local.cloud.queues import FixedQueues, QueueCounts

ROLES = Path(__file__).parents[2] / "infra" / "roles.json"
TRAFFIC_EVERY_S = 5.0


async def serve(targets: int, seed: int, assumptions: Mapping[str, str]) -> None:
    dice, clock, busy = random.Random(seed), VirtualClock(), busy_queues(targets)
    cloud = Cloud(clock, Estate.from_dict(estate(targets)), roles=ROLES, seed=seed, assumptions=assumptions)
    sources = [FixedQueues(name, names) for name, names in queues_by_namespace(targets).items()]
    for source in sources:
        cloud.attach_queues(source)
    await cloud.start()
    print(json.dumps({"environment": cloud.environment(), "now": clock.now().isoformat()}), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        left_s = float(line)
        while left_s > 0:
            step_s = min(left_s, TRAFFIC_EVERY_S)
            _traffic(sources, busy, dice, clock)
            await clock.advance(step_s)
            left_s -= step_s
        print(json.dumps({"now": clock.now().isoformat()}), flush=True)
    await cloud.stop()


def _traffic(sources: list[FixedQueues], busy: frozenset[str], dice: random.Random, clock: VirtualClock) -> None:
    for source in sources:
        for queue in sorted(busy.intersection(source.queue_names())):
            source.set(queue, QueueCounts(active=dice.randrange(1, 20)))
            source.observe(queue, "IncomingMessages", dice.randrange(1, 5), clock.now())
            source.observe(queue, "CompleteMessage", dice.randrange(1, 5), clock.now())


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])))
