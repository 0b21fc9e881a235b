"""The one door by which something is told to people: an entry in the ledger and a notice in the outbox, of one id.

The entry comes first. If the outbox cannot be written then, the entry holds the notice (but for its links, which may be
somebody's signature), and the upkeep puts it into the outbox later: so a failure in telling stops nobody, and nothing
is lost.
"""

import logging
from dataclasses import replace

from shared.domain import Notice
from shared.records.chain import LedgerEntry, StoredEntry
from shared.records.codec import from_plain, to_plain
from shared.records.errors import CorruptRow, SchemaTooNew
from shared.records.ledger import Ledger
from shared.records.outbox import Outbox

log = logging.getLogger("watchkeeper")

_LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "critical": logging.ERROR}


class Door:
    """See the module."""

    def __init__(self, ledger: Ledger, outbox: Outbox) -> None:
        self._ledger, self._outbox = ledger, outbox

    async def tell(self, notice: Notice, *, loop: str = "") -> bool:
        """Record the notice, and leave it to be told; whether it is new: a repetition (the same id) is one notice.

        The entry explains it. Its id starts with the day of its time, as the ledger asks for.

        Raises:
            what the ledger raises; never for the outbox.
        """
        if await self._is_told(notice.id):
            return False
        entry = LedgerEntry(
            id=notice.id,
            kind="notice",
            at=notice.at,
            endpoint_key=notice.endpoint_key,
            target=notice.target,
            loop=loop,
            summary=notice.text,
        )
        await self.record(entry, notice)
        return True

    async def record(self, entry: LedgerEntry, notice: Notice) -> StoredEntry:
        """The same for an entry of another kind, which the notice tells of: both have the same id and time."""
        told = replace(notice, id=entry.id, at=entry.at, entry=notice.entry or entry.id)
        held = to_plain(replace(told, links={}))
        stored = await self._ledger.append(replace(entry, body={**entry.body, "notice": held}))
        log.log(_LEVELS[told.severity], "%s: %s", told.target or told.kind, entry.summary)
        await self.put(told)
        return stored

    async def append(self, entry: LedgerEntry) -> StoredEntry:
        """Record what nobody needs to be told."""
        return await self._ledger.append(entry)

    async def _is_told(self, notice_id: str) -> bool:
        try:
            return await self._outbox.get(notice_id) is not None
        except Exception:  # the ledger finds out
            log.exception("notice %s: the outbox cannot be read", notice_id)
            return False

    async def put(self, notice: Notice) -> bool:
        """Leave a notice to be told of which the ledger knows already; False where that failed, which is logged."""
        try:
            await self._outbox.put(notice)
        except Exception:  # whatever it is: nobody who acts may wait for people to be told
            log.exception("notice %s could not be put into the outbox; the upkeep tries again", notice.id)
            return False
        return True


def notice_in(entry: LedgerEntry) -> Notice | None:
    """The notice that an entry of the ledger holds, None if it holds none (or one of a newer release)."""
    held = entry.body.get("notice")
    if not isinstance(held, dict):
        return None
    try:
        return from_plain(Notice, held)
    except (CorruptRow, SchemaTooNew):
        return None
