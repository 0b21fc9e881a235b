"""The gates that stand inside the act, in the order in which they are asked.

Each gate is a module of this package with a pure `gate(facts)`: None if it is open, else why it is shut, with its own
code, reason and remedy. The act stops at the first that is shut; operators see the state of every one. A new gate is a
module and a line here.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from shared.safety import blast_radius, breaker, exemptions, freezes, holds, kill_switch, lease, mode, regions
from shared.safety.approvals import rules as approvals
from shared.safety.facts import ActFacts, Gate, Shut

GATES: Mapping[str, Gate] = {
    "kill_switch": kill_switch.gate,
    "mode": mode.gate,
    "hold": holds.gate,
    "lease": lease.gate,
    "exemption": exemptions.gate,
    "freeze": freezes.gate,
    "region": regions.gate,
    "breaker": breaker.gate,
    "blast_radius": blast_radius.gate,
    "approval": approvals.gate,
}
"""What a person switched comes first: it is what a person looks for. What has a price (a place in a limit) is last."""


@dataclass(frozen=True, slots=True)
class GateState:
    """One gate now: open (`shut` None), or why not."""

    name: str
    shut: Shut | None


def first_shut(facts: ActFacts) -> Shut | None:
    """The first gate that is shut for this act, or None: it may happen."""
    return next((state.shut for state in gate_states(facts) if state.shut is not None), None)


def gate_states(facts: ActFacts) -> tuple[GateState, ...]:
    """Every gate, in order."""
    return tuple(GateState(name, gate(facts)) for name, gate in GATES.items())
