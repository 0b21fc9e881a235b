"""Facts of an act on a target of a project, with every gate open but for what a test changes."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from shared.domain import Decision
from shared.policy import Policy
from shared.records.controls import Controls
from shared.safety.facts import ActFacts, Shut
from shared.safety.gates import GATES
from tests.policy.documents import document, target

NOW = datetime(2026, 3, 11, 9, 30, tzinfo=UTC)
"""A Wednesday."""


def policy(**sections: Any) -> Policy:
    chat = target(mode="enforce", project="talk", scaling={"max": 6})
    return Policy.model_validate(document(chat, loops={"scaling": {"mode": "enforce"}}) | sections)


def plan(current: int = 3, to: int = 2, **changes: Any) -> Decision:
    fields: dict[str, Any] = {
        "id": "20260311T093000-1",
        "target": policy().targets[0].deployment_id.key,
        "dimension": "capacity",
        "current": current,
        "to": to,
        "rule": "less_suffices",
        "reason": "fewer are enough",
        "winner": "scaling",
        "policy_version": "v",
        "at": NOW,
    }
    return Decision(**fields | changes)


def facts(decision: Decision | None = None, **changes: Any) -> ActFacts:
    judged = decision or plan()
    in_force = changes.pop("policy", None) or policy()
    (one,) = in_force.targets
    open_facts = ActFacts(
        now=NOW,
        policy=in_force,
        target=one,
        place=one.place("scaling"),
        act=judged.act,
        decision=judged,
        mode="enforce",
        controls=Controls({}, {}),
    )
    return replace(open_facts, **changes)


def asked(name: str, judged: ActFacts) -> Shut | None:
    """What one gate says, which the order of all gates leads to."""
    return GATES[name](judged)
