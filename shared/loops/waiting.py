"""A plan that waits for people, as a round sees it: what a newer decision does to it, and what the loop may remember.

While a plan waits, the loop remembers nothing of it: it goes on saying what it wants on what it sees, so that each look
tells whether the plan still fits. The change is remembered once its act has begun.
"""

from dataclasses import replace
from datetime import datetime

from shared.domain import Action, ApprovalRequest, Decision, Place, Requirement, TargetRecord
from shared.policy import Policy, Target
from shared.safety.approvals.desk import ApprovalDesk
from shared.safety.approvals.rules import needed_for, reason_to_replace, rests


class Waiting:
    """For the round of one endpoint."""

    def __init__(self, desk: ApprovalDesk, policy: Policy, now: datetime) -> None:
        self._desk, self._policy, self._now = desk, policy, now
        self._questions: dict[str, ApprovalRequest] = {}

    def needs(self, target: Target, place: Place, decision: Decision) -> Requirement | None:
        """Whom this plan would wait for, None if for nobody."""
        return needed_for(self._policy, target, place, decision)

    async def keeps(
        self, decision: Decision, waiting: Decision | None, needs: Requirement | None, *, hesitates: bool
    ) -> bool:
        """Whether things stay as they are in spite of a newer `decision`, which is then not recorded.

        That is where `waiting`, a decision that nobody has sent, was asked about, and the newer one neither reverses it
        nor differs by more than the tolerance (what differs ends the question, and says why); and where people denied
        much the same lately, or did not answer.
        """
        question = None if waiting is None else await self._desk.about(waiting.id)
        if waiting is not None and question is not None and question.is_open:
            self._questions[waiting.id] = question
            why = reason_to_replace(waiting, decision, question.requirement, hesitates=hesitates)
            return why is None or not await self._desk.replaced(question.id, why)
        if question is not None:
            return rests(question, decision, self._now)
        if waiting is not None or needs is None:
            return False
        return await self._desk.resting(decision) is not None

    def is_asked(self, waiting: Decision) -> bool:
        """Whether people have the question and have not answered: its act would only wait."""
        question = self._questions.get(waiting.id)
        return question is not None and question.told and question.state == "pending"


def noted(record: TargetRecord, plan: str) -> TargetRecord:
    """The memory of a target of which this plan waits for people, or is refused by a gate: nothing of it has begun."""
    return replace(record, waiting_plan=plan, recorded_plan="", decisions=record.decisions + 1)


def begun(record: TargetRecord, desired: Decision, action: Action | None) -> Decision | None:
    """The decision that waited and whose act has begun since, as taken at that time; None if there is none."""
    if action is None or action.key != desired.id or action.sent_at is None:
        return None
    return replace(desired, at=action.sent_at) if record.waiting_plan == desired.plan_hash else None
