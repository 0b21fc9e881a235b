"""One round for one endpoint: notice what people did, let the loops decide, arbitrate, record what changed.

Writes go in the order that a crash between any two of them can bear: the ledger first (the same decision has the same
id), then desired state (compared and swapped), then the memory. Whoever loses a swap drops the round; the next look
sees the winner's.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from shared.decisions.arbitration import Subject, arbitrate
from shared.domain import (
    Action,
    Decision,
    Fresh,
    Intent,
    IntentKind,
    Mode,
    Order,
    ScalingSnapshot,
    Source,
    TargetRecord,
)
from shared.loops.base import Loop
from shared.loops.evidence import decision_entry, notice_entry, superseded_entry
from shared.policy import Policy, Target
from shared.records.controls import Controls, ControlStore
from shared.records.errors import Conflict
from shared.records.ledger import Ledger
from shared.records.state import EndpointState, Row, StateStore
from shared.safety.gates import allowed_mode

log = logging.getLogger("watchkeeper")

# Rules that a person should hear of: the loop is blind, or cannot keep the promise whatever it does.
WORRYING = (
    "depth_unknown",
    "capacity_unknown",
    "not_capacity_bound",
    "limited_by_max",
    "limited_by_quota",
    "azure_autoscale_present",
    "autoscale_unknown",
    "scaled_by_cluster",
)


@dataclass(frozen=True, slots=True)
class Stores:
    """Where the app remembers."""

    state: StateStore
    controls: ControlStore
    ledger: Ledger


@dataclass(slots=True)
class Look:
    """One loop's view of one target; `record` and `intents` are filled in by the round."""

    loop: Loop
    target: Target
    snapshot: ScalingSnapshot
    before: TargetRecord = field(default_factory=TargetRecord)
    decided_on: TargetRecord = field(default_factory=TargetRecord)
    record: TargetRecord = field(default_factory=TargetRecord)
    intents: tuple[Intent, ...] = ()
    noticed: Intent | None = None

    @property
    def key(self) -> str:
        return self.target.deployment_id.key


@dataclass(slots=True)
class Done:
    """What a round did: decisions that change something, and orders that wait to be carried out."""

    decided: int = 0
    orders: list[Order] = field(default_factory=list)


def is_pending(desired: Decision | None, action: Action | None) -> bool:
    """Whether a decision waits to be carried out, or is just being carried out."""
    if desired is None or not desired.changes:
        return False
    return action is None or action.key != desired.id or not action.is_over


