"""The gate of the blast radius: how much may be changed within an hour, for each scope, and of the fleet.

What adds and what takes has a budget of its own. The gate here judges what was read; the place itself is taken in
`shared/safety/belts.py` with the same judgement inside the swap, so that two who race cannot both have the last one.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import floor

from shared.domain import Act
from shared.policy.belts import Budget
from shared.records.changes_made import HOUR, BudgetName, Change, ChangesMade
from shared.safety.facts import ActFacts, Refusal, Shut, Wait

CODE = "blast_radius"


@dataclass(frozen=True, slots=True, kw_only=True)
class UsedUp:
    """A budget that is used up: `scope` as people name it, `limit` as policy names it, when the next place is free."""

    scope: str
    limit: str
    reason: str
    free_at: datetime


def budget_name(act: Act) -> BudgetName:
    """What adds (and submits) is growth; what takes, and what moves traffic, can hurt at once."""
    return "growths" if act in ("growth", "jobs") else "reductions"


def change_of(facts: ActFacts, key: str) -> Change:
    """The change as it is counted."""
    place = facts.place
    return Change(
        key=key, at=facts.now, target=place.target, project=place.project, workspace=place.workspace_id.lower()
    )


def gate(facts: ActFacts) -> Shut | None:
    made = facts.records.made.get(budget_name(facts.act), ChangesMade()).within_the_hour(facts.now)
    key = facts.decision.id if facts.decision is not None else ""
    if any(change.key == key for change in made):
        return None
    full = used_up(facts, made)
    return None if full is None else shut_by(full, facts)


def shut_by(full: UsedUp, facts: ActFacts) -> Shut:
    """A plan that people have approved waits for its place, for as long as their approval holds."""
    remedy = (
        f"A place is free at {full.free_at:%Y-%m-%d %H:%M:%S} UTC. If so much is meant to change, raise {full.limit} "
        "in the policy."
    )
    if facts.approval is not None and facts.approval.state == "approved":
        wait_s = (full.free_at - facts.now).total_seconds()
        return Wait(code=CODE, reason=full.reason, remedy=remedy, retry_after_s=wait_s)
    return Refusal(code=CODE, reason=full.reason, remedy=remedy)


def used_up(facts: ActFacts, made: Sequence[Change]) -> UsedUp | None:
    """The first limit that leaves no place for this act beside the changes `made` within the hour."""
    name = budget_name(facts.act)
    budget = getattr(facts.limits.blast_radius, name)
    for scope, field, limit, is_inside in _scopes(facts, budget):
        inside = [change for change in made if is_inside(change)]
        if len(inside) >= limit:
            return UsedUp(
                scope=scope,
                limit=f"limits.blast_radius.{name}.{field}",
                reason=f"{len(inside)} {name} were begun in {scope} within the last hour; the policy allows {limit}.",
                free_at=inside[len(inside) - limit].at + HOUR,
            )
    return _fleet_used_up(facts, name, budget, made)


def _scopes(facts: ActFacts, budget: Budget) -> Iterator[tuple[str, str, int, Callable[[Change], bool]]]:
    place = facts.place
    yield f"target:{place.target}", "target_per_hour", budget.target_per_hour, lambda one: one.target == place.target
    if place.project:
        scope = f"project:{place.project}"
        yield scope, "project_per_hour", budget.project_per_hour, lambda one: one.project == place.project
    workspace = place.workspace_id.lower()
    scope = f"workspace:{workspace.rpartition('/')[2]}"
    yield scope, "workspace_per_hour", budget.workspace_per_hour, lambda one: one.workspace == workspace
    yield "all", "all_per_hour", budget.all_per_hour, lambda _: True


def _fleet_used_up(facts: ActFacts, name: BudgetName, budget: Budget, made: Sequence[Change]) -> UsedUp | None:
    last_change = {change.target: change.at for change in made}
    fleet = len(facts.policy.targets)
    most = max(budget.fleet_floor, floor(fleet * budget.fleet_pct_per_hour / 100))
    if facts.place.target in last_change or len(last_change) < most:
        return None
    return UsedUp(
        scope="all",
        limit=f"limits.blast_radius.{name}.fleet_pct_per_hour",
        reason=f"{name.capitalize()} were begun on {len(last_change)} of {fleet} targets within the last hour, and the "
        f"policy allows {most} ({budget.fleet_pct_per_hour:g} %, at least {budget.fleet_floor}).",
        free_at=sorted(last_change.values())[len(last_change) - most] + HOUR,
    )
