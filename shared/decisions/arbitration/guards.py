"""What no intent can ask for: that what carries traffic shrinks below its load, or is deleted.

A guard is a rule of the fold, not a loop's: whatever won, and however high it ranks, the guard speaks after it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from shared.decisions.arbitration.facts import EndpointFacts, Load
from shared.domain import Dimension

BY = "endpoint"


@dataclass(frozen=True, slots=True)
class Guarded:
    """What stays instead of what was wanted, the stable code, and why."""

    value: int
    rule: str
    reason: str


def guard(dimension: Dimension, current: int, to: int, load: Load | None) -> Guarded | None:
    """The value that must stand instead of `to`, or None where `to` harms nothing that carries traffic."""
    if load is None or to >= current or load.share == 0:
        return None
    if dimension == "existence":
        return Guarded(current, "carries_traffic", f"It is not deleted: {load.share} % of the requests rest on it.")
    if dimension != "capacity":
        return None
    if load.needed is None:
        reason = f"It is not shrunk: {load.share} % of the requests may rest on it, and what that needs is not known."
        return Guarded(current, "load_unknown", reason)
    if to >= min(current, load.needed):
        return None
    stays = min(current, load.needed)
    reason = f"It is not shrunk to {to}: {load.share} % of the requests rest on it, which needs {load.needed}."
    return Guarded(stays, "carries_traffic", reason)


def nowhere(split: Mapping[str, int], facts: EndpointFacts) -> str:
    """Why this split would send requests to a deployment that is not there or is about to go, "" if it would not."""
    for deployment, share in sorted(split.items()):
        if share > 0 and not facts.exists(deployment):
            return f"{share} % would go to {deployment}, which does not exist."
        if share > 0 and (deployment, "existence") in facts.in_flight:
            return f"{share} % would go to {deployment}, which is being deleted."
    return ""
