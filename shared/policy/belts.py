"""Safety belts as a policy writes them: how much may change in an hour, where, and when failures stop the changes."""

from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field

from shared.policy.parts import Count, Part, Percent, PositiveSeconds, refuse, unit
from shared.policy.tighten import tightens

if TYPE_CHECKING:
    from shared.policy.scaling import Scaling


def _region(text: str) -> str:
    tame = text.replace(" ", "").lower()
    if not tame.isascii() or not tame.isalnum():
        raise refuse(f"is '{text[:60]}', which is no region of Azure", "Write one like westeurope.")
    return tame


type Reversals = Annotated[int, Field(strict=True, ge=2, le=150, json_schema_extra=unit("count"))]
type Region = Annotated[str, AfterValidator(_region), Field(min_length=1, max_length=60)]


type AllPerHour = Annotated[Count, Field(description="Of all targets together.")]
type ProjectPerHour = Annotated[Count, Field(description="Of the targets of one project.")]
type WorkspacePerHour = Annotated[Count, Field(description="Of the targets in one workspace.")]
type TargetPerHour = Annotated[Count, Field(description="Of one target.")]
type FleetPercent = Annotated[Percent, Field(description="Share of all targets that may be changed.")]
type FleetFloor = Annotated[
    Count,
    Field(description="The share never means fewer targets than this, so that a small fleet can be worked on."),
]


class Budget(Part):
    """Most changes that are begun within any sixty minutes. A repetition of the same request is the same change."""

    all_per_hour: Annotated[AllPerHour, tightens("lower")]
    project_per_hour: Annotated[ProjectPerHour, tightens("lower")]
    workspace_per_hour: Annotated[WorkspacePerHour, tightens("lower")]
    target_per_hour: Annotated[TargetPerHour, tightens("lower")]
    fleet_pct_per_hour: Annotated[FleetPercent, tightens("lower")]
    fleet_floor: Annotated[FleetFloor, tightens("lower")]


class Reductions(Budget):
    """Most changes within any sixty minutes that take something away (shrink, delete) or move traffic: what hurts if
    it is wrong.
    """

    all_per_hour: Annotated[AllPerHour, tightens("lower")] = 200
    project_per_hour: Annotated[ProjectPerHour, tightens("lower")] = 50
    workspace_per_hour: Annotated[WorkspacePerHour, tightens("lower")] = 50
    target_per_hour: Annotated[TargetPerHour, tightens("lower")] = 12
    fleet_pct_per_hour: Annotated[FleetPercent, tightens("lower")] = 25.0
    fleet_floor: Annotated[FleetFloor, tightens("lower")] = 10


class Growths(Budget):
    """Most changes within any sixty minutes that add something, and so keep a promise to users: wide, because holding
    them back hurts users; they cost money.
    """

    all_per_hour: Annotated[AllPerHour, tightens("lower")] = 1000
    project_per_hour: Annotated[ProjectPerHour, tightens("lower")] = 500
    workspace_per_hour: Annotated[WorkspacePerHour, tightens("lower")] = 500
    target_per_hour: Annotated[TargetPerHour, tightens("lower")] = 30
    fleet_pct_per_hour: Annotated[FleetPercent, tightens("lower")] = 100.0
    fleet_floor: Annotated[FleetFloor, tightens("lower")] = 25


type Days = Annotated[int, Field(strict=True, ge=1, le=366, json_schema_extra=unit("days"))]


class BlastRadius(Part):
    """How much Watchkeeper may change in an hour, however good its reasons. Counted in all its processes together."""

    reductions: Annotated[Reductions, tightens("within")] = Reductions()
    """Budget of what shrinks, deletes or moves traffic. A repetition of the same request is the same change."""

    growths: Annotated[Growths, tightens("within")] = Growths()
    """Budget of what grows."""


# Where the policy names no number of reversals: nearly as many as cold start, hold and cool-downs allow at all. A load
# that wanders makes up to 0.7 of those (tests/bench/scaling/test_calm.py); what changes its mind each time makes all.
FLAPPING_SHARE = 0.9
FEWEST_REVERSALS, MOST_REVERSALS, MOST_PER_S = 5, 150, 60 / 7200


class Breaker(Part):
    """When changes that fail, or undo each other, stop all further ones until somebody looks, or a trial succeeds."""

    window_s: Annotated[PositiveSeconds, tightens("higher")] = 3600.0
    """Failures are counted this far back."""

    target_failures: Annotated[Count, tightens("lower")] = 6
    """Failed changes of one target that open its breaker."""

    scope_failures: Annotated[Count, tightens("lower")] = 15
    """Failed changes in one workspace or project that open its breaker."""

    all_failures: Annotated[Count, tightens("lower")] = 40
    """Failed changes anywhere that open the breaker of all."""

    reversals: Annotated[Reversals | None, tightens("lower")] = None
    """Changes of one target that each go against the one before: so many stop its shrinking. Left out: nearly as many
    as its cold start, hold and cool-downs allow, from 5 to 60 in two hours, reckoned with the platform's window."""

    reversal_window_s: Annotated[PositiveSeconds, tightens("higher")] = 7200.0
    """Reversals are counted this far back."""

    cool_down_s: Annotated[PositiveSeconds, tightens("higher")] = 1800.0
    """After this long, one change is let through for trial: if it works, the breaker closes."""

    def flapping_reversals(self, scaling: "Scaling") -> int:
        """What counts for a target with these cool-downs where `reversals` is left out."""
        flapping = FLAPPING_SHARE * scaling.most_reversals(self.reversal_window_s)
        most = min(MOST_REVERSALS, MOST_PER_S * self.reversal_window_s)
        return int(max(FEWEST_REVERSALS, min(most, flapping)))
