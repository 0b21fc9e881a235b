"""What to do about one target on one dimension, why, and why the others lost."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime

from shared.domain.intents import Dimension, IntentKind, Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Overruled:
    """An intent that did not get what it wanted, and what stood above it."""

    source: Source
    kind: IntentKind
    value: int | None
    rule: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """From `current` to `to` instances (equal: leave it). `alarms` are sentences that a person must see now.

    `plan_hash` names the plan: the same in observe and in enforce. `id` names this decision of this plan.
    """

    id: str
    target: str
    dimension: Dimension
    current: int
    to: int
    rule: str
    reason: str
    winner: Source | None
    policy_version: str
    at: datetime
    overruled: tuple[Overruled, ...] = ()
    alarms: tuple[str, ...] = ()

    @property
    def changes(self) -> bool:
        return self.to != self.current

    @property
    def plan_hash(self) -> str:
        return plan_hash(self.target, self.current, self.to, self.rule, self.policy_version)


def plan_hash(target: str, current: int, to: int, rule: str, policy_version: str) -> str:
    """SHA-256 (16 hex digits) over what makes two plans the same plan."""
    plan = json.dumps([target, current, to, rule, policy_version])
    return hashlib.sha256(plan.encode()).hexdigest()[:16]
