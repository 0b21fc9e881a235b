"""The gate of regions: where anything may be changed."""

from shared.safety.facts import ActFacts, Refusal


def gate(facts: ActFacts) -> Refusal | None:
    allowed = facts.limits.allowed_regions
    if not allowed or facts.region in allowed:
        return None
    where = f"in {facts.region}" if facts.region else "in a region that could not be read"
    return Refusal(
        code="region_not_allowed",
        reason=f"The deployment is {where}; policy allows changes in {', '.join(allowed)}.",
        remedy="Add the region to limits.allowed_regions, or set the target's mode to off.",
    )
