"""The act: carry out the desired state of one deployment, one durable step at a time.

Everything that must survive a crash is in the action's row, never in the memory of a process or the history of an
orchestration: a step reads the row, does at most one thing to the outside, and writes what came of it. It may die
between any two lines and be run again.

    (none) -> sent -> accepted -> succeeded | failed          sent:     on its way; its fate is unknown until a read
    tells
                ^ \\-> claimed (busy: known not applied)        claimed:  ours to send, or to send again
                |        |                                    refused, superseded: it was not sent, or not applied
                +--------+

A request is repeated only if it is known not to have been applied: Azure said so (409, 429), or a read after the lag
window shows the state from before it. The repetition is identical, passes all gates again, and never happens once a
newer decision exists.
"""

import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.changes import capacity
from shared.changes.preconditions import ActRefused, Cleared, NotNow, Preconditions, WaitsForPeople
from shared.domain import Action, Decision, DeploymentId, Intent, Order, Outcome, OutcomeKind
from shared.domain.provisioning import is_settled
from shared.estate.arm import Arm, ArmError, ArmUnreachable
from shared.people.door import Door
from shared.people.occasions import failure_notice
from shared.policy import PolicyCache, Target
from shared.records.chain import LedgerEntry
from shared.records.errors import Conflict
from shared.records.outcomes import outcome_entry, outcome_words
from shared.records.state import Row, StateStore
from shared.safety.approvals.desk import ApprovalDesk
from shared.safety.approvals.rules import NotCounted
from shared.safety.belts import Belts

log = logging.getLogger("watchkeeper")

# Longer than the longest value of the assumption deployment.get_lag_s: after this, a read that shows the old state is
# believed. It counts from when nobody waits for the request's answer any more.
READ_LAG_S = 8.0
# Until the next look at an operation, when Azure names no time: at first, then a share of how long it has taken, up to
# the longest; and while Azure answers no reads.
FIRST_LOOK_S, LOOK_SHARE, LONGEST_LOOK_S, UNREADABLE_WAIT_S = 2.0, 0.25, 30.0, 15.0
# However Azure words it, not again at once.
SHORTEST_WAIT_S = 1.0
# Answers to a read that say nothing of the target: no token, a timeout, throttling. So does every 5xx.
PASSING_STATUSES = (401, 408, 429)
# After a failure or a refusal by the estate nothing is tried for this long, twice as long after each further one in a
# row, up to the longest; or for the cool-down if that is longer.
BACKOFF_S, LONGEST_BACKOFF_S = 60.0, 900.0


@dataclass(frozen=True, slots=True)
class Step:
    """What a step left: `done`, or go on after `wait_s`; `say` is for the operator who looks at the orchestration."""

    done: bool
    wait_s: float
    say: str


