"""Says when malformed input waits for somebody for too long."""

from datetime import datetime, timedelta

from shared.domain import Notice, entry_id
from shared.records.quarantine import Quarantined
from shared.upkeep.base import Chore, Done, Run


def aged_notice(oldest: Quarantined | None, longest: timedelta, now: datetime) -> Notice | None:
    """The notice about the entry that has waited longest: once a day while it waits longer than `longest`."""
    if oldest is None or now - oldest.open_since < longest:
        return None
    hours = (now - oldest.open_since).total_seconds() / 3600
    return Notice(
        id=entry_id(now, f"quarantine-aged-{oldest.id}"),
        kind="quarantine_aged",
        severity="warning",
        at=now,
        subject=f"Malformed input has waited for {hours:.0f} hours",
        text=(
            f"Something that came in could not be read ({oldest.reason}). It is kept in the quarantine and has no "
            "effect until somebody corrects and resubmits it, or discards it."
        ),
        facts={
            "entry": oldest.id,
            "came in": f"{oldest.count} times, first {oldest.first_at:%Y-%m-%d %H:%M} UTC",
            "kind": oldest.kind or "it does not say",
            "source": oldest.source or "it does not say",
            "to do": f"GET /api/quarantine/{oldest.id}, then POST .../resubmit or .../discard",
        },
    )


async def _run(run: Run) -> Done:
    oldest = await run.made.intake.quarantine.oldest_open()
    longest = timedelta(seconds=run.made.settings.quarantine_max_age_s)
    notice = aged_notice(oldest, longest, run.now)
    if notice is None:
        return Done()
    new = await run.made.door.tell(notice)
    return Done(notice.subject if new else "")


CHORE = Chore(name="quarantine", every=timedelta(minutes=15), run=_run)
