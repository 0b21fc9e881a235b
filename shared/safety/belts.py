"""What the act itself does with the gates: ask them, take the places that a change needs, and tell what came of it.

Every change of what is stored is a compare and swap that the same act may repeat: a place is counted once, a trial is
one change, an end is noted once.
"""

from datetime import timedelta
from functools import partial

from shared.domain import Action, DeploymentId, Outcome, Place, act_of
from shared.people.door import Door
from shared.policy import Policy, Target
from shared.records.breakers import Breaker, Mark
from shared.records.gates import GateStore
from shared.safety import blast_radius, breaker, telling
from shared.safety.exemptions import tag_exemption
from shared.safety.facts import ActFacts, Refusal, Shut
from shared.safety.gates import first_shut

# A tag stays until somebody removes it: that it ran out is told for this long only, as the outbox forgets.
TAG_TOLD_FOR = timedelta(days=7)


class Belts:
    """Admits changes, and learns from their ends."""

    def __init__(self, gates: GateStore, door: Door) -> None:
        self._gates, self._door = gates, door

    async def admit(self, facts: ActFacts, key: str) -> Shut | None:
        """Why the change `key` may not be sent, or None: then its places are taken, and it may."""
        await self._announce(facts)
        shut = first_shut(facts) or await self._take_trials(facts, key)
        if shut is None:
            shut = await self._take_place(facts, key)
            if shut is not None:
                await self._free_trials(facts.place, key)
        elif shut.code == blast_radius.CODE:
            made = facts.records.made[blast_radius.budget_name(facts.act)].within_the_hour(facts.now)
            await self._tell_used_up(facts, blast_radius.used_up(facts, made))
        return shut

    async def finish(self, policy: Policy, action: Action, outcome: Outcome) -> None:
        """Learn from the end of a change: what failed counts, what was never sent gives its places back."""
        target = next((one for one in policy.targets if one.deployment_id.key == action.target), None)
        place = target.place("") if target is not None else _place_of(action.target)
        act = act_of(action.dimension, action.current, action.to)
        if action.sends == 0:
            await self._free_trials(place, action.key)
            await self._gates.budgets.give_back(blast_radius.budget_name(act), action.key)
            return
        mark = Mark(key=action.key, at=outcome.at, act=act, code=outcome.code)
        for scope in breaker.scopes_of(place):
            change = partial(
                breaker.after,
                scope=scope,
                kind=outcome.kind,
                mark=mark,
                limits=breaker.limits_for(scope, policy, target),
                now=outcome.at,
            )
            after = await self._gates.breakers.change(scope, change)
            if after is not None and after.opened_by == action.key:
                await self._tell_open(after, place, target, action)

    async def _take_trials(self, facts: ActFacts, key: str) -> Refusal | None:
        for half_open in breaker.stopping(facts.records.breakers, facts.place, facts.act):
            limits = breaker.limits_for(half_open.scope, facts.policy, facts.target)
            change = partial(breaker.with_trial, key=key, limits=limits, now=facts.now)
            taken = await self._gates.breakers.change(half_open.scope, change)
            if taken is not None and (shut := breaker.refusal(taken, key, limits, facts.now)) is not None:
                await self._free_trials(facts.place, key)
                return shut
        return None

    async def _free_trials(self, place: Place, key: str) -> None:
        known = (await self._gates.load_for_acts()).breakers
        for scope in breaker.scopes_of(place):
            if scope in known and known[scope].trial == key:
                await self._gates.breakers.change(scope, partial(breaker.without_trial, key=key))

    async def _take_place(self, facts: ActFacts, key: str) -> Shut | None:
        full = await self._gates.budgets.take(
            blast_radius.budget_name(facts.act),
            blast_radius.change_of(facts, key),
            partial(blast_radius.used_up, facts),
        )
        if full is None:
            return None
        await self._tell_used_up(facts, full)
        return blast_radius.shut_by(full, facts)

    async def _announce(self, facts: ActFacts) -> None:
        """Exemptions that ran out: told here too, because from now on things are done that were not."""
        expired = facts.records.exemptions.expired(facts.now)
        await telling.announce_expired(expired, self._gates, self._door)
        tag = tag_exemption(facts.tags)
        if tag is not None and tag.until is not None and timedelta() <= facts.now - tag.until < TAG_TOLD_FOR:
            await self._door.tell(telling.tag_expired(facts.target, tag, tag.until))

    async def _tell_used_up(self, facts: ActFacts, full: blast_radius.UsedUp | None) -> None:
        if full is not None:
            await self._door.tell(telling.limit_reached(full, facts.target, facts.now))

    async def _tell_open(self, opened: Breaker, place: Place, target: Target | None, action: Action) -> None:
        if opened.opened_at is None:
            return
        endpoint_key = DeploymentId.parse(action.target).endpoint_key
        entry = telling.breaker_entry(opened, opened.opened_at, endpoint_key, place.target)
        await self._door.record(entry, telling.breaker_tripped(opened, opened.opened_at, place, target))


def _place_of(key: str) -> Place:
    """Where a deployment is that the policy names no more."""
    return Place(loop="", target=key, workspace_id=DeploymentId.parse(key).workspace_id)
