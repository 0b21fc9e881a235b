"""What a gate judges, and what it may answer. The act reads all of it afresh: what a sweep saw does not count."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from shared.domain import Act, Action, ApprovalRequest, Decision, Intent, Mode, Place, Requirement
from shared.policy import Limits, Policy, Target
from shared.records.controls import Controls
from shared.records.gates import GateRecords


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why the act may not happen now: a stable code, a reason and what to do about it. The decision has its end."""

    code: str
    reason: str
    remedy: str

    @property
    def sentence(self) -> str:
        return f"{self.reason} {self.remedy}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Why the act may not happen yet: the decision stands, and is looked at again after `retry_after_s`."""

    code: str
    reason: str
    remedy: str
    retry_after_s: float

    @property
    def sentence(self) -> str:
        return f"{self.reason} {self.remedy}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AsksPeople:
    """The act waits for people, and nobody polls for them: their answer, or the next sweep, starts it again.

    `asked`: they have been asked already.
    """

    requirement: Requirement
    asked: bool
    code: str = "waits_for_approval"
    remedy: str = "GET /api/approvals shows who is asked and until when; they answer by their links or by the API."

    @property
    def reason(self) -> str:
        asks = (f"{ask.needed} of {', '.join(ask.who)} ({ask.rule})" for ask in self.requirement.asks)
        return f"It waits for approval of {'; and of '.join(asks)}."

    @property
    def sentence(self) -> str:
        return f"{self.reason} {self.remedy}"


type Shut = Refusal | Wait | AsksPeople


@dataclass(frozen=True, slots=True, kw_only=True)
class ActFacts:
    """Everything that the gates judge of one act at `place`, as read at `now`.

    `decision` is the plan; None where the question is only whether an `act` of this kind would be let through. `mode`
    is what policy gives loop and target, before any kill switch. `intents` are the live intents on this target and
    its endpoint: a hold or a lease among them that came after the decision counts. `action` is the one in the row of
    this target and dimension, `approval` what became of the question whether this decision may be carried out; None:
    there is none. `records` is what the gates remember; `region` ("" if unknown) and `tags` are the deployment's.
    """

    now: datetime
    policy: Policy
    target: Target
    place: Place
    act: Act
    decision: Decision | None
    mode: Mode
    controls: Controls
    intents: tuple[Intent, ...] = ()
    action: Action | None = None
    approval: ApprovalRequest | None = None
    records: GateRecords = field(default_factory=GateRecords)
    region: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def rules(self) -> Policy:
        """What holds for the target: the policy, as its environment and its project make it stricter."""
        return self.policy.of(self.target)

    @property
    def limits(self) -> Limits:
        return self.rules.limits


type Gate = Callable[[ActFacts], Shut | None]
