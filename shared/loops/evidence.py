"""What the ledger keeps of a decision: everything that it rested on, to be explained and replayed offline."""

from collections.abc import Sequence
from datetime import datetime

from shared.domain import Decision, Intent, Mode, ScalingSnapshot, TargetRecord
from shared.policy import Target
from shared.records.codec import to_plain
from shared.records.ledger import LedgerEntry


def decision_entry(
    decision: Decision,
    intents: Sequence[Intent],
    snapshot: ScalingSnapshot,
    record: TargetRecord,
    target: Target,
    loop: str,
    mode: Mode,
    cause: str,
) -> LedgerEntry:
    """The ledger's entry of a decision that changes something."""
    return LedgerEntry(
        id=decision.id,
        kind="decision",
        at=decision.at,
        endpoint_key=target.deployment_id.endpoint_key,
        target=target.name,
        loop=loop,
        summary=f"{decision.current} -> {decision.to} ({decision.rule}): {decision.reason}",
        body={
            "decision": to_plain(decision),
            "plan": decision.plan_hash,
            "mode": mode,
            "cause": cause,
            "intents": [to_plain(intent) for intent in intents],
            "snapshot": to_plain(snapshot),
            "record": to_plain(record),
            "target": target.model_dump(mode="json"),
        },
    )


def notice_entry(subject: str, target: Target, loop: str, reason: str, now: datetime) -> LedgerEntry:
    """Something that people should know and that is neither decision nor outcome."""
    return LedgerEntry(
        id=f"{now:%Y%m%dT%H%M%S}-{subject}",
        kind="notice",
        at=now,
        endpoint_key=target.deployment_id.endpoint_key,
        target=target.name,
        loop=loop,
        summary=reason,
        body={},
    )
