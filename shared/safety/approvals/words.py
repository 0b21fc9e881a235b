"""What people and the ledger are told of a request for approval. Pure; no link or token goes into the ledger."""

import hashlib
from collections.abc import Mapping
from datetime import datetime

from pydantic import JsonValue

from shared.domain import Answer, ApprovalRequest, Decision, Notice, entry_id
from shared.records.chain import LedgerEntry
from shared.records.codec import to_plain
from shared.safety.approvals.rules import standing

HOW = {
    "link": "by the link that was sent to this address",
    "sign-in": "by the API, signed in",
    "stated": "by the API, by whoever holds its key and stated this name",
}
"""How an answer came, and what is known of its author."""


def change_words(decision: Decision) -> str:
    """What would be done, in short."""
    what = "instances" if decision.dimension == "capacity" else decision.dimension
    return f"{decision.current} -> {decision.to} {what}"


# ---- notices


def asked_id(request: ApprovalRequest, recipient: str) -> str:
    """The id of the notice by which this person is asked."""
    return entry_id(request.asked_at, f"asked-{_digest(recipient)}-of-{request.id}")


def asked_notice(request: ApprovalRequest, recipient: str, links: Mapping[str, str], without: str) -> Notice:
    """The question to one person. `without` says why there are no links, "" if there are."""
    decision, needs = request.decision, request.requirement
    hours = needs.deadline_s / 3600
    facts = {
        "change": change_words(decision),
        "rule": decision.rule,
        "asked": "; ".join(f"{ask.needed} of {', '.join(ask.who)} ({ask.rule})" for ask in needs.asks),
        "answer within": f"{hours:g} h of this message; without it nothing is done",
        "plan": request.plan,
        "approval": request.id,
    }
    if without:
        facts["how to answer"] = f"POST /api/approvals/{request.id}/approve or /deny ({without})"
    return Notice(
        id=asked_id(request, recipient),
        kind="approval_requested",
        severity="warning",
        at=request.asked_at,
        subject=f"{request.target_name}: may Watchkeeper change {change_words(decision)}?",
        text=f"{decision.reason} Nothing is done before it is approved.",
        target=request.target_name,
        project=request.project,
        endpoint_key=request.endpoint_key,
        entry=decision.id,
        recipient=recipient,
        facts=facts,
        links=dict(links),
    )


def told_notices(request: ApprovalRequest, links: Mapping[str, str]) -> list[Notice]:
    """What those who were asked hear when it is approved, denied, expired or replaced; nothing when it is used."""
    at = _since(request)
    if request.state in ("pending", "used") or at is None:
        return []
    by = {answer.who: f"{answer.verdict}, {HOW[answer.how]}" for answer in request.answers}
    why = {f"{who}'s reason": text for who, text in _reasons(request).items()}
    return [
        Notice(
            id=entry_id(at, f"{request.state}-{_digest(recipient)}-of-{request.id}"),
            kind="approval_ended",
            severity="info",
            at=at,
            subject=f"{request.target_name}: {change_words(request.decision)} was {request.state}",
            text=standing(request),
            target=request.target_name,
            project=request.project,
            endpoint_key=request.endpoint_key,
            entry=request.decision.id,
            recipient=recipient,
            facts={"plan": request.plan, "approval": request.id} | _undo(request) | by | why,
            links=dict(links),
        )
        for recipient in request.requirement.recipients
    ]


def _undo(request: ApprovalRequest) -> dict[str, str]:
    """How what was approved is put back. A path and no link: opening a link must not act."""
    decision = request.decision
    if request.state != "approved" or decision.dimension != "capacity":
        return {}
    return {"how to undo": f"once it is done: POST /api/undo/{decision.id} with by and reason"}


def _since(request: ApprovalRequest) -> datetime | None:
    """Since when it is in its state."""
    if request.state == "approved":
        return request.answers[-1].at
    return request.ended_at


def _reasons(request: ApprovalRequest) -> dict[str, str]:
    return {answer.who: answer.why for answer in request.answers if answer.why}


# ---- ledger


def entries(request: ApprovalRequest) -> list[LedgerEntry]:
    """Everything that has happened to it, oldest first; the same event is always the same entry."""
    decision = request.decision
    asked = "; ".join(f"{ask.needed} of {', '.join(ask.who)} ({ask.rule})" for ask in request.requirement.asks)
    summary = f"Asked whether to change {change_words(decision)}: {asked}."
    found = [_entry(request, "asked", request.asked_at, summary, {"request": to_plain(_as_asked(request))})]
    found += [
        _entry(request, f"undeliverable-{_digest(who)}", at, f"{who} could not be asked: not delivered.", {"who": who})
        for who, at in request.undeliverable.items()
    ]
    found += [_answer_entry(request, answer) for answer in request.answers]
    if request.ended_at is not None and request.state != "denied":  # a no says it all
        summary = "Used: the approved plan is carried out." if request.state == "used" else standing(request)
        found.append(_entry(request, request.state, request.ended_at, summary, {"why": request.ended_why}))
    return found


def _as_asked(request: ApprovalRequest) -> ApprovalRequest:
    return ApprovalRequest(
        id=request.id,
        plan=request.plan,
        decision=request.decision,
        endpoint_key=request.endpoint_key,
        target_name=request.target_name,
        project=request.project,
        loop=request.loop,
        requirement=request.requirement,
        asked_at=request.asked_at,
    )


def _answer_entry(request: ApprovalRequest, answer: Answer) -> LedgerEntry:
    words = "Approved" if answer.verdict == "approve" else "Denied"
    why = f": {answer.why}" if answer.why else "; no reason given."
    body: dict[str, JsonValue] = {
        "who": answer.who,
        "verdict": answer.verdict,
        "why": answer.why,
        "at": answer.at.isoformat(),
        "how": answer.how,
        "known_of_who": HOW[answer.how],
    }
    name = f"{answer.verdict}-{_digest(answer.who)}"
    return _entry(request, name, answer.at, f"{words} by {answer.who} ({HOW[answer.how]}){why}", body)


def _entry(
    request: ApprovalRequest, event: str, at: datetime, summary: str, body: Mapping[str, JsonValue]
) -> LedgerEntry:
    return LedgerEntry(
        id=entry_id(at, f"approval-{event}-of-{request.id}"),
        kind="approval",
        at=at,
        endpoint_key=request.endpoint_key,
        target=request.target_name,
        loop=request.loop,
        summary=summary,
        body={"approval": request.id, "plan": request.plan, **body},
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:10]
