"""What operators see of dead letters, as plain JSON values."""

import base64
from datetime import datetime
from typing import Any

from shared.estate.dead_letter_failures import DeadLetterFailure
from shared.estate.dead_letter_messages import DeadLetter
from shared.loops.dead_letter_sources import Looked, Watched
from shared.loops.dead_letters import Dealt, How

Plain = dict[str, Any]

SHOWN_BYTES = 16 * 1024


def overview_view(looked: Looked, now: datetime) -> Plain:
    """One entity: how many, since when and why; or, where it cannot be read, why not. Missing is not zero."""
    watched, found = looked.watched, looked.found
    view = {
        "name": watched.name,
        "entity": str(watched.entity),
        "owner": watched.owner,
        "project": watched.project,
        "older_than_s": watched.older_than.total_seconds(),
    }
    if isinstance(found, DeadLetterFailure):
        return {**view, "count": looked.counted, "unreadable": str(found)}
    oldest = found.oldest_at
    return {
        **view,
        "count": found.count,
        "count_is_complete": found.complete,
        "oldest_at": oldest.isoformat() if oldest else None,
        "oldest_age_s": (now - oldest).total_seconds() if oldest else None,
        "aged": oldest is not None and now - oldest >= watched.older_than,
        "reasons": dict(found.reasons),
    }


def letter_view(letter: DeadLetter) -> Plain:
    """One message; of a large body its beginning, and it says so."""
    shown = letter.body[:SHOWN_BYTES]
    truncated = len(letter.body) > len(shown)
    body: Plain
    try:
        body = {"body": shown.decode(errors="ignore" if truncated else "strict")}
    except UnicodeDecodeError:
        body = {"body_base64": base64.b64encode(shown).decode()}
    return {
        "sequence_number": letter.sequence_number,
        "message_id": letter.message_id,
        "reason": letter.reason,
        "description": letter.description,
        "enqueued_at": letter.enqueued_at.isoformat() if letter.enqueued_at else None,
        "delivery_count": letter.delivery_count,
        **letter.details,
        "properties": dict(letter.properties),
        "size": len(letter.body),
        "truncated": truncated,
        **body,
    }


def dealt_view(watched: Watched, how: How, dealt: Dealt) -> Plain:
    """What became of the messages that an operator wanted to be out."""
    taken, entity = dealt.taken, watched.entity
    view: Plain = {
        how: list(taken.done),
        "missing": list(taken.missing),
        "failed": [{"sequence_number": number, "why": why} for number, why in taken.failed.items()],
        "more": dealt.more,
    }
    if how == "resubmitted" and entity.topic and taken.done:
        view["note"] = f"They went to the topic {entity.topic}: each of its subscriptions gets them again."
    return view
