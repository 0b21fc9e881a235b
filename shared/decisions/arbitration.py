"""Fold all live intents for an endpoint into one decision a deployment: the only place where loops meet.

Precedence, highest first: a person's hold (a pause, or a change that we did not make); a rollout's lease; the
platform's safety floors; hard budget stops; scaling; savings. The fold applies intents from the lowest precedence to
the highest, so the highest speaks last: a wish replaces the value, a ceiling lowers it, a floor raises it, a hold puts
it back to what is there. It knows nothing of how a loop thinks, and an intent that has run out is gone.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.domain import Decision, Dimension, Intent, Overruled, Source, plan_hash

PRECEDENCE: tuple[Source, ...] = (
    "savings",
    "scaling",
    "budget",
    "platform",
    "rollout",
    "manual_change",
    "person",
)

# Within one source a floor outranks a ceiling (more is safer than less), and a hold outranks both.
_KINDS = ("wish", "ceiling", "floor", "hold")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A deployment to decide on: the instances asked for today, the version of its effective policy, and how many
    decisions it has had (so that the same decision, made twice by two processes or after a crash, has the same id).
    """

    current: int
    policy_version: str
    decisions: int = 0


def arbitrate(subjects: Mapping[str, Subject], intents: Iterable[Intent], now: datetime) -> dict[str, Decision]:
    """One decision on capacity for each deployment of an endpoint whose capacity is known, by deployment key.

    `intents` are those of all loops, people and the platform, for any deployment of the endpoint.
    """
    everything = tuple(intents)
    return {target: fold(target, "capacity", subject, everything, now) for target, subject in subjects.items()}


def fold(target: str, dimension: Dimension, subject: Subject, intents: Iterable[Intent], now: datetime) -> Decision:
    """The decision for one target on one dimension; total: any set of intents gives exactly one."""
    current = subject.current
    live = sorted((i for i in intents if i.target == target and i.dimension == dimension and i.is_live(now)), key=_rank)
    to, winner = current, None
    for intent in live:
        wanted = _applied(intent, to, current)
        if wanted != to or _says_what_to_do(intent):
            to, winner = wanted, intent
    rule = winner.rule if winner else "nothing_wanted"
    plan = plan_hash(target, current, to, rule, subject.policy_version)
    return Decision(
        id=f"{now:%Y%m%d}T{subject.decisions + 1:06d}-{plan}",
        target=target,
        dimension=dimension,
        current=current,
        to=to,
        rule=rule,
        reason=winner.reason if winner else "No loop, person or platform rule wants anything here.",
        winner=winner.source if winner else None,
        policy_version=subject.policy_version,
        at=now,
        overruled=tuple(_overruled(live, winner, to, current)),
        alarms=tuple(_alarms(live, winner, to)),
    )


def _rank(intent: Intent) -> tuple[int, int, int, str, str]:
    """Precedence; among equals the greater wish is the safer one. The rest makes the order of intents irrelevant."""
    value = -1 if intent.value is None else intent.value
    return PRECEDENCE.index(intent.source), _KINDS.index(intent.kind), value, intent.rule, intent.reason


def _says_what_to_do(intent: Intent) -> bool:
    """Wishes and holds do, even where they change nothing; floors and ceilings only bound what others say."""
    return intent.kind == "hold" or (intent.kind == "wish" and intent.value is not None)


def _applied(intent: Intent, value: int, current: int) -> int:
    wanted = intent.value
    if intent.kind == "hold":
        return current
    if wanted is None:  # bounds nothing, wishes nothing
        return value
    if intent.kind == "floor":
        return max(value, wanted)
    if intent.kind == "ceiling":
        return min(value, wanted)
    return wanted


def _is_met(intent: Intent, to: int, current: int) -> bool:
    return _applied(intent, to, current) == to


def _overruled(live: Sequence[Intent], winner: Intent | None, to: int, current: int) -> Iterable[Overruled]:
    by = f"{winner.source}: {winner.rule}" if winner else ""
    for intent in live:
        if not _is_met(intent, to, current):
            yield Overruled(source=intent.source, kind=intent.kind, value=intent.value, rule=intent.rule, by=by)


def _alarms(live: Sequence[Intent], winner: Intent | None, to: int) -> Iterable[str]:
    """A hold below a floor is respected and alarmed."""
    if winner is None or winner.kind != "hold":
        return
    for floor in live:
        if floor.kind == "floor" and floor.value is not None and to < floor.value:
            yield (
                f"Held at {to} by {winner.source} ({winner.reason}) although {floor.source} asks for at least "
                f"{floor.value}: {floor.reason}"
            )
