"""What people do about the quarantine: submit an entry again, as it is or corrected, or discard it.

The signals are taken before the entry is closed, and it is closed before the ledger says so. A repetition after a crash
finds duplicates, closes, and records: who repeats a request that was cut off completes it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from shared.loops.evidence import control_entry
from shared.loops.intake import Intake, Item
from shared.loops.waking import Start
from shared.records.errors import Conflict, RecordsError
from shared.records.ledger import Ledger
from shared.records.origin import Origin
from shared.records.quarantine import Closing, How, Quarantine, Quarantined
from shared.records.state import Row

_ATTEMPTS = 5


class NoSuchEntry(LookupError):
    """The quarantine has no entry of this id."""


class AlreadyClosed(RecordsError):
    """Somebody has dealt with this entry; the message says who and how."""


@dataclass(frozen=True, slots=True)
class Corrected:
    """A closed entry, and what its items became: empty where it was closed before."""

    entry: Quarantined
    items: tuple[Item, ...] = ()


class Corrections:
    """Closes entries of the quarantine for people."""

    def __init__(self, intake: Intake, ledger: Ledger, now: Callable[[], datetime]) -> None:
        self._intake, self._ledger, self._now = intake, ledger, now

    @property
    def _quarantine(self) -> Quarantine:
        return self._intake.quarantine

    async def resubmit(self, entry_id: str, by: str, reason: str, corrected: bytes | None, start: Start) -> Corrected:
        """Take the entry's body, or the one that stands corrected, as a delivery; then close the entry.

        Raises:
            NoSuchEntry, AlreadyClosed.
            Malformed: it cannot be read, whole or in part; nothing of it was taken and the entry stays.
        """
        how: How = "resubmitted" if corrected is None else "corrected"
        if (repeated := await self._repeated(entry_id, how, by, reason)) is not None:
            return Corrected(repeated)
        body = await self._quarantine.body(entry_id) if corrected is None else corrected
        await self._intake.check(body)
        items = await self._intake.take(body, Origin(trigger="resubmitted", message=entry_id), start)
        became = tuple(f"{item.became} {item.kind} {item.id}" for item in items)
        closing = Closing(how=how, by=by, reason=reason, at=self._now(), became=became)
        return Corrected(await self._close(entry_id, closing), items)

    async def discard(self, entry_id: str, by: str, reason: str) -> Quarantined:
        """Close the entry; its body stays to be looked at.

        Raises:
            NoSuchEntry, AlreadyClosed.
        """
        if (repeated := await self._repeated(entry_id, "discarded", by, reason)) is not None:
            return repeated
        return await self._close(entry_id, Closing(how="discarded", by=by, reason=reason, at=self._now()))

    async def _repeated(self, entry_id: str, how: How, by: str, reason: str) -> Quarantined | None:
        """The entry if this very request closed it (then its record is completed), None if it is open."""
        entry = (await self._found(entry_id)).value
        if entry.state == "open":
            return None
        last = entry.closings[-1]
        if (last.how, last.by, last.reason) != (how, by, reason):
            raise AlreadyClosed(f"{last.by} {last.how} it at {last.at:%Y-%m-%d %H:%M:%S} UTC: {last.reason}")
        await self._record(entry_id, last)
        return entry

    async def _close(self, entry_id: str, closing: Closing) -> Quarantined:
        for _ in range(_ATTEMPTS):
            row = await self._found(entry_id)
            if row.value.state == "closed":
                raise AlreadyClosed(f"{row.value.closings[-1].by} was faster")
            try:
                closed = await self._quarantine.close(row, closing)
            except Conflict:
                continue  # the same body came in once more: it is dealt with too
            await self._record(entry_id, closing)
            return closed
        raise Conflict(f"quarantine entry {entry_id} keeps coming in; look at it again")

    async def _found(self, entry_id: str) -> Row[Quarantined]:
        row = await self._quarantine.get(entry_id)
        if row is None:
            raise NoSuchEntry(f"The quarantine has no entry {entry_id!r}; GET /api/quarantine lists them.")
        return row

    async def _record(self, entry_id: str, closing: Closing) -> None:
        what = f"{closing.how} quarantine entry {entry_id}"
        await self._ledger.append(control_entry(what, closing.by, closing.reason, closing.at))
