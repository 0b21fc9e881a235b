"""What stops changes now: modes, switches of people, freezes, breakers, the blast radius, exemptions."""

from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING

from shared.overview.parts import MOST, Shown, text
from shared.policy import Policy, Target
from shared.policy.freezes import Freeze
from shared.records.changes_made import ChangesMade
from shared.safety.breaker import limits_for, state_of
from shared.safety.freezes import frozen_until, next_start

if TYPE_CHECKING:
    from shared.services import Services


async def modes(made: "Services", _now: datetime) -> Shown:
    """How far each loop may go, and how many targets each mode has."""
    policy = await made.policies.current()
    counted = Counter(policy.scaling_mode(target) for target in policy.targets)
    loops = {name: getattr(policy.loops, name).mode for name in type(policy.loops).model_fields}
    return Shown({"loops": loops, "targets": {mode: counted[mode] for mode in ("off", "observe", "enforce")}})


async def kill_switches(made: "Services", now: datetime) -> Shown:
    switches = sorted((await made.stores.controls.load(now)).kill_switches.values(), key=lambda one: one.at)
    views = [{"scope": one.scope, "by": one.by, "reason": one.reason, "at": text(one.at)} for one in switches]
    words = tuple(f"Kill switch on for {one.scope} by {one.by}: {one.reason}" for one in switches)
    return Shown({"on": views}, words)


async def pauses(made: "Services", now: datetime) -> Shown:
    from shared.loops.views import pause_view

    held = sorted((await made.stores.controls.load(now)).pauses.values(), key=lambda one: one.at)
    endless = tuple(f"{one.scope} is paused without an end by {one.by}" for one in held if one.expires_at is None)
    return Shown({"held": [pause_view(one) for one in held]}, endless)


async def freezes(made: "Services", now: datetime) -> Shown:
    """Those in force with their end, and when each of the others begins next."""
    every = _freezes(await made.policies.current())
    ends = [(end, one) for one in every if (end := frozen_until(one, now)) is not None]
    frozen = [one for _, one in ends]
    starts = [(at, one) for one in every if one not in frozen and (at := next_start(one, now)) is not None]
    return Shown(
        {
            "now": [_freeze(one) | {"until": text(end)} for end, one in sorted(ends, key=lambda pair: pair[0])],
            "next": [_freeze(one) | {"from": text(at)} for at, one in sorted(starts, key=lambda pair: pair[0])][:MOST],
        },
        tuple(f"Freeze window '{one.name}' until {end:%Y-%m-%d %H:%M} UTC" for end, one in ends),
    )


def _freezes(policy: Policy) -> list[Freeze]:
    """The platform's and every project's, each once."""
    by_name = {one.name: one for one in policy.freezes}
    for target in policy.targets:
        by_name |= {one.name: one for one in policy.of(target).freezes}
    return list(by_name.values())


def _freeze(one: Freeze) -> dict[str, object]:
    return {"name": one.name, "scopes": list(one.scopes), "allowed": list(one.allowed), "reason": one.reason}


async def breakers(made: "Services", now: datetime) -> Shown:
    policy = await made.policies.current()
    known = (await made.stores.gates.load()).breakers.values()
    opened = sorted((one for one in known if one.opened_at is not None), key=lambda one: one.scope)
    views = [
        {
            "scope": one.scope,
            "state": state_of(one, limits_for(one.scope, policy, _target(policy, one.scope)), now),
            "since": text(one.opened_at),
            "why": one.why,
        }
        for one in opened
    ]
    words = tuple(f"The circuit breaker of {one.scope} is open: {one.why}" for one in opened)
    return Shown({"known": len(known), "open": views[:MOST], "more": len(views) > MOST}, words[:MOST])


def _target(policy: Policy, scope: str) -> Target | None:
    return policy.target(scope.removeprefix("target:"))


async def blast_radius(made: "Services", now: datetime) -> Shown:
    """How many changes were begun within the hour, of how many; `all` together and by project."""
    limits, stored = (await made.policies.current()).limits.blast_radius, (await made.stores.gates.load()).made
    view, words = {}, []
    for name, budget in (("growths", limits.growths), ("reductions", limits.reductions)):
        changes = stored.get(name, ChangesMade()).within_the_hour(now)
        by_project = Counter(change.project for change in changes if change.project)
        view[name] = {
            "begun": len(changes),
            "all_per_hour": budget.all_per_hour,
            "targets": len({change.target for change in changes}),
            "projects": dict(by_project.most_common(10)),
        }
        if len(changes) >= budget.all_per_hour:
            words.append(f"The blast radius of {name} is used up: {len(changes)} within the hour")
    return Shown(view, tuple(words))


async def exemptions(made: "Services", now: datetime) -> Shown:
    stored = (await made.stores.gates.load()).exemptions.stored
    live = sorted((one for one in stored if one.is_live(now)), key=lambda one: one.expires_at)
    views = [
        {"scope": one.scope, "acts": one.acts, "owner": one.owner, "until": text(one.expires_at)} for one in live[:MOST]
    ]
    return Shown({"in_force": len(live), "first_to_end": views})
