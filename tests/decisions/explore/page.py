"""The parts of docs/arbitration.md that come from the code and from what was explored."""

import re
from collections.abc import Iterable
from pathlib import Path

from shared.decisions.arbitration import PRECEDENCE
from shared.domain import Source
from tests.decisions.explore.invariants import INVARIANTS
from tests.decisions.explore.mutations import OTHERS, SWAPS
from tests.decisions.explore.search import Explored
from tests.decisions.explore.world import Model

PAGE = Path(__file__).parents[3] / "docs" / "arbitration.md"

_WHO: dict[Source, tuple[str, str, str]] = {
    "person": ("A person: a pause, or an order", "hold, wish", "Everything; a hold also below a safety floor, alarmed"),
    "manual_change": ("A change at Azure that we did not make", "hold", "Keeps what is there for `respect_manual_s`"),
    "rollout": (
        "A rollout or another undertaking, under its lease",
        "lease, wish, floor, hold",
        "Alone moves traffic, makes and deletes deployments; keeps the stable side; never below a safety floor",
    ),
    "platform": (
        "The platform: safety floors, limits, waits",
        "floor, ceiling, hold",
        "Asks for at least, allows at most",
    ),
    "budget": ("Hard budget stops", "ceiling, wish", "Less, down to what the traffic needs; deletes what has none"),
    "scaling": ("The scaling loop", "wish, hold", "More or less, by the load"),
    "savings": ("Savings", "wish", "Less, where scaling asks for nothing"),
}


def precedence_table() -> str:
    """Highest first, from the code's order."""
    lines = ["| | who | says | what it may do | outranked by |", "|---|---|---|---|---|"]
    highest_first = PRECEDENCE[::-1]
    for place, source in enumerate(highest_first, start=1):
        who, kinds, may = _WHO[source]
        above = ", ".join(f"`{each}`" for each in highest_first[: place - 1]) or "nobody"
        lines.append(f"| {place} | {who} (`{source}`) | {kinds} | {may} | {above} |")
    return "\n".join(lines)


def invariant_table() -> str:
    return "\n".join(
        ["| | must hold |", "|---|---|", *(f"| `{name}` | {words} |" for name, words in INVARIANTS.items())]
    )


def mutation_table() -> str:
    lines = ["| what is broken | noticed by | in the model |", "|---|---|---|"]
    lines += [f"| {each.name} | `{each.invariant}` | {each.model.name} |" for each in (*SWAPS, *OTHERS)]
    return "\n".join(lines)


def model_row(model: Model, explored: Explored) -> str:
    """One model with its bounds and what it took to see all of it."""
    voices = ", ".join(voice.name for voice in model.voices)
    return (
        f"| {model.name} | {model.about} | {voices} | {model.moves} | {explored.states:,} | {explored.transitions:,} "
        f"| {explored.depth} |"
    )


def model_table(rows: Iterable[str]) -> str:
    head = "| model | about | voices | changes at Azure | states | transitions | depth |"
    return "\n".join([head, "|---|---|---|---|---|---|---|", *rows])


def with_part(page: str, name: str, text: str) -> str:
    """The page with its part `name` replaced."""
    pattern = re.compile(rf"(<!-- {name}: generated -->\n).*?(<!-- end -->)", re.DOTALL)
    if not pattern.search(page):
        raise ValueError(f"{PAGE.name} has no part '<!-- {name}: generated -->' ... '<!-- end -->'")
    return pattern.sub(lambda found: f"{found.group(1)}{text}\n{found.group(2)}", page)
