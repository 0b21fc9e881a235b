"""Putting a change back: a person wants the capacity that was there before it, for a while.

Nothing is changed here. The wish is put into the endpoint's partition, and from there on it goes the way of everything
that is wanted: arbitration folds it above the loops, the gates judge the act, the ledger has both.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from shared.changes import capacity
from shared.domain import Action, Intent, Outcome
from shared.domain.provisioning import is_settled
from shared.estate.arm import Arm
from shared.loops.outcomes import outcomes_of, was_made
from shared.loops.stores import Stores
from shared.policy import Policy, Target
from shared.records.chain import StoredEntry
from shared.records.codec import from_plain
from shared.records.state import Row

RULE = "put_back"
_SECOND = timedelta(seconds=1)
_PAGE = 500


class NotUndone(Exception):
    """Why a change cannot be put back: a stable code of the routes, and words that say what to do instead."""

    def __init__(self, code: str, words: str) -> None:
        super().__init__(words)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change that was made: `action` as the ledger has it, at `endpoint_key`; `name` is what its target was called.

    Its id is that of its decision.
    """

    action: Action
    endpoint_key: str
    name: str
    ended_at: datetime

    @property
    def id(self) -> str:
        return self.action.key


async def change_of(stores: Stores, entry_id: str, now: datetime) -> Change:
    """The change that a decision, or its outcome, made.

    Raises:
        NotUndone: the ledger has no such entry, or it made none.
    """
    entry = await stores.ledger.get(entry_id)
    if entry is None:
        raise NotUndone("not_found", f"The ledger has no entry {entry_id!r}; GET /api/ledger?kind=outcome lists them.")
    ends: Sequence[StoredEntry] = (entry,) if entry.kind == "outcome" else ()
    if entry.kind == "decision":
        ends = await outcomes_of(stores.ledger, entry, now)
    made = next((end for end in ends if was_made(end)), None)
    if made is None:
        came = " ".join(end.summary for end in ends) or "It has no outcome (yet)."
        words = f"{entry_id} names no change that was carried out, so there is nothing to put back: {came}"
        raise NotUndone("not_carried_out", words)
    action = from_plain(Action, made.body["action"])
    return Change(action=action, endpoint_key=made.endpoint_key, name=made.target, ended_at=made.at)


async def standing(stores: Stores, change: Change, now: datetime) -> Row[Intent] | None:
    """The wish that puts this change back, None while there is none."""
    state = await stores.state.load(change.endpoint_key, now)
    return next((row for row in state.intents if row.value.undoes == change.id), None)


def target_of(change: Change, policy: Policy) -> Target | None:
    """The target of the change, whatever it is called now; None if it has left the policy."""
    return next((one for one in policy.targets if one.deployment_id.key == change.action.target), None)


def wish(change: Change, by: str, reason: str, at: datetime, until: datetime | None) -> Intent:
    """What there was before, until then."""
    left, before = capacity.undo(change.action)
    return Intent(
        target=change.action.target,
        dimension="capacity",
        kind="wish",
        source="person",
        rule=RULE,
        reason=f"{by} puts back {before} -> {left} ({change.id}){_until(until)}: {reason.rstrip('.')}.",
        at=at,
        value=before,
        expires_at=until,
        numbers={"from": float(left), "to": float(before)},
        undoes=change.id,
    )


def _until(until: datetime | None) -> str:
    return "" if until is None else f" until {until:%Y-%m-%d %H:%M:%S} UTC"


async def check(stores: Stores, arm: Arm, policy: Policy, change: Change, now: datetime) -> Target:
    """The target, if what the change left is still there and may be put back.

    Raises:
        NotUndone: see its code.
        ArmFailure: what is there could not be read.
    """
    target = target_of(change, policy)
    if target is None:
        words = f"The policy names {change.name} no more, so it is not touched; name its deployment there first."
        raise NotUndone("not_in_policy", words)
    await _is_the_last(stores, change, now)
    view = await capacity.capture(arm, target.deployment_id, now)
    if not is_settled(view.provisioning_state):
        words = f"{change.name} is {view.provisioning_state} by an operation that is not ours: wait for its end."
        raise NotUndone("overtaken", words)
    left, before = capacity.undo(change.action)
    if view.capacity != left:
        words = f"{change.id} left {left} instances and there are {view.capacity} now, by somebody else's change."
        raise NotUndone("overtaken", f"{words} Change the capacity itself, or the policy.")
    _is_allowed(policy, target, left, before)
    return target


async def _is_the_last(stores: Stores, change: Change, now: datetime) -> None:
    state = await stores.state.load(change.endpoint_key, now)
    under_way = state.actions.get((change.action.target, "capacity"))
    if under_way is not None and under_way.value.is_in_flight:
        running = under_way.value
        words = f"{running.current} -> {running.to} ({running.key}) is under way: wait for its end, and undo that."
        raise NotUndone("overtaken", words)
    by_others = [row.value for row in state.intents if row.value.source == "manual_change"]
    if found := [one for one in by_others if one.target == change.action.target and one.at > change.ended_at]:
        raise NotUndone("overtaken", f"Somebody else has changed it since. {found[0].reason}")
    newest = await _newest(stores, change, now)
    if newest is None or newest == change.id:
        return
    decision = await stores.ledger.get(newest)
    if decision is not None and _undid(decision.body) == change.id:
        words = f"{change.id} was put back already, by {newest}. POST /api/undo/{newest} puts that back."
        raise NotUndone("already_undone", words)
    words = f"A newer change was made since: {newest}. POST /api/undo/{newest} puts that back, if it is the one."
    raise NotUndone("overtaken", words)


async def _newest(stores: Stores, change: Change, now: datetime) -> str | None:
    """The decision whose change of this deployment was made last, from this change on."""
    cursor = None
    while True:
        page = await stores.ledger.query(
            change.ended_at,
            max(now, change.ended_at) + _SECOND,
            endpoint_key=change.endpoint_key,
            kind="outcome",
            limit=_PAGE,
            cursor=cursor,
        )
        if found := next((key for entry in page.entries if (key := _made(entry, change.action.target))), None):
            return found
        if (cursor := page.next_cursor) is None:
            return None


def _made(entry: StoredEntry, target: str) -> str:
    """The decision whose change of `target` this outcome ends, "" if it is none that was made."""
    if not was_made(entry):
        return ""
    outcome = from_plain(Outcome, entry.body["outcome"])
    return outcome.action_key if outcome.target == target else ""


def _undid(decision: Mapping[str, Any]) -> str:
    """The change that a decision put back, "" for any other."""
    if decision["decision"]["rule"] != RULE:
        return ""
    return next((str(one["undoes"]) for one in decision["intents"] if one.get("undoes")), "")


def _is_allowed(policy: Policy, target: Target, left: int, before: int) -> None:
    """Within what the act would let through: a floor raises what is put back, and `min` and `max` bound it."""
    floor, scaling = policy.floor_of(target), target.scaling
    to = max(before, floor)
    if left > to >= scaling.min or left < to <= max(scaling.max, floor):
        return
    bounds = f"min {scaling.min}, max {scaling.max}" + (f" and a floor of {floor}" if floor else "")
    words = f"The policy ({bounds}) does not allow what was there before, {before}: change the policy first."
    raise NotUndone("outside_policy", words)
