"""The fold of one number: instances of a deployment, its existence, or jobs of a compute.

It applies intents from the lowest precedence to the highest, so the highest speaks last: a wish replaces the value, a
ceiling lowers it, a floor raises it, a hold puts it back to what is there, and so does a lease for all below it. Of a
rollout or a person's wish a safety floor still binds; only a person's hold goes below one, and alarms. The guard
speaks after all of them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.decisions.arbitration import guards, leases, precedence
from shared.decisions.arbitration.facts import Subject
from shared.domain import Decision, Dimension, Intent, Overruled, entry_id, plan_hash

NOTHING_WANTED = "No loop, person or platform rule wants anything here."


@dataclass(slots=True)
class _Value:
    """The value so far and who made it; and the least that a wish may still go down to, and whose word that is."""

    to: int
    winner: Intent | None = None
    least: int | None = None
    bound: Intent | None = None


def fold(target: str, dimension: Dimension, subject: Subject, intents: Iterable[Intent], now: datetime) -> Decision:
    """The decision for one target on one dimension; total: any set of intents gives exactly one.

    Leases count if they are on this very target and dimension. Expired intents are gone.
    """
    mine = [i for i in leases.live(intents, now) if i.target == target and i.dimension == dimension]
    return fold_heard(target, dimension, subject, leases.heard(mine, leases.holder_of(mine)), now)


def fold_heard(target: str, dimension: Dimension, subject: Subject, heard: leases.Heard, now: datetime) -> Decision:
    """As `fold`, of live intents for this target and dimension that were sorted by the lease that counts for it."""
    current = subject.current
    speaking = list(heard.intents)
    if heard.lease is not None and dimension != "capacity":
        speaking.append(heard.lease)
    speaking.sort(key=precedence.rank)
    value = _Value(current)
    for intent in speaking:
        _apply(intent, value, current)
    if dimension == "existence":  # there or not, whatever number was named
        value.to = int(value.to > 0)
    guarded = guards.guard(dimension, current, value.to, subject.load)
    winner = value.winner
    to, rule = value.to, winner.rule if winner else "nothing_wanted"
    reason = winner.reason if winner else NOTHING_WANTED
    by = f"{winner.source}: {winner.rule}" if winner else ""
    if guarded is not None:
        to, rule, reason, by = guarded.value, guarded.rule, guarded.reason, f"{guards.BY}: {guarded.rule}"
    plan = plan_hash(target, current, to, rule, subject.policy_version)
    return Decision(
        id=entry_id(now, plan, order=f"{subject.decisions + 1:06d}"),
        target=target,
        dimension=dimension,
        current=current,
        to=to,
        rule=rule,
        reason=reason,
        winner=winner.source if winner and guarded is None else None,
        policy_version=subject.policy_version,
        at=now,
        overruled=(*_overruled(speaking, by, to, current), *leases.lost(heard.unheard, heard.lease)),
        alarms=tuple(_alarms(speaking, winner, to)),
        holder=winner.holder if winner else "",
        lease_until=heard.lease.expires_at if heard.lease and winner and winner.holder else None,
    )


def _apply(intent: Intent, value: _Value, current: int) -> None:
    wanted = applied(intent, value.to, current)
    if intent.source == "platform":
        _bind(intent, value, current)
    if wanted == value.to and not _says_what_to_do(intent):
        return
    may_only_add = intent.source in precedence.MAY_ONLY_ADD and not precedence.person_holds(intent)
    if may_only_add and value.least is not None and wanted < value.least:
        value.to, value.winner = value.least, value.bound
    else:
        value.to, value.winner = wanted, intent


def _bind(intent: Intent, value: _Value, current: int) -> None:
    """Note a safety floor, or that the platform itself waits (after a change that did not work) below one."""
    if intent.kind == "floor" and intent.value is not None:
        if value.least is None or intent.value >= value.least:
            value.least, value.bound = intent.value, intent
    elif intent.kind == "hold" and value.least is not None and current < value.least:
        value.least, value.bound = current, intent


def _says_what_to_do(intent: Intent) -> bool:
    """Wishes, holds and leases do, even where they change nothing; floors and ceilings only bound what others say."""
    return intent.kind in ("hold", "lease") or (intent.kind == "wish" and intent.value is not None)


def applied(intent: Intent, value: int, current: int) -> int:
    """What becomes of `value` when this intent has spoken."""
    wanted = intent.value
    if intent.kind in ("hold", "lease"):
        return current
    if wanted is None:  # bounds nothing, wishes nothing
        return value
    if intent.kind == "floor":
        return max(value, wanted)
    if intent.kind == "ceiling":
        return min(value, wanted)
    return wanted


def _overruled(speaking: Sequence[Intent], by: str, to: int, current: int) -> Iterable[Overruled]:
    for intent in speaking:
        if intent.kind != "lease" and applied(intent, to, current) != to:
            yield Overruled(source=intent.source, kind=intent.kind, value=intent.value, rule=intent.rule, by=by)


def _alarms(speaking: Sequence[Intent], winner: Intent | None, to: int) -> Iterable[str]:
    """A hold below a floor is respected and alarmed."""
    if winner is None or winner.kind != "hold":
        return
    for floor in speaking:
        if floor.kind == "floor" and floor.value is not None and to < floor.value:
            yield (
                f"Held at {to} by {winner.source} ({winner.reason}) although {floor.source} asks for at least "
                f"{floor.value}: {floor.reason}"
            )