class EndpointRound:
    """See the module. One instance a round."""

    def __init__(
        self,
        endpoint_key: str,
        looks: Sequence[Look],
        policy: Policy,
        controls: Controls,
        stores: Stores,
        now: datetime,
        cause: str,
    ) -> None:
        self._endpoint_key, self._looks, self._policy, self._controls = endpoint_key, looks, policy, controls
        self._stores, self._now, self._cause = stores, now, cause
        self._done = Done()
        self._state = EndpointState(endpoint_key=endpoint_key)
        self.intents: list[Intent] = []

    async def run(self) -> Done:
        """Decide, then record what changed."""
        decisions = await self.decide()
        for look in self._looks:
            await self._announce(look)
            await self._tell_of_rule(look, decisions.get(look.key))
            desired = self._desired(look)
            if look.key in decisions:
                desired = await self._settle(look, decisions[look.key])
            await self._save(look)
            self._order(look, desired)
        return self._done

    async def decide(self) -> Mapping[str, Decision]:
        """The decisions by deployment key; writes nothing. A target whose capacity is unknown has none."""
        self._state = await self._stores.state.load(self._endpoint_key, self._now)
        standing = [row.value for row in self._state.intents]
        subjects: dict[str, Subject] = {}
        for look in self._looks:
            standing += self._people_and_platform(look)
            standing += await self._manual_change(look)
            self._adopt_pending(look)
            subject = self._consult(look)
            if subject is not None:
                subjects[look.key] = subject
        self.intents = [*standing, *(intent for look in self._looks for intent in look.intents)]
        return arbitrate(subjects, self.intents, self._now)

    # ---- what stands, whatever the loops want

    def _people_and_platform(self, look: Look) -> list[Intent]:
        """A pause as a hold, the platform's floors as floors."""
        intents = []
        pause = self._controls.pause_for(look.loop.name, look.target.name)
        if pause is not None:
            reason = f"{pause.scope} is paused by {pause.by}: {pause.reason}."
            intents.append(self._intent(look, "hold", "person", "paused", reason, expires_at=pause.expires_at))
        for floor in self._policy.floors_of(look.target):
            intents.append(
                self._intent(look, "floor", "platform", "platform_floor", floor.reason, value=floor.min_instances)
            )
        return intents

    async def _manual_change(self, look: Look) -> list[Intent]:
        """A capacity that nobody of us ordered is a person's: respected for a while."""
        capacity = look.snapshot.capacity
        row = self._state.targets.get(look.key)
        look.before = look.record = row.value if row else TargetRecord()
        action = self._action(look)
        if not isinstance(capacity, Fresh) or (action is not None and action.is_in_flight):
            return []
        seen, known = int(capacity.value), expected_capacity(look.record, action)
        if known is not None and seen != known:
            fresh = (await look.loop.observe(self._policy, [look.target], closely=True))[look.key]
            look.snapshot = fresh
            if not isinstance(fresh.capacity, Fresh) or int(fresh.capacity.value) == known:
                return []
            seen = int(fresh.capacity.value)
        # Also when it is again what was last seen: the record must say when, to be newer than what came in between.
        if seen != look.record.known_capacity or seen != known:
            look.record = replace(look.record, known_capacity=seen, known_at=self._now)
        if known is None or seen == known:
            return []
        change = {"from": float(known), "to": float(seen)}
        if any(i.value.source == "manual_change" and i.value.numbers == change for i in self._state.intents):
            return []  # another look was faster, or this one was cut off after its notice
        until = self._now + timedelta(seconds=look.target.scaling.respect_manual_s)
        reason = (
            f"Capacity went from {known} to {seen} by a change that Watchkeeper did not make; "
            f"it is left alone until {until:%Y-%m-%d %H:%M:%S} UTC."
        )
        hold = self._intent(look, "hold", "manual_change", "manual_change", reason, expires_at=until)
        look.noticed = replace(hold, numbers=change)
        return [look.noticed]

    async def _announce(self, look: Look) -> None:
        """Tell of a person's change once: the hold that it puts up stays in the endpoint's partition."""
        if look.noticed is None:
            return
        log.warning("%s: %s", look.target.name, look.noticed.reason)
        entry = notice_entry("manual-change", look.target, look.loop.name, look.noticed.reason, self._now)
        await self._stores.ledger.append(entry)
        await self._stores.state.put_intent(self._endpoint_key, look.noticed)

    async def _tell_of_rule(self, look: Look, decision: Decision | None) -> None:
        """Keep which rule holds since when; a person hears of one to worry about, when it comes and when it goes."""
        loops = look.intents[0]
        rule, reason = (decision.rule, decision.reason) if decision else (loops.rule, loops.reason)
        before = look.record.last_rule
        if rule == before:
            return
        look.record = replace(look.record, last_rule=rule, last_reason=reason, last_rule_since=self._now)
        if rule in WORRYING or before in WORRYING:
            words = reason if rule in WORRYING else f"No longer {before}: {reason}"
            log.warning("%s: %s", look.target.name, words)
            await self._stores.ledger.append(notice_entry(rule, look.target, look.loop.name, words, self._now))

    # ---- the loops

    def _adopt_pending(self, look: Look) -> None:
        """Remember a decision that waits, where the round that took it could not (it was cut off, or overtaken)."""
        desired = self._desired(look)
        if desired is None or not is_pending(desired, self._action(look)):
            return
        if desired.plan_hash != look.record.recorded_plan:
            look.record = self._with_change(look, desired)

    def _with_change(self, look: Look, decision: Decision) -> TargetRecord:
        return replace(
            look.loop.after_change(look.record, decision),
            recorded_plan=decision.plan_hash,
            decisions=look.record.decisions + 1,
        )

    def _consult(self, look: Look) -> Subject | None:
        """Let the loop look; the subject to arbitrate on, or None where nothing can be decided.

        That is where the capacity is not known, and while our own change runs: Azure takes no second one before it
        ends, and by then there is a better decision than today's.
        """
        action = self._action(look)
        in_flight = action is not None and action.is_in_flight
        if action is not None and in_flight:
            look.snapshot = replace(look.snapshot, ordered=action.to)
        look.decided_on = look.record
        look.intents, look.record = look.loop.decide(look.snapshot, look.record, look.target, self._now)
        capacity = look.snapshot.capacity
        if not isinstance(capacity, Fresh):
            log.warning("%s: %s", look.target.name, look.intents[0].reason)
        if in_flight or not isinstance(capacity, Fresh):
            return None
        version = look.loop.policy_version(self._policy, look.target)
        return Subject(current=int(capacity.value), policy_version=version, decisions=look.record.decisions)

    # ---- recording

    async def _settle(self, look: Look, decision: Decision) -> Decision | None:
        """Record what changed; the desired state that stands afterwards."""
        desired_row = self._state.desired.get((look.key, "capacity"))
        pending = is_pending(_value(desired_row), self._action(look))
        mode = self._mode(look)
        for alarm in decision.alarms:
            log.error("%s: %s", look.target.name, alarm)
        if not decision.changes:
            return (
                await self._desire(look, decision, desired_row)
                if self._withdraws(look, decision)
                else self._desired(look)
            )
        planned = desired_row.value.plan_hash if desired_row and pending else ""
        already = planned if mode == "enforce" else look.record.recorded_plan
        if decision.plan_hash != already:
            await self._record(look, decision, mode)
            if mode == "enforce":
                return await self._desire(look, decision, desired_row)
        if mode != "enforce" and pending:  # nothing older may come back when the mode does
            return await self._desire(look, replace(decision, to=decision.current, rule="only_observed"), desired_row)
        return self._desired(look)

    def _order(self, look: Look, desired: Decision | None) -> None:
        """What waits may be sent only in enforce; what was sent is followed to its end in any mode."""
        action = self._action(look)
        unfinished = action is not None and action.is_unfinished
        if unfinished or (self._mode(look) == "enforce" and is_pending(desired, action)):
            self._done.orders.append(Order(endpoint_key=self._endpoint_key, target=look.key, dimension="capacity"))

    def _desired(self, look: Look) -> Decision | None:
        return _value(self._state.desired.get((look.key, "capacity")))

    def _action(self, look: Look) -> Action | None:
        return _value(self._state.actions.get((look.key, "capacity")))

    def _mode(self, look: Look) -> Mode:
        mode = look.loop.mode(self._policy, look.target)
        return allowed_mode(mode, self._controls, look.loop.name, look.target.name)

    async def _record(self, look: Look, decision: Decision, mode: Mode) -> None:
        mine = [intent for intent in self.intents if intent.target == look.key]
        entry = decision_entry(
            decision, mine, look.snapshot, look.decided_on, look.target, look.loop.name, mode, self._cause
        )
        await self._stores.ledger.append(entry)
        log.info(
            "%s: %d -> %d (%s, %s): %s",
            look.target.name,
            decision.current,
            decision.to,
            decision.rule,
            mode,
            decision.reason,
        )
        look.record = self._with_change(look, decision)
        self._done.decided += 1

    async def _desire(self, look: Look, decision: Decision, row: Row[Decision] | None) -> Decision:
        """Swap the desired state; the one that stands then. What is replaced unsent, or loses the swap, has its end."""
        try:
            etag = row.etag if row else None
            await self._stores.state.put_desired(self._endpoint_key, decision.target, "capacity", decision, etag)
        except Conflict:
            winner = await self._stores.state.get_desired(self._endpoint_key, decision.target, "capacity")
            if winner is None:
                raise
            await self._supersede(look, decision, winner.value)
            return winner.value
        if row is not None:
            await self._supersede(look, row.value, decision)
        return decision

    async def _supersede(self, look: Look, old: Decision, new: Decision) -> None:
        action = self._action(look)
        had_its_own = action is not None and action.key == old.id
        if old.changes and old.id != new.id and not had_its_own:
            await self._stores.ledger.append(superseded_entry(old, new, look.target, self._now))

    def _withdraws(self, look: Look, decision: Decision) -> bool:
        """Count a decision to leave things; whether it takes back an order that nobody has sent yet.

        A loop that only hesitates (a cool-down, missing data) does not take back growth; a need that is gone does.
        """
        look.record = replace(look.record, holds=look.record.holds + 1)
        loop_hesitates = any(i.kind == "hold" and i.rule == decision.rule for i in look.intents)
        if not loop_hesitates:
            look.record = replace(look.record, recorded_plan="")
        action, desired = self._action(look), self._desired(look)
        if desired is None or not is_pending(desired, action) or (action is not None and action.is_in_flight):
            return False
        return not loop_hesitates or desired.to < desired.current

    async def _save(self, look: Look) -> None:
        """Write the memory if it holds something new; holds are counted along with the next thing that is new."""
        row = self._state.targets.get(look.key)
        if replace(look.record, holds=look.before.holds) == look.before and row is not None:
            return
        try:
            await self._stores.state.put_target(self._endpoint_key, look.key, look.record, row.etag if row else None)
        except Conflict:
            log.info("%s: another look at this target was faster; its memory stays", look.target.name)

    def _intent(
        self,
        look: Look,
        kind: IntentKind,
        source: Source,
        rule: str,
        reason: str,
        value: int | None = None,
        expires_at: datetime | None = None,
    ) -> Intent:
        return Intent(
            target=look.key,
            dimension="capacity",
            kind=kind,
            source=source,
            rule=rule,
            reason=reason,
            at=self._now,
            value=value,
            expires_at=expires_at,
        )


def expected_capacity(record: TargetRecord, action: Action | None) -> int | None:
    """The capacity that should be there; None where any is as good: first sight, or a change of ours that failed.

    What was refused or superseded was not applied: it explains no other capacity than the one before it.
    """
    ended_at = action.ended_at if action else None
    if action is not None and ended_at is not None and (record.known_at is None or ended_at > record.known_at):
        if action.state == "succeeded":
            return action.to
        if action.state == "failed":
            return None
    return record.known_capacity


def _value[T](row: Row[T] | None) -> T | None:
    return row.value if row else None
