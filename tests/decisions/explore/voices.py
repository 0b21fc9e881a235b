"""Who speaks in the models, and what each may say."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import cache

from shared.domain import Dimension, Intent, IntentKind, Source
from tests.decisions.explore.states import (
    BLUE,
    COMPUTE,
    ENDPOINT,
    FULL_LOAD,
    GREEN,
    NOW,
    Said,
    State,
    ends,
    split_of,
)


@dataclass(frozen=True, slots=True)
class Want:
    """One intent of an option. `share` is blue's percent for traffic."""

    target: str
    dimension: Dimension
    kind: IntentKind
    value: int | None = None
    share: int | None = None
    needs: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Option:
    """What is said at once, in `words`. It may follow only the options `after`, while they live (empty: any state),
    and where `may` says so.
    """

    words: str
    wants: tuple[Want, ...]
    after: tuple[int, ...] = ()
    may: Callable[[State], bool] = lambda state: True


@dataclass(frozen=True, slots=True)
class Voice:
    """A loop, a rollout, the platform or a person; `ticks` until what it said ends by itself (None: never).

    `holder` names an undertaking. A voice that `notices` speaks only when somebody changed something at Azure: option 1
    for blue's capacity, 2 for green's, 3 for the traffic.
    """

    name: str
    source: Source
    options: tuple[Option, ...]
    ticks: int | None = None
    holder: str = ""
    notices: bool = False


@cache
def intents_of(voice: Voice, said: Said, asked_first: bool) -> tuple[Intent, ...]:
    """The rows in the table that this voice has left."""
    if said.option == 0:
        return ()
    option = voice.options[said.option - 1]
    return tuple(
        Intent(
            target=want.target,
            dimension=want.dimension,
            kind=want.kind,
            source=voice.source,
            rule=voice.name,
            reason=option.words,
            at=NOW - timedelta(hours=2 if asked_first else 1),
            value=want.value,
            expires_at=ends(said.left),
            holder=voice.holder,
            split={} if want.share is None else split_of(want.share),
            needs=dict(want.needs),
        )
        for want in option.wants
    )


def one(words: str, *wants: Want) -> Option:
    return Option(words, wants)


def capacity(target: str, kind: IntentKind, value: int | None = None) -> Want:
    return Want(target, "capacity", kind, value)


LEASE = Want(ENDPOINT, "traffic", "lease")
STABLE_KEEPS = capacity(BLUE, "floor", FULL_LOAD)

SAVINGS = Voice("savings", "savings", (one("savings wish blue at 1", capacity(BLUE, "wish", 1)),))
SAVINGS_GREEN = Voice(
    "savings",
    "savings",
    (
        one("savings wish green at 1", capacity(GREEN, "wish", 1)),
        one("savings wish green deleted", Want(GREEN, "existence", "wish", 0)),
    ),
)
SCALING = Voice(
    "scaling",
    "scaling",
    (
        one("scaling wishes blue at 1", capacity(BLUE, "wish", 1)),
        one("scaling wishes blue at 3", capacity(BLUE, "wish", 3)),
    ),
)
SCALING_BOTH = Voice(
    "scaling",
    "scaling",
    (
        one("scaling wishes both at 1", capacity(BLUE, "wish", 1), capacity(GREEN, "wish", 1)),
        one("scaling wishes blue at 3", capacity(BLUE, "wish", 3)),
    ),
)
BUDGET = Voice("budget", "budget", (one("the budget allows blue 1", capacity(BLUE, "ceiling", 1)),))
BUDGET_DELETES = Voice("budget", "budget", (one("the budget stops green", Want(GREEN, "existence", "wish", 0)),))
FLOOR = Voice("floor", "platform", (one("the platform asks for 2 of blue", capacity(BLUE, "floor", 2)),))
GREEN_FLOOR = Voice("floor", "platform", (one("the platform asks for 2 of green", capacity(GREEN, "floor", 2)),))
LIMIT = Voice("limit", "platform", (one("the platform allows 1 of blue", capacity(BLUE, "ceiling", 1)),))
BACKOFF = Voice("backing_off", "platform", (one("the last change did not work", capacity(BLUE, "hold")),), ticks=1)
MANUAL = Voice(
    "manual_change",
    "manual_change",
    (
        one("somebody changed blue", capacity(BLUE, "hold")),
        one("somebody changed green", capacity(GREEN, "hold"), Want(GREEN, "existence", "hold")),
        one("somebody changed the traffic", Want(ENDPOINT, "traffic", "hold")),
    ),
    ticks=2,
    notices=True,
)
PAUSE = Voice(
    "paused",
    "person",
    (
        one(
            "a person pauses everything",
            capacity(BLUE, "hold"),
            capacity(GREEN, "hold"),
            Want(GREEN, "existence", "hold"),
            Want(ENDPOINT, "traffic", "hold"),
        ),
    ),
    ticks=2,
)
ORDER = Voice("order", "person", (one("a person orders 1 of blue", capacity(BLUE, "wish", 1)),), ticks=2)


def rollout(name: str, ticks: int = 2) -> Voice:
    """From blue to green: half, all, and back at any time while it holds the lease; back needs nothing, because blue
    was kept for the full load all the while.
    """

    def may_start(state: State) -> bool:
        return state.share == 100 and state.capacity[1] > 0 and state.flight(ENDPOINT, "traffic") is None

    half = Want(ENDPOINT, "traffic", "wish", share=50, needs=((GREEN, FULL_LOAD // 2),))
    most = Want(ENDPOINT, "traffic", "wish", share=0, needs=((GREEN, FULL_LOAD),))
    back = Want(ENDPOINT, "traffic", "wish", share=100)
    return Voice(
        name,
        "rollout",
        (
            Option(
                f"{name} sends half to green", (LEASE, STABLE_KEEPS, half, capacity(GREEN, "hold")), (0,), may_start
            ),
            Option(f"{name} sends all to green", (LEASE, STABLE_KEEPS, most, capacity(GREEN, "wish", 2)), (1,)),
            Option(f"{name} rolls back to blue", (LEASE, STABLE_KEEPS, back), (1, 2)),
        ),
        ticks=ticks,
        holder=name,
    )


def trial(name: str, *wants: Want, ticks: int = 1) -> Voice:
    """A rollout that does one thing under its lease."""
    return Voice(name, "rollout", (one(f"{name} is under way", LEASE, *wants),), ticks=ticks, holder=name)


def training(name: str) -> Voice:
    """A retraining that holds a compute."""
    return Voice(
        name,
        "rollout",
        (one(f"{name} holds the compute", Want(COMPUTE, "jobs", "lease"), Want(COMPUTE, "jobs", "wish", 1)),),
        ticks=2,
        holder=name,
    )


JOBS_SAVINGS = Voice("savings", "savings", (one("savings wish no jobs", Want(COMPUTE, "jobs", "wish", 0)),))
JOBS_BUDGET = Voice("budget", "budget", (one("the budget stops the jobs", Want(COMPUTE, "jobs", "ceiling", 0)),))
JOBS_PAUSE = Voice("paused", "person", (one("a person pauses the compute", Want(COMPUTE, "jobs", "hold")),), ticks=2)
