"""What operators see of a request for approval, as plain JSON values. Never a link or a token."""

from datetime import datetime
from typing import Any

from shared.domain import Answer, ApprovalRequest
from shared.records.codec import to_plain
from shared.safety.approvals.rules import standing
from shared.safety.approvals.words import HOW, change_words

Plain = dict[str, Any]


def request_view(request: ApprovalRequest, *, in_full: bool = False) -> Plain:
    """A request, which is as it must be taken now; `in_full` with the decision that it is about."""
    decision = request.decision
    shown: Plain = {
        "id": request.id,
        "state": request.state,
        "sentence": f"{request.target_name}: {change_words(decision)}. {standing(request)}",
        "target": request.target_name,
        "project": request.project,
        "loop": request.loop,
        "change": {"dimension": decision.dimension, "from": decision.current, "to": decision.to},
        "rule": decision.rule,
        "reason": decision.reason,
        "plan": request.plan,
        "asked_at": request.asked_at.isoformat(),
        "asks": [{"rule": ask.rule, "who": list(ask.who), "needed": ask.needed} for ask in request.requirement.asks],
        "delivered_at": _text(request.delivered_at),
        "undeliverable": list(request.undeliverable),
        "deadline": _text(request.deadline if request.state == "pending" else None),
        "valid_until": _text(request.valid_until),
        "answers": [_answer_view(answer) for answer in request.answers],
        "ended_at": _text(request.ended_at),
        "ended_why": request.ended_why,
    }
    return shown | {"decision": to_plain(decision)} if in_full else shown


def _answer_view(answer: Answer) -> Plain:
    return {
        "who": answer.who,
        "verdict": answer.verdict,
        "why": answer.why,
        "at": answer.at.isoformat(),
        "how": answer.how,
        "known_of_who": HOW[answer.how],
    }


def _text(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
