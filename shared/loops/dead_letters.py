"""What people do about dead letters: how one is submitted again or discarded.

What is taken out is kept first, whole, in the container of the quarantine: a discard by mistake can be undone by hand,
and so can a resubmission that the queue dropped because it detects duplicates. Then it is sent, recorded, and taken out
last. A process that dies in between leaves the message in its dead-letter queue: a repetition sends it once more, which
a signal survives because its claim says that it was taken. What was kept goes after as long as the policy says.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from shared.estate.dead_letter_messages import DeadLetter
from shared.estate.dead_letters import MOST_AT_ONCE, DeadLetters, Entity, Send, Taken
from shared.loops.evidence import control_entry
from shared.records.blobs import Blobs
from shared.records.ledger import Ledger
from shared.records.quarantine import CONTAINER

if TYPE_CHECKING:
    from pydantic import JsonValue

FOLDER = "dead-letters"
_LONGEST = 500  # characters of what others wrote, in the ledger; the blob has all

How = Literal["resubmitted", "discarded"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dealt:
    """What became of the messages; `more`: there are others that were not asked for, because they were too many."""

    taken: Taken
    more: bool


async def forget_kept(blobs: Blobs, before: datetime, at_most: int) -> int:
    """Remove what was kept of dead letters that people dealt with before then; how many went."""
    container, removed = blobs.container(CONTAINER), 0
    async for kept in container.look_at_all(f"{FOLDER}/"):
        if kept.at < before and await container.delete_as_seen(kept):
            removed += 1
            if removed >= at_most:
                break
    return removed


class DeadLetterDesk:
    """Submits dead letters again, or discards them, for people."""

    def __init__(self, dead_letters: DeadLetters, blobs: Blobs, ledger: Ledger, now: Callable[[], datetime]) -> None:
        self._dead_letters = dead_letters
        self._kept = blobs.container(CONTAINER)
        self._ledger = ledger
        self._now = now

    async def deal(self, entity: Entity, how: How, numbers: Collection[int] | None, by: str, reason: str) -> Dealt:
        """Take out the messages of these sequence numbers; None: those that are there now, `MOST_AT_ONCE` at most.

        Raises:
            DeadLetterFailure: the entity cannot be reached; what was dealt with before that is in the ledger.
        """
        more = False
        if numbers is None:
            there = await self._dead_letters.peek(entity, MOST_AT_ONCE + 1)
            numbers, more = [letter.sequence_number for letter in there[:MOST_AT_ONCE]], len(there) > MOST_AT_ONCE

        async def one(letter: DeadLetter, send: Send) -> None:
            digest = hashlib.sha256(letter.body).hexdigest()
            blob = await self._keep(entity, letter, digest)
            if how == "resubmitted":
                await send()
            await self._record(entity, letter, how, by, reason, {"sha256": digest, "kept": f"{self._kept.name}/{blob}"})

        return Dealt(taken=await self._dead_letters.take(entity, numbers, one), more=more)

    async def _keep(self, entity: Entity, letter: DeadLetter, digest: str) -> str:
        """The name of the blob that holds the message, whole."""
        name = f"{FOLDER}/{entity.host}/{entity.path}/{letter.sequence_number}-{digest[:16]}.json"
        kept = {
            "entity": str(entity),
            "sequence_number": letter.sequence_number,
            "message_id": letter.message_id,
            "reason": letter.reason,
            "description": letter.description,
            "enqueued_at": letter.enqueued_at.isoformat() if letter.enqueued_at else None,
            "delivery_count": letter.delivery_count,
            **letter.details,
            "properties": dict(letter.properties),
            "body_base64": base64.b64encode(letter.body).decode(),
        }
        await self._kept.put(name, json.dumps(kept).encode(), self._now())
        return name

    async def _record(
        self, entity: Entity, letter: DeadLetter, how: How, by: str, reason: str, more: dict[str, str]
    ) -> None:
        why = letter.reason[:_LONGEST] or "no reason given"
        what = f"{how} dead letter {letter.sequence_number} of {entity} (id {letter.message_id or 'none'}, {why})"
        entry = control_entry(what, by, reason, self._now())
        body: dict[str, JsonValue] = {
            "entity": entity.name,
            "sequence_number": letter.sequence_number,
            "message_id": letter.message_id,
            "reason": letter.reason[:_LONGEST],
            "description": letter.description[:_LONGEST],
            **more,
        }
        await self._ledger.append(replace(entry, body={**entry.body, "dead_letter": body}))
