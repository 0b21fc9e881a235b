"""The gate of the kill switch: no change in its scope, whatever was decided."""

from shared.safety.facts import ActFacts, Refusal


def gate(facts: ActFacts) -> Refusal | None:
    kill = facts.controls.kill_for(facts.place)
    if kill is None:
        return None
    return Refusal(
        code="kill_switch",
        reason=f"Kill switch for {kill.scope}: on since {kill.at:%Y-%m-%d %H:%M} UTC ({kill.by}: {kill.reason}).",
        remedy="Turn it off with DELETE /api/kill-switch when it is safe to act again.",
    )
