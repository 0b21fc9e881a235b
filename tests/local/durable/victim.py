"""A host that test_journal.py kills: `python -m tests.local.durable.victim JOURNAL`.

It starts the orchestrations that the journal does not know yet, and runs until all are done.
"""

import asyncio
import sys
from pathlib import Path

from durabletask.client import OrchestrationStatus

from local.clock import RealClock
from local.host.durable.extension import DurableExtension
from tests.local.durable.app import LEDGER, AppInvoker

INSTANCES = 20
EXPECTED_TOTAL = 4 * sum(range(INSTANCES))  # each adds its number four times: two children, a call, a delayed signal


async def serve(journal: Path) -> None:
    extension = DurableExtension(AppInvoker(), RealClock(), journal=journal, options={})
    await extension.start()
    known = {state.instance_id for state in await extension.client.get_all_orchestration_states()}
    for n in range(INSTANCES):
        if str(n) not in known:
            await extension.client.schedule_new_orchestration("everything", input=n, instance_id=str(n))
    while not await done(extension):  # noqa: ASYNC110 - looks from outside, as a client does
        await asyncio.sleep(0.05)
    await extension.stop()


async def done(extension: DurableExtension) -> bool:
    states = await extension.client.get_all_orchestration_states()
    entity = await extension.client.get_entity(LEDGER)
    total = int(entity.get_state() or "0") if entity else 0
    finished = (OrchestrationStatus.COMPLETED, OrchestrationStatus.FAILED, OrchestrationStatus.TERMINATED)
    return total >= EXPECTED_TOTAL and all(state.runtime_status in finished for state in states)


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