class Actuator:
    """One step of the act for an order. Raises only what a retry may cure (storage out of reach)."""

    def __init__(
        self,
        *,
        arm: Arm,
        preconditions: Preconditions,
        state: StateStore,
        door: Door,
        policies: PolicyCache,
        approvals: ApprovalDesk,
        belts: Belts,
        now: Callable[[], datetime],
    ) -> None:
        self._approvals = approvals
        self._arm, self._preconditions, self._policies, self._now = arm, preconditions, policies, now
        self._belts = belts
        self._state, self._door = state, door

    async def step(self, order: Order) -> Step:
        """Read where the act stands and take the next step."""
        action = await self._state.get_action(order.endpoint_key, order.target, order.dimension)
        try:
            if action is not None and action.value.state == "sent":
                return await self._find_out(order, action)
            if action is not None and action.value.state == "accepted":
                return await self._follow(order, action)
            return await self._begin(order, action)
        except Conflict:
            return Step(False, 1.0, "another worker moved this action; looking again")
        except ArmUnreachable as error:
            return Step(False, UNREADABLE_WAIT_S, f"Azure did not answer a read: {error}")
        except ArmError as error:
            in_flight = action is not None and action.value.is_in_flight
            passes = error.status in PASSING_STATUSES or error.status >= 500
            if passes or (in_flight and error.status != 404):  # a strange read does not end what is running
                wait_s = UNREADABLE_WAIT_S if error.retry_after_s is None else error.retry_after_s
                return Step(False, _bounded(wait_s), f"Azure cannot be read now: {error}")
            return await self._not_readable(order, error)

    # ---- before the request

    async def _begin(self, order: Order, row: Row[Action] | None) -> Step:
        desired = await self._state.get_desired(order.endpoint_key, order.target, order.dimension)
        decision = desired.value if desired else None
        if row is not None and row.value.is_over and not row.value.recorded:
            row = await self._close(order, row)
        if row is not None and not row.value.is_over and (decision is None or decision.id != row.value.key):
            sent = "; the request that was sent had changed nothing" if row.value.sends > 0 else " before it was sent"
            reason = f"A newer decision replaced it{sent}."
            return await self._end(order, row, row.value, "superseded", "newer_decision", reason, None)
        if decision is None or not decision.changes or (row and row.value.is_over and row.value.key == decision.id):
            return Step(True, 0, "nothing waits to be done")
        action = self._new_action(decision, row)
        try:
            cleared = await self._preconditions.check(decision)
        except WaitsForPeople as wait:
            return Step(True, 0, str(wait))
        except NotNow as wait:
            await self._put(order, action, _etag(row))
            return Step(False, _bounded(wait.retry_after_s), str(wait))
        except ActRefused as refused:
            return await self._end(
                order, row, action, "refused", refused.code, str(refused), refused.observed, refused.backs_off
            )
        view = cleared.view
        if view.capacity == decision.to and action.sends > 0:
            await self._put(order, replace(action, state="accepted", accepted_at=self._now()), _etag(row))
            return Step(False, 0, "The request had arrived after all; following it")
        if view.capacity == decision.to:
            reason = f"The deployment already has {decision.to} instances; nothing was sent."
            return await self._end(order, row, action, "succeeded", "already_there", reason, view.capacity)
        return await self._send(order, row, action, cleared)

    def _new_action(self, decision: Decision, row: Row[Action] | None) -> Action:
        """The action that is under way, or a new one after the one that is over."""
        if row is not None and not row.value.is_over:
            return row.value
        return Action(
            key=decision.id,
            target=decision.target,
            dimension=decision.dimension,
            current=decision.current,
            to=decision.to,
            request_id=str(uuid.uuid5(uuid.NAMESPACE_URL, f"watchkeeper:{decision.target}:{decision.id}")),
            state="claimed",
            claimed_at=self._now(),
            setbacks=row.value.setbacks if row is not None else 0,
        )

    async def _send(self, order: Order, row: Row[Action] | None, action: Action, cleared: Cleared) -> Step:
        """Write that it is on its way, then send: whoever finds `sent` after a crash must read back.

        The approval is used in between. Whoever takes it back before that has stopped the act, after that has not.
        """
        sent = replace(action, state="sent", sent_at=self._now(), sends=action.sends + 1, unknown_since=None)
        etag = await self._put(order, sent, _etag(row))
        if cleared.by_approval:
            try:
                await self._approvals.use(action.key)
            except NotCounted as late:
                await self._put(order, action, etag)
                return Step(False, 0, f"Not sent: {late}")
        answer = await capacity.request(self._arm, sent, cleared.view)
        if isinstance(answer, capacity.Unknown):
            await self._put(order, replace(sent, unknown_since=self._now()), etag)
            return Step(
                False, FIRST_LOOK_S, f"No answer to the request ({answer.reason}); reading back what became of it"
            )
        on_the_way = Row(sent, etag)
        if isinstance(answer, capacity.Rejected):
            reason = f"Azure refused the request: {answer.code}: {answer.message}"
            return await self._end(order, on_the_way, sent, "failed", answer.code, reason, None, backs_off=True)
        if isinstance(answer, capacity.Busy):
            await self._put(order, replace(sent, state="claimed"), etag)
            wait_s = max(_bounded(answer.retry_after_s), self._next_look_s(action.claimed_at))
            return Step(False, wait_s, f"Azure is busy: {answer.reason}")
        accepted = replace(sent, state="accepted", accepted_at=self._now(), status_url=answer.status_url)
        await self._put(order, accepted, etag)
        return Step(False, _bounded(answer.retry_after_s), f"Azure accepted {sent.current} -> {sent.to}")

    # ---- after it

    async def _find_out(self, order: Order, row: Row[Action]) -> Step:
        """The fate of the request is unknown: only a read can tell."""
        action = row.value
        view = await capacity.capture(self._arm, DeploymentId.parse(action.target), self._now())
        state = view.provisioning_state.lower()
        if view.capacity == action.to:
            arrived = replace(action, state="accepted", accepted_at=self._now())
            await self._put(order, arrived, row.etag)
            return Step(False, 0, "The request had arrived; following it")
        if not is_settled(state):
            # Perhaps another's, for which Azure refused ours with a 409 that we never saw.
            wait_s = self._next_look_s(action.sent_at)
            return Step(False, wait_s, "An operation runs, ours or another's; its end will tell")
        if state != "succeeded":
            reason = f"The deployment is {view.provisioning_state}: the operation failed, or had failed before."
            return await self._end(
                order, row, action, "failed", "operation_failed", reason, view.capacity, backs_off=True
            )
        if view.capacity != action.current:
            reason = f"Read back {_instances(view.capacity)}, neither {action.current} nor {action.to}."
            return await self._end(order, row, action, "failed", "changed_meanwhile", reason, view.capacity)
        wait_s = READ_LAG_S - _seconds_since(_unanswered_since(action), self._now())
        if wait_s > 0:
            return Step(False, wait_s, "Not seen yet; a read may lag behind")
        await self._put(order, replace(action, state="claimed"), row.etag)
        return Step(False, 0, "The request did not arrive; checking everything again before repeating it")

    async def _follow(self, order: Order, row: Row[Action]) -> Step:
        """Azure works on it: ask the operation where it has a URL, then read the deployment back. 200 is not done."""
        action = row.value
        if action.status_url:
            answer = await capacity.poll(self._arm, action.status_url)
            if isinstance(answer, capacity.Running):
                return Step(False, _bounded(answer.retry_after_s), f"Azure works on {action.current} -> {action.to}")
            if isinstance(answer, capacity.Failed):
                view = await capacity.capture(self._arm, DeploymentId.parse(action.target), self._now())
                reason = f"The operation failed: {answer.code}: {answer.message}"
                return await self._end(order, row, action, "failed", answer.code, reason, view.capacity, backs_off=True)
        view = await capacity.capture(self._arm, DeploymentId.parse(action.target), self._now())
        if not is_settled(view.provisioning_state):
            return Step(False, self._next_look_s(action.accepted_at), f"The deployment is {view.provisioning_state}")
        difference = capacity.verify(view, action)
        if difference is None:
            reason = f"Read back {_instances(view.capacity)}, as decided."
            return await self._end(order, row, action, "succeeded", "verified", reason, view.capacity)
        wait_s = READ_LAG_S - _seconds_since(action.accepted_at, self._now())
        if wait_s > 0:
            return Step(False, wait_s, f"Not as decided yet ({difference}); a read may lag behind")
        return await self._end(
            order, row, action, "failed", "read_back_differs", difference, view.capacity, backs_off=True
        )

    async def _not_readable(self, order: Order, error: ArmError) -> Step:
        """A read was refused outright: a vanished target, or a right that is missing."""
        row = await self._state.get_action(order.endpoint_key, order.target, order.dimension)
        desired = await self._state.get_desired(order.endpoint_key, order.target, order.dimension)
        if desired is None:
            return Step(True, 0, str(error))
        action = self._new_action(desired.value, row)
        code = "target_vanished" if error.status == 404 else error.code
        kind: OutcomeKind = "refused" if action.sends == 0 else "failed"
        return await self._end(order, row, action, kind, code, str(error), None, backs_off=True)

    # ---- the end

    async def _end(
        self,
        order: Order,
        row: Row[Action] | None,
        action: Action,
        kind: OutcomeKind,
        code: str,
        reason: str,
        observed: int | None,
        backs_off: bool = False,
    ) -> Step:
        """Close the action with its outcome, then record that: whoever finds it unrecorded after a crash does so."""
        now = self._now()
        outcome = Outcome(
            action_key=action.key,
            target=action.target,
            dimension=action.dimension,
            kind=kind,
            code=code,
            reason=reason,
            to=action.to,
            observed=observed,
            at=now,
            sends=action.sends,
        )
        setbacks = 0 if kind == "succeeded" else action.setbacks + backs_off
        ended = replace(action, state=kind, ended_at=now, setbacks=setbacks, outcome=outcome)
        if backs_off:
            target = await self._target_name(action.target)
            await self._state.put_intent(order.endpoint_key, await self._backoff(ended, outcome, target))
        etag = await self._put(order, ended, _etag(row))
        await self._close(order, Row(ended, etag))
        return Step(False, 0, outcome_words(outcome))

    async def _close(self, order: Order, row: Row[Action]) -> Row[Action]:
        """Write the outcome of an action that is over into the ledger, once."""
        action, outcome = row.value, row.value.outcome
        if outcome is not None:
            target = await self._target_name(action.target)
            await self._record(outcome_entry(order.endpoint_key, target, outcome, action), outcome)
            await self._belts.finish(await self._policies.current(), action, outcome)
        closed = replace(action, recorded=True)
        return Row(closed, await self._put(order, closed, row.etag))

    async def _record(self, entry: LedgerEntry, outcome: Outcome) -> None:
        """Into the ledger; people hear of what was sent and did not work."""
        if outcome.kind == "failed":
            target = (await self._policies.current()).target(entry.target)
            await self._door.record(entry, failure_notice(entry, outcome, target))
            return
        await self._door.append(entry)
        (log.info if outcome.kind == "succeeded" else log.warning)("%s: %s", entry.target, entry.summary)

    async def _backoff(self, action: Action, outcome: Outcome, target_name: str) -> Intent:
        target = (await self._policies.current()).target(target_name)
        cooldown_s = target.scaling.scale_out_cooldown_s if isinstance(target, Target) else 0
        wait_s = max(cooldown_s, min(LONGEST_BACKOFF_S, BACKOFF_S * 2.0 ** min(action.setbacks - 1, 10)))
        until = outcome.at + timedelta(seconds=wait_s)
        return Intent(
            target=action.target,
            dimension=action.dimension,
            kind="hold",
            source="platform",
            rule="backing_off",
            reason=f"Nothing is tried before {until:%H:%M:%S} UTC; the last change did not work: {outcome.reason}",
            at=outcome.at,
            expires_at=until,
        )

    def _next_look_s(self, since: datetime | None) -> float:
        """The longer it has taken, the longer until the next look."""
        return min(LONGEST_LOOK_S, max(FIRST_LOOK_S, LOOK_SHARE * _seconds_since(since, self._now())))

    async def _put(self, order: Order, action: Action, etag: str | None) -> str:
        return await self._state.put_action(order.endpoint_key, order.target, order.dimension, action, etag)

    async def _target_name(self, key: str) -> str:
        policy = await self._policies.current()
        return next((target.name for target in policy.targets if target.deployment_id.key == key), key)


def _instances(count: int | None) -> str:
    return f"{count} instance{'' if count == 1 else 's'}"


def _etag(row: Row[Action] | None) -> str | None:
    return row.etag if row else None


def _bounded(wait_s: float | None) -> float:
    return min(max(wait_s if wait_s is not None else FIRST_LOOK_S, SHORTEST_WAIT_S), capacity.LONGEST_WAIT_S)


def _unanswered_since(action: Action) -> datetime | None:
    """When the answer was given up; where nobody wrote that (a crash), when it must have been at the latest."""
    if action.unknown_since is not None or action.sent_at is None:
        return action.unknown_since
    return action.sent_at + timedelta(seconds=capacity.CHANGE_TIMEOUT_S)


def _seconds_since(since: datetime | None, now: datetime) -> float:
    return (now - since).total_seconds() if since else 0.0
