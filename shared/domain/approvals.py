"""A person's word before something is done: what is asked, of whom, what they answered, and what became of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from shared.domain.decisions import Decision

ApprovalState = Literal["pending", "approved", "denied", "expired", "replaced", "used"]
"""pending: asked, too few said yes. approved: may run once, until `valid_until`. used: its act has begun. denied (a no,
also after a yes), expired and replaced: it never runs. The last four are ends."""

Verdict = Literal["approve", "deny"]

How = Literal["link", "sign-in", "stated"]
"""How an answer came, and so what is known of its author: a link that was sent to this recipient alone; the API, signed
in at the platform; the API, where whoever holds its key stated a name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What one rule of the policy asks for: `needed` different ones of `who` (mail addresses) must say yes."""

    rule: str
    who: tuple[str, ...]
    needed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """What all rules that gate a plan ask for together; every one of `asks` must be satisfied.

    `deadline_s` is for the answer and counts from delivery, `valid_for_s` for the act and counts from the last yes. A
    plan that nobody approved is not asked again for `ask_again_after_s`. A newer plan that differs by no more than
    `tolerance_instances` or `tolerance_pct` of the change, whichever is more, does not replace a waiting one.
    """

    asks: tuple[Ask, ...]
    deadline_s: float
    valid_for_s: float
    ask_again_after_s: float
    tolerance_instances: int
    tolerance_pct: float

    @property
    def recipients(self) -> tuple[str, ...]:
        """Everybody who is asked, each once, in the order of the policy. Addresses are in lower case."""
        return tuple(dict.fromkeys(who for ask in self.asks for who in ask.who))


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`who` is one of the recipients; `why` may be "". `link` names the link that brought it, "" for the API."""

    who: str
    verdict: Verdict
    why: str
    at: datetime
    how: How
    link: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRequest:
    """The question whether exactly this decision may be carried out. `id` is the decision's, so it is asked once.

    `target_name` and `project` are the policy's names. `told`: everybody's notice is in the outbox; nobody can answer
    before. `delivered_at`: since when so many people have it that enough could say yes; the deadline counts from there.
    `undeliverable` are those who could not be told, and since when that is known. `valid_until`: once approved, it may
    be carried out until then. `ended_at` and `ended_why` are those of an end.
    """

    id: str
    plan: str
    decision: Decision
    endpoint_key: str
    target_name: str
    project: str
    loop: str
    requirement: Requirement
    asked_at: datetime
    state: ApprovalState = "pending"
    told: bool = False
    delivered_at: datetime | None = None
    undeliverable: Mapping[str, datetime] = field(default_factory=dict)
    answers: tuple[Answer, ...] = ()
    valid_until: datetime | None = None
    ended_at: datetime | None = None
    ended_why: str = ""

    @property
    def is_open(self) -> bool:
        return self.state in ("pending", "approved")

    @property
    def deadline(self) -> datetime:
        """Until when enough must have said yes; before it is delivered, until when it must be."""
        return (self.delivered_at or self.asked_at) + timedelta(seconds=self.requirement.deadline_s)

    @property
    def last_moment(self) -> datetime:
        """No answer can matter after this."""
        most_s = 2 * self.requirement.deadline_s + self.requirement.valid_for_s
        return self.asked_at + timedelta(seconds=most_s)

    @property
    def yes(self) -> frozenset[str]:
        """Those whose last word is yes."""
        last = {answer.who: answer.verdict for answer in self.answers}
        return frozenset(who for who, verdict in last.items() if verdict == "approve")
