"""What is kept of one target between two looks, whatever the loop."""

from dataclasses import dataclass, field
from datetime import datetime

from shared.domain.shadow import Shadow
from shared.domain.snapshots import ScalingMemory


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRecord:
    """`recorded_plan` is the plan hash that the ledger holds last (holds are counted, not written, in `holds`);
    `known_capacity` is the last capacity that we saw (first at `known_at`): another one that we did not order is a
    person's change. `decisions` counts those in the ledger. `last_rule` and `last_reason` are what the last look said,
    with this rule since `last_rule_since`: so that people see a loop that can do nothing; `told_rule` is
    the rule that people were told to worry about, "" if they were told that it is over, and `calm_since` since when it
    no longer holds without their having been told; `told_alarm` says whether they were told of a hold below a floor
    that still lasts. `rules_told` and `alarms_told` count these tellings: how often people were told of a rule's coming
    or going, and of an alarm. `waiting_plan` is the plan hash of a decision that waits for people, and of which nothing
    else is remembered yet. `shadow` is what the decisions would have come to.
    """

    schema: int = 4
    recorded_plan: str = ""
    known_capacity: int | None = None
    known_at: datetime | None = None
    decisions: int = 0
    holds: int = 0
    last_rule: str = ""
    last_reason: str = ""
    last_rule_since: datetime | None = None
    told_rule: str = ""
    calm_since: datetime | None = None
    told_alarm: bool = False
    rules_told: int = 0
    alarms_told: int = 0
    waiting_plan: str = ""
    scaling: ScalingMemory = field(default_factory=ScalingMemory)
    shadow: Shadow = field(default_factory=Shadow)
