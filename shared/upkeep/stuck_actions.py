"""Actions whose end nobody saw: the sweep starts them again; those that stay open for long are told to people."""

from datetime import datetime, timedelta

from shared.domain import Action, DeploymentId, Notice, entry_id
from shared.policy import Policy
from shared.upkeep.base import Chore, Done, Run

# Longer than the slowest growth of a deployment that is known (18 minutes), with as much again.
STUCK_AFTER = timedelta(minutes=45)


async def run(run: Run) -> Done:
    policy = await run.made.policies.current()
    stuck = []
    async for state in run.made.stores.state.load_all(run.now):
        for row in state.actions.values():
            if is_stuck(row.value, run.now):
                await run.made.door.tell(_notice(row.value, state.endpoint_key, policy, run.now))
                stuck.append(row.value.target.rpartition("/")[2])
    return Done(f"stuck: {', '.join(sorted(stuck))}" if stuck else "")


def is_stuck(action: Action, now: datetime) -> bool:
    """Whether its end is overdue: since it was sent, or, if it never was, since it was claimed."""
    return action.is_unfinished and now - (action.sent_at or action.claimed_at) >= STUCK_AFTER


def _notice(action: Action, endpoint_key: str, policy: Policy, now: datetime) -> Notice:
    """Once a day while it is stuck."""
    target = next((t for t in policy.targets if t.deployment_id.key == action.target), None)
    name = target.name if target else DeploymentId.parse(action.target).deployment
    since = action.sent_at or action.claimed_at
    minutes = (now - since).total_seconds() / 60
    return Notice(
        id=entry_id(now, f"stuck-{action.key}"),
        kind="action_stuck",
        severity="critical",
        at=now,
        subject=f"{name}: a change has not ended",
        text=(
            f"The change from {action.current} to {action.to} is {action.state} since {since:%Y-%m-%d %H:%M} UTC "
            f"({minutes:.0f} minutes). Nothing new is decided on this deployment before it ends."
        ),
        target=name if target else "",
        project=(target.project or "") if target else "",
        endpoint_key=endpoint_key,
        entry=action.key,
        owners=(target.owner,) if target and target.owner else (),
        facts={"client request id": action.request_id, "operation": action.status_url or "none was named"},
    )


CHORE = Chore(name="stuck_actions", every=timedelta(minutes=5), run=run)
