"""One page for the person on call: what stops changes, what waits for somebody, and whether Watchkeeper itself is well.

Each part is read by itself, all at the same time: where one cannot be read, that part says so and hides no other.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from shared.overview import health, stops, work
from shared.overview.parts import Part, Plain, Shown

if TYPE_CHECKING:
    from shared.services import Services

log = logging.getLogger("watchkeeper")

# A part that needs longer is shown as one that cannot be read: the page must come while something is down.
PATIENCE_S = 10.0

PARTS: Mapping[str, Part] = {
    "modes": stops.modes,
    "kill_switches": stops.kill_switches,
    "pauses": stops.pauses,
    "freezes": stops.freezes,
    "breakers": stops.breakers,
    "blast_radius": stops.blast_radius,
    "exemptions": stops.exemptions,
    "approvals": work.approvals,
    "actions": work.actions,
    "quarantine": work.quarantine,
    "dead_letters": work.dead_letters,
    "notices": work.notices,
    "policy": health.policy,
    "unwatched": health.unwatched,
    "timers": health.timers,
    "secrets": health.secrets,
}


async def overview(made: "Services", parts: Mapping[str, Part] = PARTS) -> Plain:
    """The page: `attention`, a sentence for each thing that somebody should look at, and every part by its name."""
    shown = await asyncio.gather(*(_shown(made, name, part) for name, part in parts.items()))
    return {
        "at": made.now().isoformat(),
        "attention": [sentence for one in shown for sentence in one.attention],
        **{name: one.view for name, one in zip(parts, shown, strict=True)},
    }


async def _shown(made: "Services", name: str, part: Part) -> Shown:
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await part(made, made.now())
    except TimeoutError:
        why = f"no answer within {PATIENCE_S:.0f} s"
    except Exception as error:  # whatever it is, the other parts are shown
        log.exception("the overview's part %s could not be read", name)
        why = f"{type(error).__name__}: {error}"
    problem = f"could not be read: {why}"
    return Shown({"problem": problem}, (f"{name} {problem}",))
