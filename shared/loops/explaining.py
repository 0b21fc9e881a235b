"""What belongs to an entry of the ledger: decision and outcomes, the approval, the signal behind it, notices."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from shared.domain import ApprovalRequest
from shared.loops.outcomes import outcomes_of
from shared.loops.stores import Stores
from shared.people.door import notice_in
from shared.records.chain import StoredEntry
from shared.records.errors import InvalidQuestion
from shared.records.outbox import Posted

Relation = Literal["decision", "outcome", "approval", "signal", "told_of", "receipt"]
"""What the other entry is to this one; `told_of`: what a notice tells of; `receipt`: how a notice was told."""

# A signal is recorded just before the look that it wakes; a delivery that is repeated, some minutes before it.
_WOKEN_WITHIN = timedelta(hours=1)
_SECOND = timedelta(seconds=1)
_PAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Belongings:
    """`entries` that belong to one, with their relation; the question to people, and the notice, as they are now."""

    entries: tuple[tuple[Relation, StoredEntry], ...] = ()
    question: ApprovalRequest | None = None
    posted: Posted | None = None

    def of(self, relation: Relation) -> tuple[StoredEntry, ...]:
        return tuple(entry for its, entry in self.entries if its == relation)


async def belongings(stores: Stores, entry: StoredEntry, now: datetime) -> Belongings:
    """What belongs to `entry`. What was removed with its day is left out."""
    found: list[tuple[Relation, StoredEntry]] = []
    question: ApprovalRequest | None = None
    decision = await _decision_of(stores, entry)
    if entry.kind != "decision" and decision is not None:
        found.append(("decision", decision))
    if entry.kind in ("decision", "approval") and decision is not None:
        question = await stores.approvals.about(decision.id)
        found += [("outcome", one) for one in await outcomes_of(stores.ledger, decision, now)]
    if question is not None:
        found += [("approval", one) for one in await _answers(stores, question, now) if one.id != entry.id]
    if entry.kind == "decision":
        found += [("signal", one) for one in await _cause_of(stores, entry)]
    if entry.kind == "signal":
        found += [("decision", one) for one in await _woken_by(stores, entry, now)]
    notice_id = _notice_of(entry)
    found += [("told_of", one) for one in await _told_of(stores, entry) if decision is None or one.id != decision.id]
    row = None if notice_id is None else await stores.outbox.get(notice_id)
    if row is not None:
        found += [("receipt", one) for one in await _receipts(stores, row.value, entry)]
    return Belongings(entries=tuple(found), question=question, posted=None if row is None else row.value)


async def _decision_of(stores: Stores, entry: StoredEntry) -> StoredEntry | None:
    if entry.kind == "decision":
        return entry
    body: Any = entry.body
    if entry.kind == "outcome":
        return await _get(stores, body.get("outcome", {}).get("action_key"))
    return await _get(stores, body.get("approval")) if entry.kind == "approval" else None


async def _answers(stores: Stores, question: ApprovalRequest, now: datetime) -> list[StoredEntry]:
    """Every entry about a question, oldest first."""
    until = (question.ended_at or now) + _SECOND
    page = await stores.ledger.query(
        question.asked_at, until, endpoint_key=question.endpoint_key, kind="approval", limit=_PAGE
    )
    return [one for one in reversed(page.entries) if one.body.get("approval") == question.id]


async def _cause_of(stores: Stores, decision: StoredEntry) -> list[StoredEntry]:
    """The signal that the look of a decision names first."""
    cause = str(decision.body.get("cause", ""))
    if not cause.startswith("signal "):
        return []
    kind = cause.split(" ")[1]
    page = await stores.ledger.query(
        decision.at - _WOKEN_WITHIN, decision.at + _SECOND, kind="signal", found_by={"signal": kind}, limit=_PAGE
    )
    return [one for one in page.entries if _names(cause, one)][:1]


async def _woken_by(stores: Stores, signal: StoredEntry, now: datetime) -> list[StoredEntry]:
    """The decisions that name a signal as their cause, oldest first."""
    until = min(signal.at + _WOKEN_WITHIN, now + _SECOND)
    if not signal.body.get("woke") or until <= signal.at:
        return []
    endpoint = signal.endpoint_key or None
    page = await stores.ledger.query(signal.at, until, endpoint_key=endpoint, kind="decision", limit=_PAGE)
    return [one for one in reversed(page.entries) if _names(str(one.body.get("cause", "")), signal)]


def _names(cause: str, signal: StoredEntry) -> bool:
    told: Any = signal.body.get("signal", {})
    name = f"signal {told.get('kind')} {told.get('id')}"
    return cause == name or cause.startswith(f"{name} and ")


def _notice_of(entry: StoredEntry) -> str | None:
    told: Any = entry.body.get("told")
    notice = notice_in(entry)
    return str(told) if told else notice.id if notice is not None else None


async def _told_of(stores: Stores, entry: StoredEntry) -> list[StoredEntry]:
    """What a notice is about; of a receipt, the notice's own entry, or what it is about where it has none."""
    notice, told = notice_in(entry), entry.body.get("told")
    posted = await stores.outbox.get(str(told)) if told else None
    if notice is None and posted is not None:
        notice = posted.value.notice
    ids = dict.fromkeys([told, notice.entry if notice is not None else None])
    found = [await _get(stores, one) for one in ids if one and one != entry.id]
    return [one for one in found if one is not None]


async def _receipts(stores: Stores, posted: Posted, entry: StoredEntry) -> Sequence[StoredEntry]:
    if posted.ended_at is None or "told" in entry.body:
        return ()
    since, until = posted.notice.at, posted.ended_at + _SECOND
    page = await stores.ledger.query(since, until, endpoint_key=posted.notice.endpoint_key, kind="notice", limit=_PAGE)
    return [one for one in page.entries if one.body.get("told") == posted.notice.id]


async def _get(stores: Stores, entry_id: Any) -> StoredEntry | None:
    if not isinstance(entry_id, str):
        return None
    try:
        return await stores.ledger.get(entry_id)
    except InvalidQuestion:  # an id of something else
        return None
