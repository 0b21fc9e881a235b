"""The gate of leases: what was decided for the holder of a lease is done while it holds it, or not at all; and what was
decided before a rollout took its lease is not done against what that rollout needs.
"""

from shared.decisions.arbitration import Subject, arbitrate, leaseless, standing
from shared.safety.facts import ActFacts, Refusal


def gate(facts: ActFacts) -> Refusal | None:
    if facts.decision is None:
        return None
    endpoint = facts.target.deployment_id.endpoint_key
    why = leaseless(facts.decision, endpoint, facts.intents, facts.now)
    if why is not None:
        return Refusal(code=why[0], reason=why[1], remedy="Whoever needs it asks for the lease again.")
    return _overtaken(facts, endpoint)


def _overtaken(facts: ActFacts, endpoint: str) -> Refusal | None:
    decision = facts.decision
    if decision is None or decision.dimension != "capacity":
        return None
    rollouts = [intent for intent in facts.intents if intent.source == "rollout"]
    subject = Subject(current=decision.current, policy_version=decision.policy_version)
    intents = standing(decision, rollouts)
    again = arbitrate({decision.target: subject}, intents, facts.now, endpoint)[decision.target]
    if again.to == decision.to:
        return None
    return Refusal(code=again.rule, reason=again.reason, remedy="It is decided afresh, with what the rollout needs.")
