"""Finds what came of a decision in the ledger."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from shared.records.chain import StoredEntry
from shared.records.ledger import Ledger

WINDOW = timedelta(days=7)


def was_made(outcome: StoredEntry) -> bool:
    """Whether this end is of a change of capacity that Watchkeeper made: sent, and read back."""
    told: Any = outcome.body.get("outcome", {})
    made = (told.get("kind"), told.get("dimension")) == ("succeeded", "capacity")
    return made and bool(told.get("sends"))


async def outcomes_of(ledger: Ledger, decision: StoredEntry, now: datetime) -> Sequence[StoredEntry]:
    """Looked for from the decision's own time on, a week at a time, because most end within the hour."""
    since, end = decision.at, now + timedelta(seconds=1)
    while since < end:
        until = min(since + WINDOW, end)
        page = await ledger.query(since, until, endpoint_key=decision.endpoint_key, kind="outcome", limit=500)
        if found := [outcome for outcome in page.entries if outcome.id.endswith(f"-of-{decision.id}")]:
            return found
        since = until
    return ()
