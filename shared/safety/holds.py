"""The gate of people's holds: a pause, a change that somebody else made, a rollout that needs things as they are."""

from shared.decisions.arbitration import holder_of
from shared.domain import Intent
from shared.safety.facts import ActFacts, Refusal

_PEOPLE = ("manual_change", "person")
_ABOVE_A_ROLLOUTS_HOLD = ("platform", "rollout")
"""A safety floor binds what a rollout holds, and a rollout may change what it holds itself."""


def gate(facts: ActFacts) -> Refusal | None:
    pause = facts.controls.pause_for(facts.place)
    if pause is not None:
        return Refusal(
            code="paused",
            reason=f"{pause.scope} is paused by {pause.by}: {pause.reason}.",
            remedy="Resume with POST /api/resume, or wait until the pause ends.",
        )
    for intent in facts.intents:
        if intent.kind == "hold" and intent.is_live(facts.now) and _counts(intent, facts):
            return Refusal(code=intent.rule, reason=intent.reason, remedy="It ends by itself at its expiry.")
    return None


def _counts(intent: Intent, facts: ActFacts) -> bool:
    deployment = facts.target.deployment_id
    if intent.target != deployment.key:
        return False
    if intent.source != "rollout":
        return intent.source in _PEOPLE
    if facts.decision is not None and facts.decision.winner in _ABOVE_A_ROLLOUTS_HOLD:
        return False
    mine = (i for i in facts.intents if i.target == deployment.endpoint_key and i.is_live(facts.now))
    lease = holder_of(mine)
    return not intent.holder or (lease is not None and lease.holder == intent.holder)
