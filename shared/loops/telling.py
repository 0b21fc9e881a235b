"""What a round tells people: rules to worry about that come and go, changes by others, holds below a floor.

Each goes through the one door (`shared.people.door`): an entry in the ledger and a notice of the same id. The id is
made of what people had been told before, as the memory of the target has it, and not of a look's time: two looks at
once tell one notice, and what a look told but could not remember (another one was faster) is not told again.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from shared.domain import Decision, Intent, Notice, NoticeKind, Severity, TargetRecord, entry_id
from shared.people.door import Door
from shared.policy import Target

# Rules that a person should hear of: the loop is blind, or cannot keep the promise whatever it does.
WORRYING: Mapping[str, NoticeKind] = {
    "depth_unknown": "loop_blind",
    "capacity_unknown": "loop_blind",
    "azure_autoscale_present": "loop_blind",
    "autoscale_unknown": "loop_blind",
    "scaled_by_cluster": "loop_blind",
    "not_capacity_bound": "promise_unkept",
    "limited_by_max": "promise_unkept",
    "limited_by_quota": "promise_unkept",
    "limited_by_budget": "promise_unkept",
}
# A read that Azure throttled once is no news: people hear of these once they have lasted.
PASSING = ("depth_unknown", "capacity_unknown", "autoscale_unknown")
PASSES_WITHIN = timedelta(seconds=60)
# What comes back within this long was not over: people are not told back and forth.
OVER_AFTER = timedelta(minutes=5)
_SUBJECTS: Mapping[NoticeKind, str] = {
    "loop_blind": "cannot be looked after",
    "promise_unkept": "will not keep its promise",
    "manual_change": "was changed by somebody else",
    "hold_below_floor": "is held below a safety floor",
}


class Telling:
    """Tells of one target in one round."""

    def __init__(self, door: Door, target: Target, loop: str, now: datetime) -> None:
        self._door, self._target, self._loop, self._now = door, target, loop, now

    async def of_manual_change(self, before: TargetRecord, hold: Intent) -> None:
        """Somebody else changed the capacity from what the memory `before` knew; `hold` says what, and how long it is
        respected.
        """
        facts = {"from": f"{hold.numbers['from']:.0f}", "to": f"{hold.numbers['to']:.0f}"}
        known = before.known_at.timestamp() if before.known_at else 0
        which = f"{facts['from']}-{facts['to']}-{known:.0f}"
        await self._tell("manual_change", "warning", hold.reason, which, facts=facts)

    async def of_rule(self, record: TargetRecord, rule: str, reason: str) -> TargetRecord:
        """The memory with the rule that holds now, and since when; people hear of one to worry about, when it comes and
        when it goes.
        """
        if rule != record.last_rule:
            record = replace(record, last_rule=rule, last_reason=reason, last_rule_since=self._now)
        since = record.last_rule_since or self._now
        if rule in PASSING and self._now - since < PASSES_WITHIN:
            return record  # whatever people were told last may still hold: nobody sees
        if rule in WORRYING and rule != record.told_rule:
            which = f"{rule}-{record.rules_told}"
            await self._tell(WORRYING[rule], "warning", reason, which, facts={"rule": rule})
            return replace(record, told_rule=rule, calm_since=None, rules_told=record.rules_told + 1)
        if rule not in WORRYING and record.told_rule:
            return await self._calm(record, reason)
        return replace(record, calm_since=None)

    async def _calm(self, record: TargetRecord, reason: str) -> TargetRecord:
        """What people were told to worry about does not hold now; they hear of it once that has lasted."""
        since = record.calm_since or self._now
        if self._now - since < OVER_AFTER:
            return replace(record, calm_since=since)
        words, kind = f"No longer {record.told_rule}: {reason}", WORRYING[record.told_rule]
        which = f"{record.told_rule}-{record.rules_told}"
        await self._tell(kind, "info", words, which, over=True, facts={"rule": record.told_rule})
        return replace(record, told_rule="", calm_since=None, rules_told=record.rules_told + 1)

    async def of_alarms(self, record: TargetRecord, decision: Decision) -> TargetRecord:
        """The memory with whether the fold alarms of something; people hear of it once while that lasts."""
        alarmed, times = bool(decision.alarms), record.alarms_told
        if alarmed and not record.told_alarm:
            await self._tell("hold_below_floor", "critical", " ".join(decision.alarms), str(times))
            times += 1
        return replace(record, told_alarm=alarmed, alarms_told=times)

    async def _tell(
        self,
        kind: NoticeKind,
        severity: Severity,
        text: str,
        which: str,
        *,
        over: bool = False,
        facts: Mapping[str, str] | None = None,
    ) -> None:
        """`which` tells this notice from others of its kind."""
        target, what = self._target, _SUBJECTS[kind]
        notice = Notice(
            id=entry_id(self._now, f"{kind}{'-over' if over else ''}-{target.name}-{which}"),
            kind=kind,
            severity=severity,
            at=self._now,
            subject=f"{target.name}: it is over that it {what}" if over else f"{target.name} {what}",
            text=text,
            target=target.name,
            project=target.project or "",
            endpoint_key=target.deployment_id.endpoint_key,
            owners=(target.owner,) if target.owner else (),
            facts=facts or {},
        )
        await self._door.tell(notice, loop=self._loop)
