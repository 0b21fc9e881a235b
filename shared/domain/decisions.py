"""What to do about one target on one dimension, why, and why the others lost."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from shared.domain.intents import Dimension, IntentKind, Source

Act = Literal["growth", "shrink", "delete", "traffic", "jobs"]
"""What a change does to a target, as people switch, freeze, limit and exempt it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overruled:
    """An intent that did not get what it wanted, and what stood above it.

    `why` is a sentence where `by` alone does not say it: something else than what ranks higher kept it from speaking.
    """

    source: Source
    kind: IntentKind
    value: int | None
    rule: str
    by: str
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """From `current` to `to` instances (equal: leave it). `alarms` are sentences that a person must see now.

    `plan_hash` names the plan: the same in observe and in enforce. `id` names this decision of this plan.
    For existence `current` and `to` are 1 or 0, for jobs the jobs that run. For traffic both are 0 and the plan is in
    `split_from` and `split_to` (deployment key -> percent); it waits until all that it `needs` (deployment key ->
    instances) serves, and for nothing else of ours. `holder` and `lease_until`: what was decided for the holder of a
    lease is sent while it has it, and before that, or not at all.
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
    split_from: Mapping[str, int] = field(default_factory=dict)
    split_to: Mapping[str, int] = field(default_factory=dict)
    needs: Mapping[str, int] = field(default_factory=dict)
    holder: str = ""
    lease_until: datetime | None = None

    @property
    def changes(self) -> bool:
        return self.to != self.current or self.split_to != self.split_from

    @property
    def act(self) -> Act:
        return act_of(self.dimension, self.current, self.to)

    @property
    def plan_hash(self) -> str:
        if self.dimension == "traffic":
            return traffic_hash(self.target, self.split_from, self.split_to, self.rule, self.policy_version)
        return plan_hash(self.target, self.current, self.to, self.rule, self.policy_version)


def act_of(dimension: Dimension, current: int, to: int) -> Act:
    """The kind of a change from `current` to `to`: instances of a capacity, 0 or 1 of an existence."""
    if dimension in ("traffic", "jobs"):
        return dimension
    if to > current:
        return "growth"
    return "delete" if dimension == "existence" else "shrink"


def plan_hash(target: str, current: int, to: int, rule: str, policy_version: str) -> str:
    """SHA-256 (16 hex digits) over what makes two plans the same plan."""
    return _hash([target, current, to, rule, policy_version])


def traffic_hash(
    target: str, split_from: Mapping[str, int], split_to: Mapping[str, int], rule: str, policy_version: str
) -> str:
    """As `plan_hash`, for traffic."""
    return _hash([target, sorted(split_from.items()), sorted(split_to.items()), rule, policy_version])


def _hash(plan: list[object]) -> str:
    return hashlib.sha256(json.dumps(plan).encode()).hexdigest()[:16]
