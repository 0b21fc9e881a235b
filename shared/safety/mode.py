"""The gate of the mode: only `enforce` acts."""

from shared.domain import Mode, Place
from shared.records.controls import Controls
from shared.safety.facts import ActFacts, Refusal


def allowed_mode(mode: Mode, controls: Controls, place: Place) -> Mode:
    """The mode that is left under the kill switch: what it stops is observed, not acted on."""
    return "observe" if mode == "enforce" and controls.kill_for(place) else mode


def gate(facts: ActFacts) -> Refusal | None:
    if facts.mode == "enforce":
        return None
    return Refusal(
        code=f"mode_{facts.mode}",
        reason=f"The mode of {facts.place.loop} for {facts.place.target} is {facts.mode}.",
        remedy="Set loop and target to enforce in the policy to let it act.",
    )
