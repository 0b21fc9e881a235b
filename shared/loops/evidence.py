"""What the ledger keeps of a decision: everything that it rested on, to be explained and replayed offline."""

import hashlib
from collections.abc import Sequence
from datetime import datetime

from pydantic import JsonValue

from shared.domain import Ask, Decision, Intent, Mode, Outcome, Requirement, ScalingSnapshot, TargetRecord, entry_id
from shared.policy import Target
from shared.records.chain import LedgerEntry
from shared.records.codec import to_plain
from shared.records.outcomes import outcome_entry
from shared.safety.facts import Shut


def decision_entry(
    decision: Decision,
    intents: Sequence[Intent],
    snapshot: ScalingSnapshot,
    record: TargetRecord,
    target: Target,
    loop: str,
    mode: Mode,
    cause: str,
    needs: Requirement | None = None,
    refusing: Sequence[Shut] = (),
) -> LedgerEntry:
    """The ledger's entry of a decision that changes something.

    `needs`: whose approval it waits for, or would; `refusing`: the gates that would not let it through. In `enforce`
    the act says what became of it; in `observe` only this can.
    """
    would_be = f" Would be refused: {refusing[0].code}." if refusing and mode != "enforce" else ""
    words = f"{decision.reason}{_asks(needs, mode)}{would_be}"
    return LedgerEntry(
        id=decision.id,
        kind="decision",
        at=decision.at,
        endpoint_key=target.deployment_id.endpoint_key,
        target=target.name,
        loop=loop,
        summary=f"{decision.current} -> {decision.to} ({decision.rule}): {words}",
        body={
            "decision": to_plain(decision),
            "plan": decision.plan_hash,
            "mode": mode,
            "cause": cause,
            "intents": [to_plain(intent) for intent in intents],
            "snapshot": to_plain(snapshot),
            "record": to_plain(record),
            "target": target.model_dump(mode="json"),
            "approval": None if needs is None else [_ask_view(ask) for ask in needs.asks],
            "refused_by": [{"code": shut.code, "reason": shut.reason, "remedy": shut.remedy} for shut in refusing],
        },
    )


def _asks(needs: Requirement | None, mode: Mode) -> str:
    if needs is None:
        return ""
    asks = "; ".join(f"{ask.needed} of {', '.join(ask.who)} ({ask.rule})" for ask in needs.asks)
    return f" It {'waits' if mode == 'enforce' else 'would wait'} for approval by {asks}."


def _ask_view(ask: Ask) -> dict[str, JsonValue]:
    return {"rule": ask.rule, "who": list(ask.who), "needed": ask.needed}


def superseded_entry(old: Decision, new: Decision, target: Target, now: datetime) -> LedgerEntry:
    """The end of a decision that was replaced before anything was done about it."""
    what = f"{new.current} -> {new.to} ({new.rule})" if new.changes else f"leave it at {new.current} ({new.rule})"
    outcome = Outcome(
        action_key=old.id,
        target=old.target,
        dimension=old.dimension,
        kind="superseded",
        code="newer_decision",
        reason=f"Replaced before it was sent, by: {what}",
        to=old.to,
        observed=None,
        at=now,
    )
    return outcome_entry(target.deployment_id.endpoint_key, target.name, outcome, None)


def control_entry(what: str, by: str, reason: str, now: datetime) -> LedgerEntry:
    """What a person switched: it concerns no single endpoint. Two things switched at one instant are two entries."""
    digest = hashlib.sha256(f"{what}|{by}|{reason}".encode()).hexdigest()[:8]
    return LedgerEntry(
        id=entry_id(now, f"control-{digest}", order=f"{now:%H%M%S%f}"),
        kind="control",
        at=now,
        endpoint_key="",
        target="",
        loop="",
        summary=f"{by} {what}: {reason}",
        body={"what": what, "by": by, "reason": reason},
    )
