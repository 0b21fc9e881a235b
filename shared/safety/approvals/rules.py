"""What becomes of a request for approval: pure. The clock is passed in, and every way out but a yes is the safe side.

pending -> approved -> used          a no, at any time before `used`: denied
   |          |                      no answer by the deadline, or not carried out while valid: expired
   +----------+-> denied, expired, replaced
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal

from shared.domain import Action, Answer, ApprovalRequest, Ask, Decision, Place, Requirement
from shared.policy import Policy, Target
from shared.policy.approvals import Change, requirement
from shared.safety.facts import ActFacts, AsksPeople, Refusal

Fault = Literal["not_a_recipient", "not_asked_yet", "already_answered", "already_ended"]

CLOCKS_DIFFER = timedelta(minutes=5)
"""By no more than this do the clocks of two processes differ."""


class NotCounted(Exception):
    """An answer that changes nothing: a stable code and a sentence for whoever gave it."""

    def __init__(self, code: Fault, sentence: str) -> None:
        super().__init__(sentence)
        self.code: Fault = code


def needed_for(policy: Policy, target: Target, place: Place, decision: Decision) -> Requirement | None:
    """Whom this plan waits for by the policy of now, None if for nobody."""
    change = Change(
        dimension=decision.dimension,
        by=decision.to - decision.current,
        price_usd_per_hour=target.scaling.price_usd_per_hour,
    )
    return requirement(policy.of(target).approvals, place, target.environment, change)


def as_of(request: ApprovalRequest, now: datetime) -> ApprovalRequest:
    """The request as it must be taken at `now`: what ran out is expired, whether anybody wrote that or not."""
    if request.state == "pending" and now >= request.deadline:
        return ended(request, "expired", _why_expired(request), now)
    if request.state == "approved" and request.valid_until is not None and now >= request.valid_until:
        why = f"It was approved, and could not be carried out until {_clock(request.valid_until)}."
        return ended(request, "expired", why, now)
    return request


def _why_expired(request: ApprovalRequest) -> str:
    if request.delivered_at is None and not request.answers:
        lost = ", ".join(request.undeliverable) or ", ".join(request.requirement.recipients)
        return f"It could not be delivered until {_clock(request.deadline)}: not told were {lost}."
    missing = "; ".join(_missing(request, ask) for ask in request.requirement.asks if not _is_satisfied(request, ask))
    return f"Not approved until {_clock(request.deadline)}: {missing}."


def _missing(request: ApprovalRequest, ask: Ask) -> str:
    said = len(request.yes & set(ask.who))
    return f"{said} of {ask.needed} said yes ({ask.rule}: {', '.join(ask.who)})"


def ended(
    request: ApprovalRequest, state: Literal["denied", "expired", "replaced", "used"], why: str, at: datetime
) -> ApprovalRequest:
    """The request at its end. An end is never left again."""
    if not request.is_open:
        raise ValueError(f"approval {request.id} has ended already: {request.state}")
    return replace(request, state=state, ended_at=at, ended_why=why)


def is_satisfied(needs: Requirement, request: ApprovalRequest) -> bool:
    """Whether enough of the people of every rule said yes; one who is named by two rules counts for both."""
    return all(_is_satisfied(request, ask) for ask in needs.asks)


def _is_satisfied(request: ApprovalRequest, ask: Ask) -> bool:
    return len(request.yes & set(ask.who)) >= ask.needed


def answered(request: ApprovalRequest, answer: Answer) -> ApprovalRequest:
    """The request with one more answer. A no ends it at any time, also after this person's own yes.

    Raises:
        NotCounted: by somebody who was not asked, before it was asked, a second time, or after its end.
    """
    now = answer.at
    if answer.who not in request.requirement.recipients:
        raise NotCounted("not_a_recipient", f"{answer.who} was not asked: only the people whom the policy names may.")
    if not request.told:
        raise NotCounted("not_asked_yet", "The question is still on its way to the people who are asked. Try again.")
    said = _said_before(request, answer)
    if said is not None:
        words = "approved" if said.verdict == "approve" else "denied"
        raise NotCounted("already_answered", f"You {words} it at {_clock(said.at)}; that counts. {standing(request)}")
    request = as_of(request, now)
    if not request.is_open:
        raise NotCounted("already_ended", f"This answer comes too late and changes nothing. {standing(request)}")
    given = replace(request, answers=(*request.answers, answer))
    if answer.verdict == "deny":
        why = f"{answer.who} said no" + (f": {answer.why}" if answer.why else ".")
        return ended(given, "denied", why, now)
    if request.state == "pending" and is_satisfied(request.requirement, given):
        until = now + timedelta(seconds=request.requirement.valid_for_s)
        return replace(given, state="approved", valid_until=until)
    return given


def _said_before(request: ApprovalRequest, answer: Answer) -> Answer | None:
    """This link's earlier use, or this person's last word if it was the same."""
    by_link = next((one for one in request.answers if answer.link and one.link == answer.link), None)
    last = next((one for one in reversed(request.answers) if one.who == answer.who), None)
    return by_link or (last if last is not None and last.verdict == answer.verdict else None)


def begun(request: ApprovalRequest, now: datetime) -> ApprovalRequest:
    """The request once its act begins: it is used up.

    Raises:
        NotCounted: it is not approved (any more).
    """
    request = as_of(request, now)
    if request.state != "approved":
        raise NotCounted("already_ended", standing(request))
    return ended(request, "used", "It is carried out.", now)


def standing(request: ApprovalRequest) -> str:
    """One sentence: how the request stands."""
    match request.state:
        case "pending":
            missing = [_missing(request, ask) for ask in request.requirement.asks if not _is_satisfied(request, ask)]
            return f"It waits: {'; '.join(missing)}."
        case "approved":
            return f"It is approved by {', '.join(sorted(request.yes))}."
        case "used":
            return f"It was approved by {', '.join(sorted(request.yes))} and has been carried out or is just being."
        case "denied" | "expired" | "replaced":
            at = "" if request.ended_at is None else f" at {_clock(request.ended_at)}"
            return f"It was {request.state}{at}: {request.ended_why}"


def reason_to_replace(waiting: Decision, newer: Decision, needs: Requirement, *, hesitates: bool) -> str | None:
    """Why a newer decision takes the place of one that waits, None if it does not.

    Only a reversal does (another direction, or no need any more), or a difference beyond the tolerance. A loop that
    `hesitates` (it cannot see, a cool-down) reverses nothing.
    """
    if not newer.changes and hesitates:
        return None
    if newer.current != waiting.current:
        return f"There are {newer.current} instances now, not {waiting.current} as when it was asked."
    if not newer.changes:
        return f"It is not wanted any more ({newer.rule}): {newer.reason}"
    if (newer.to > newer.current) != (waiting.to > waiting.current):
        return f"The opposite is wanted now, {newer.current} -> {newer.to} ({newer.rule}): {newer.reason}"
    allowed = max(needs.tolerance_instances, needs.tolerance_pct / 100 * abs(waiting.to - waiting.current))
    if abs(newer.to - waiting.to) > allowed:
        return (
            f"{newer.to} instances are wanted now, not {waiting.to}: that differs by more than the policy's tolerance "
            f"of {allowed:g} ({newer.rule}: {newer.reason})"
        )
    return None


def rests(request: ApprovalRequest, newer: Decision, now: datetime) -> bool:
    """Whether what was denied, or not answered, lately is not asked again as this newer decision: it is much the same
    plan, and people have had the question.
    """
    if request.state not in ("denied", "expired") or request.ended_at is None or not newer.changes:
        return False
    if request.ended_at - now > CLOCKS_DIFFER:  # a clock was wrong then; it would rest until that time came
        return False
    until = request.ended_at + timedelta(seconds=request.requirement.ask_again_after_s)
    return now < until and reason_to_replace(request.decision, newer, request.requirement, hesitates=False) is None


def gate(facts: ActFacts) -> Refusal | AsksPeople | None:
    """Open without a rule that gates this plan, or with the approval of exactly this plan for this one act."""
    if facts.decision is None:
        return None
    needs = needed_for(facts.policy, facts.target, facts.place, facts.decision)
    if needs is None:
        return None
    return judged(needs, facts.decision, facts.approval, facts.action, facts.now)


def judged(
    needs: Requirement, decision: Decision, request: ApprovalRequest | None, action: Action | None, now: datetime
) -> Refusal | AsksPeople | None:
    """What the question about this decision says of its act now; `action` is the one in its row."""
    if request is None or not request.told:
        return AsksPeople(requirement=needs, asked=False)
    request = as_of(request, now)
    if (request.id, request.plan) != (decision.id, decision.plan_hash):
        return Refusal(
            code="approval_of_another_plan",
            reason=f"What was approved is plan {request.plan}, and this is plan {decision.plan_hash}.",
            remedy="It is decided afresh, and asked anew.",
        )
    if request.state == "pending":
        return AsksPeople(requirement=needs, asked=True)
    # An act that used the approval goes on, however often its request must be repeated; no other one may.
    if request.state == "used" and (action is None or action.key != decision.id or action.is_over):
        return Refusal(
            code="approval_used",
            reason="This approval was used before: one approval allows one act.",
            remedy="It is decided afresh, and asked anew.",
        )
    if request.state in ("approved", "used"):
        return None if is_satisfied(needs, request) else _asks_for_more(needs, request)
    return Refusal(
        code=f"approval_{request.state}", reason=standing(request), remedy="It is not done; that is the safe side."
    )


def _asks_for_more(needs: Requirement, request: ApprovalRequest) -> Refusal:
    missing = "; ".join(_missing(request, ask) for ask in needs.asks if not _is_satisfied(request, ask))
    return Refusal(
        code="approval_rules_changed",
        reason=f"The policy asks for more now than when it was approved: {missing}.",
        remedy="It is decided afresh, and asked anew.",
    )


def _clock(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
