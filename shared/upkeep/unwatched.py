"""Workspaces that nobody watches are told of, once for each set of them."""

from datetime import timedelta
from typing import TYPE_CHECKING

from shared.estate.workspaces import WorkspaceReader
from shared.policy.unwatched import FoundWorkspace, found_workspaces, mark_of, unwatched_notice, unwatched_of
from shared.upkeep.base import Chore, Done, Run

if TYPE_CHECKING:
    from shared.services import Services


async def look(made: "Services") -> tuple[FoundWorkspace, ...]:
    """The workspaces that the policy's rules find, as they are now; none is asked for without a rule.

    Raises:
        PolicyUnavailable, ArmFailure: the policy, or what there is, cannot be told.
    """
    policy = await made.policies.current()
    if not policy.workspaces:
        return ()
    reader = WorkspaceReader(made.arm)
    existing = [(workspace.id, workspace.tags) for workspace in await reader.workspaces()]
    return found_workspaces(policy, existing, await reader.deployments())


async def run(run: Run) -> Done:
    unwatched = unwatched_of(await look(run.made))
    mark = mark_of(unwatched)
    if run.marks.get("told") == mark:
        return Done()
    notice = unwatched_notice(unwatched, run.now)
    if notice is not None:
        await run.made.door.tell(notice)
    return Done(f"{len(unwatched)} workspaces that nobody watches", {"told": mark})


CHORE = Chore(name="unwatched", every=timedelta(hours=1), run=run)
