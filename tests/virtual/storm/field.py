"""Who stands in the storm: every tenth member of the fleet has the same part, and each part has one right end.

The ends follow from floors, ceilings and holds alone, so that the test needs no second scaling formula: whoever has
work has far too much of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import yaml

from local.fleet import Member
from tests.virtual.arena import QUICK, Arena

Part = Literal["busy", "idle", "paused", "observed", "floored", "least", "killed", "set_by_hand"]

PARTS: tuple[Part, ...] = (
    *("busy", "idle", "paused", "observed", "floored"),
    *("busy", "killed", "least", "set_by_hand", "busy"),
)
TOO_MUCH = 100_000
QUIET, STOPPED = "quiet", "stopped"
STORM = replace(QUICK, fleet_deployments=5)


@dataclass(frozen=True, slots=True)
class Standing:
    """One member and its part. `ends_at`: instances after the storm, whatever the order of the signals."""

    member: Member
    part: Part
    most: int

    @property
    def ends_at(self) -> int:
        ends = {"busy": self.most, "floored": 2, "least": 2, "set_by_hand": 2}
        return ends.get(self.part, 1)

    @property
    def changes(self) -> bool:
        """Whether the app has to send something."""
        return self.part in ("busy", "floored", "least")

    @property
    def has_work(self) -> bool:
        return self.part in ("busy", "paused", "observed", "killed", "set_by_hand")

    def target(self) -> dict[str, Any]:
        """As the policy has it."""
        project = {"paused": {"project": QUIET}, "killed": {"project": STOPPED}}.get(self.part, {})
        return {
            "name": self.member.name,
            "deployment": self.member.deployment_id,
            "queue": self.member.queue_id,
            "mode": "observe" if self.part == "observed" else "enforce",
            "scaling": {"min": 2 if self.part == "least" else 1, "max": self.most},
            **project,
        }


def line_up(members: Sequence[Member]) -> tuple[Standing, ...]:
    """Parts by turns; ceilings of three to six instances."""
    return tuple(Standing(member, PARTS[number % len(PARTS)], 3 + number % 4) for number, member in enumerate(members))


def policy(field: Sequence[Standing]) -> str:
    """The document with all of them; quick enough that one look is enough."""
    scaling = {
        "drain_within_s": 600,
        "service_rate": {"per_instance_per_s": 0.05},
        "cold_start_s": 60,
        "scale_out_cooldown_s": 60,
        "scale_in_cooldown_s": 3600,
        "scale_in_hold_s": 3600,
        "respect_manual_s": 7200,
    }
    floors = [
        {"match": one.member.name, "min_instances": 2, "reason": "two zones"} for one in field if one.part == "floored"
    ]
    return yaml.safe_dump(
        {
            "version": 1,
            "loops": {"scaling": {"mode": "enforce"}},
            "defaults": scaling,
            "floors": floors,
            "targets": [one.target() for one in field],
        }
    )


async def take_positions(arena: Arena, field: Sequence[Standing]) -> None:
    """People do what they do, and then the work comes, all at once: nobody has looked since."""
    await arena.pass_time(40)  # a sweep learns what there is
    for one in field:
        if one.part == "set_by_hand":
            await arena.person_changes(one.member.deployment_id, sku={"name": "Default", "capacity": one.ends_at})
    await arena.control("POST", "pause", scope=f"project:{QUIET}")
    await arena.control("PUT", "kill-switch", scope=f"project:{STOPPED}")
    for one in field:
        if one.has_work:
            arena.world.fleet.load(one.member, TOO_MUCH)
