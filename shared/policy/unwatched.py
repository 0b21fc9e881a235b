"""What there is and nobody watches: workspaces that the platform's rules find and no project has, and deployments that
no target names. Pure: whoever asks has read what there is.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.domain import DeploymentId, Notice, WorkspaceId, entry_id
from shared.policy.models import Policy
from shared.policy.platform import Tags

_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundWorkspace:
    """A workspace that a rule of `workspaces` finds, the projects that are granted something in it, and how many
    targets are in it. `unnamed` are its deployments that no target names (resource ids).
    """

    workspace: str
    projects: tuple[str, ...]
    targets: int
    unnamed: tuple[str, ...]

    @property
    def is_unwatched(self) -> bool:
        """It belongs to no project, and the platform watches nothing in it either."""
        return not self.projects and not self.targets


def found_workspaces(
    policy: Policy, existing: Iterable[tuple[WorkspaceId, Tags]], deployments: Iterable[DeploymentId]
) -> tuple[FoundWorkspace, ...]:
    """The workspaces among `existing` that the policy's rules find, by id; without a rule, none."""
    named = {target.deployment_id.key for target in policy.targets}
    targets: dict[str, int] = {}
    for target in policy.targets:
        key = target.deployment_id.workspace_id.lower()
        targets[key] = targets.get(key, 0) + 1
    unnamed: dict[str, list[str]] = {}
    for deployment in deployments:
        if deployment.key not in named:
            unnamed.setdefault(deployment.workspace_id.lower(), []).append(deployment.arm_id)
    found = []
    for workspace, tags in existing:
        if any(rule.matches(workspace, tags) for rule in policy.workspaces):
            projects = tuple(grant.name for grant in policy.projects if grant.covers(workspace))
            found.append(
                FoundWorkspace(
                    workspace=workspace.arm_id,
                    projects=projects,
                    targets=targets.get(workspace.key, 0),
                    unnamed=tuple(sorted(unnamed.get(workspace.key, ()))),
                )
            )
    return tuple(sorted(found, key=lambda one: one.workspace.lower()))


def unwatched_of(found: Sequence[FoundWorkspace]) -> tuple[str, ...]:
    """The ids of those that nobody watches."""
    return tuple(one.workspace for one in found if one.is_unwatched)


def mark_of(unwatched: Sequence[str]) -> str:
    """Names a set of workspaces: people hear of each set once."""
    return hashlib.sha256("\n".join(sorted(one.lower() for one in unwatched)).encode()).hexdigest()[:16]


def unwatched_notice(unwatched: Sequence[str], now: datetime) -> Notice | None:
    """What people hear of these workspaces; None if there are none."""
    if not unwatched:
        return None
    names = [workspace.rpartition("/")[2] for workspace in unwatched]
    many = f"{len(unwatched)} workspaces belong" if len(unwatched) > 1 else "1 workspace belongs"
    listed = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
    return Notice(
        id=entry_id(now, f"unwatched-{mark_of(unwatched)}"),
        kind="unwatched",
        severity="warning",
        at=now,
        subject=f"{many} to no project",
        text=f"The policy's rules find them, and nobody watches them: {listed}. Grant them to a project in the "
        "platform's document, or narrow its `workspaces`.",
        facts={f"workspace {number}": one for number, one in enumerate(unwatched[:_SHOWN], start=1)},
    )
