"""What the ledger keeps of how a notice was told: by which way, when, as what, in how many attempts. Pure."""

from collections.abc import Sequence

from shared.domain import Delivery, NoticeState, entry_id
from shared.records.chain import LedgerEntry
from shared.records.codec import to_plain
from shared.records.outbox import Posted


def entry_of(posted: Posted, ways: Sequence[Delivery], state: NoticeState) -> LedgerEntry | None:
    """The receipt of a notice that has ended; None for one that digests told, whose own receipts name it.

    Its id and time follow from the deliveries, so that a repetition is the same entry.
    """
    own = [one for one in ways if one.state != "digested"]
    if not own:
        return None
    notice = posted.notice
    at = max(one.ended_at for one in own if one.ended_at is not None)
    return LedgerEntry(
        id=entry_id(at, f"told-{notice.id}", order=f"{at:%H%M%S%f}"),
        kind="notice",
        at=at,
        endpoint_key=notice.endpoint_key,
        target=notice.target,
        loop="",
        summary=f"{_words(own)}: {notice.subject}",
        body={
            "told": notice.id,
            "state": state,
            "members": list(posted.members),
            "deliveries": [to_plain(one) for one in ways],
        },
    )


def _words(ways: Sequence[Delivery]) -> str:
    told = [_name(one) for one in ways if one.state == "delivered"]
    untold = [f"{_name(one)} ({one.problem})" for one in ways if one.state == "failed"]
    parts = [f"Told by {', '.join(told)}"] if told else []
    parts += [f"{'not' if told else 'Not told'} by {', '.join(untold)}"] if untold else []
    return "; ".join(parts)


def _name(way: Delivery) -> str:
    return f"{way.channel} to {way.recipient}" if way.recipient else way.channel
