"""Histories of orchestrations that have ended are purged in small windows: Durable never does it by itself, and a large
purge hangs (durable-extension#892, #2211)."""

from datetime import datetime, timedelta

from shared.upkeep.base import Chore, Done, Run

WINDOW = timedelta(hours=6)
# A run goes on through empty windows, and stops after so many histories; the next one continues.
HISTORIES_A_RUN = 1000
# What ended much earlier than anything was kept: the first run looks no further back.
FIRST_LOOKS_BACK = timedelta(days=60)
# Behind its back: what was created in a window may still have run when the window was purged.
LOOKS_AGAIN_FOR = timedelta(days=2)


async def run(run: Run) -> Done:
    from durabletask.client import OrchestrationStatus

    policy = await run.made.policies.current()
    until = run.now - timedelta(days=policy.retention.history_days)
    known = run.marks.get("purged_until")
    start = datetime.fromisoformat(known) - LOOKS_AGAIN_FOR if known else until - FIRST_LOOKS_BACK
    purged = 0
    while start < until and purged < HISTORIES_A_RUN:
        end = min(start + WINDOW, until)
        result = await run.client.purge_orchestrations_by(
            created_time_from=start,
            created_time_to=end,
            runtime_status=[
                OrchestrationStatus.COMPLETED,
                OrchestrationStatus.FAILED,
                OrchestrationStatus.TERMINATED,
            ],
        )
        purged += result.deleted_instance_count
        if result.is_complete is not False:
            start = end
        elif not result.deleted_instance_count:
            break  # it makes no headway now; the next run begins here
    said = f"purged {purged} histories of before {start:%Y-%m-%d %H:%M} UTC" if purged else ""
    return Done(said, {"purged_until": max(start.isoformat(), known or "")})


CHORE = Chore(name="history_purge", every=timedelta(hours=6), run=run)
