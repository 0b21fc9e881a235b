"""Looks after the outbox: what the ledger recorded and a crash kept from it is put in, and what is old goes."""

from datetime import datetime, timedelta

from shared.people.door import notice_in
from shared.records.chain import EntryKind
from shared.upkeep.base import Chore, Done, Run

# An entry's time is that of its round; it is written within minutes, so the last of them are looked at twice.
OVERLAP = timedelta(minutes=15)
FARTHEST = timedelta(days=1)
KINDS: tuple[EntryKind, ...] = ("notice", "outcome", "control")


async def _run(run: Run) -> Done:
    mark = run.marks.get("until")
    since = datetime.fromisoformat(mark) - OVERLAP if mark else run.now - FARTHEST
    since = max(min(since, run.now - OVERLAP), run.now - FARTHEST)
    found = 0
    for kind in KINDS:
        found += await _put_missing(run, kind, since)
    removed = await run.made.stores.outbox.prune(run.now)
    said = [f"{found} notices were in the ledger alone"] if found else []
    said += [f"{removed} old rows removed"] if removed else []
    return Done("; ".join(said), {"until": run.now.isoformat()})


async def _put_missing(run: Run, kind: EntryKind, since: datetime) -> int:
    found, cursor = 0, None
    while True:
        page = await run.made.stores.ledger.query(
            since, run.now + timedelta(seconds=1), kind=kind, limit=200, cursor=cursor
        )
        for entry in page.entries:
            notice = notice_in(entry)
            if notice is not None and await run.made.stores.outbox.put(notice):
                found += 1
        if page.next_cursor is None:
            return found
        cursor = page.next_cursor


CHORE = Chore(name="notices", every=timedelta(minutes=10), run=_run)
