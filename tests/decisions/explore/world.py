"""What can happen next in a state: the real fold and the real last look, with Azure, time and people around them.

A loop that crashes is one that says nothing more, and a withdrawal that is lost is one that does not happen: both are
among the ways on from every state, so they need no step of their own. Whoever sends may die before he notes it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache

from shared.decisions.arbitration import Concurrency, Sending, Target, arbitrate_endpoint, sendable
from shared.domain import Decision, Intent
from tests.decisions.explore.states import (
    BLUE,
    COMPUTE,
    DEPLOYMENTS,
    ENDPOINT,
    GREEN,
    NO_END,
    NOW,
    Op,
    Plan,
    Said,
    State,
    decision_of,
    facts_of,
    plan_of,
)
from tests.decisions.explore.voices import Voice, intents_of

MOST = 3
"""The largest capacity."""


@dataclass(frozen=True, slots=True)
class Model:
    """Who speaks, where it starts, what a person may do at Azure (so many `moves`), what Azure is assumed to answer.

    `crashes`: who sends may die before he notes it, and the decision is there as if it had not been sent.
    """

    name: str
    about: str
    voices: tuple[Voice, ...]
    capacity: tuple[int, int]
    moves: int = 0
    share: int = 100
    jobs: int = 0
    assumed: Concurrency = field(default_factory=Concurrency)
    person_sets: tuple[int, ...] = ()
    person_shares: tuple[int, ...] = ()
    crashes: bool = False

    def start(self) -> State:
        silence = tuple(Said() for _ in self.voices)
        return State(self.capacity, self.share, self.jobs, (), silence, -1, (), self.moves)


@dataclass(frozen=True, slots=True)
class Sent:
    """A decision that goes out now: what the invariants look at before it does."""

    plan: Plan


@dataclass(frozen=True, slots=True)
class Landed:
    """A change of ours that has come about."""

    op: Op


type Event = Sent | Landed | None
type Step = tuple[str, Event, State]


class World:
    """The steps of one model. It remembers what the real functions answered, for they are pure."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self._decided = cache(self._decide)
        self._last_look = cache(self._look)
        self.intents = cache(self._intents)
        self.answers: set[str] = set()

    def steps(self, state: State) -> Iterator[Step]:
        yield from self._speech(state)
        yield from self._time(state)
        yield from self._round(state)
        yield from self._acts(state)
        yield from self._ends(state)
        yield from self._person(state)

    # ---- the real functions

    def decisions(self, state: State) -> dict[Target, Decision]:
        return self._decided(state.said, state.first, state.capacity, state.share, state.jobs, state.flights)

    def sending(self, state: State, plan: Plan) -> Sending:
        intents = self.intents(state.said, state.first)
        return self._last_look(plan, intents, state.capacity, state.share, state.jobs, state.flights)

    def _decide(
        self,
        said: tuple[Said, ...],
        first: int,
        capacity: tuple[int, int],
        share: int,
        jobs: int,
        flights: tuple[Op, ...],
    ) -> dict[Target, Decision]:
        facts = facts_of(capacity, share, jobs, flights)
        return arbitrate_endpoint(facts, self.intents(said, first).rows, NOW)

    def _look(
        self,
        plan: Plan,
        intents: "Rows",
        capacity: tuple[int, int],
        share: int,
        jobs: int,
        flights: tuple[Op, ...],
    ) -> Sending:
        facts = facts_of(capacity, share, jobs, flights)
        sendings = sendable([decision_of(plan)], facts, intents.rows, self.model.assumed, NOW)
        sending = sendings[plan.target, plan.dimension]
        self.answers.add(sending.code)
        return sending

    def _intents(self, said: tuple[Said, ...], first: int) -> "Rows":
        rows: list[Intent] = []
        for index, (voice, each) in enumerate(zip(self.model.voices, said, strict=True)):
            rows += intents_of(voice, each, index == first)
        return Rows(tuple(rows))

    # ---- the steps

    def _speech(self, state: State) -> Iterator[Step]:
        for index, voice in enumerate(self.model.voices):
            now = state.said[index]
            if now.option:
                yield f"{voice.name} withdraws", None, _say(state, index, Said())
            if voice.notices:
                continue
            lives = now.option and now.left != 0
            for number, option in enumerate(voice.options, start=1):
                came_from = now.option if lives else 0
                if option.after and came_from not in (*option.after, number):
                    continue
                if came_from != number and not option.may(state):
                    continue
                first = self._first(state, index)
                left = NO_END if voice.ticks is None else voice.ticks
                said = _say(state, index, Said(number, left))
                yield option.words, None, said._replace(first=first)

    def _first(self, state: State, index: int) -> int:
        """Who asked for a lease first, when `index` asks (again): it keeps its place while its lease lives."""
        if not self.model.voices[index].holder:
            return state.first
        others = [
            other
            for other, voice in enumerate(self.model.voices)
            if other != index and voice.holder and is_live(state.said[other])
        ]
        if is_live(state.said[index]):
            return state.first if others else index
        return others[0] if others else index

    def _time(self, state: State) -> Iterator[Step]:
        said = tuple(each._replace(left=_less(each.left)) if each.option else each for each in state.said)
        plans = tuple(plan._replace(left=_less(plan.left)) for plan in state.plans)
        if said != state.said or plans != state.plans:
            yield "a minute passes", None, state._replace(said=said, plans=plans)

    def _round(self, state: State) -> Iterator[Step]:
        plans = tuple(plan_of(each) for each in self.decisions(state).values() if each.changes)
        busy = [plan for plan in state.plans if state.flight(plan.target, plan.dimension)]
        after = tuple(sorted((*plans, *busy), key=lambda plan: (plan.target, plan.dimension)))
        if after != state.plans:
            words = "; ".join(_plan_words(plan) for plan in after) or "everything stays"
            yield f"a round decides: {words}", None, state._replace(plans=after)

    def _acts(self, state: State) -> Iterator[Step]:
        for plan in state.plans:
            sending = self.sending(state, plan)
            rest = tuple(each for each in state.plans if each is not plan)
            if sending.void:
                yield f"not sent ({sending.code}): {_plan_words(plan)}", None, state._replace(plans=rest)
            elif sending.now and not sending.expects_conflict:  # else Azure answers 409, and it is repeated
                op = Op(plan.target, plan.dimension, plan.to)
                sent = state._replace(plans=rest, flights=tuple(sorted((*state.flights, op))))
                yield f"sent: {_plan_words(plan)}", Sent(plan), sent
                if self.model.crashes:
                    again = sent._replace(plans=state.plans)
                    yield f"sent, and died before that was noted: {_plan_words(plan)}", Sent(plan), again

    def _ends(self, state: State) -> Iterator[Step]:
        for op in state.flights:
            rest = state._replace(flights=tuple(each for each in state.flights if each is not op))
            yield f"it has come about: {_op_words(op)}", Landed(op), _landed(rest, op)
            yield f"it failed: {_op_words(op)}", None, rest

    def _person(self, state: State) -> Iterator[Step]:
        if state.moves == 0:
            return
        for index, name in enumerate(DEPLOYMENTS):
            busy = state.flight(name, "capacity") or state.flight(name, "existence")
            for size in self.model.person_sets:
                if not busy and state.capacity[index] not in (0, size):
                    changed = _with_capacity(state, name, size)
                    yield f"a person sets {name} to {size}", None, self._noticed(changed, index + 1)
        for share in self.model.person_shares:
            absent = share < 100 and (state.capacity[1] == 0 or state.flight(GREEN, "existence"))
            if share != state.share and not absent and not state.flight(ENDPOINT, "traffic"):
                flights = tuple(op._replace(excused=True) for op in state.flights)
                changed = state._replace(share=share, flights=flights)
                yield f"a person sends {share} % to blue", None, self._noticed(changed, 3)

    def _noticed(self, state: State, option: int) -> State:
        """The round that sees it holds before anything is decided: to look and to hold is one step."""
        for index, voice in enumerate(self.model.voices):
            if voice.notices and voice.ticks is not None:
                state = _say(state, index, Said(option, voice.ticks))
        return state._replace(moves=state.moves - 1)


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Intents, compared by identity: the same rows are the same object."""

    rows: tuple[Intent, ...]


def is_live(said: Said) -> bool:
    return said.option != 0 and said.left != 0


def _less(left: int) -> int:
    return left - 1 if left > 0 else left


def _say(state: State, index: int, said: Said) -> State:
    return state._replace(said=(*state.said[:index], said, *state.said[index + 1 :]))


def _with_capacity(state: State, name: str, size: int) -> State:
    blue, green = state.capacity
    return state._replace(capacity=(size, green) if name == BLUE else (blue, size))


def _landed(state: State, op: Op) -> State:
    apply: dict[str, Callable[[], State]] = {
        "traffic": lambda: state._replace(share=op.to),
        "jobs": lambda: state._replace(jobs=op.to),
        "capacity": lambda: _with_capacity(state, op.target, op.to),
        "existence": lambda: _with_capacity(state, op.target, op.to),
    }
    return apply[op.dimension]()


def _plan_words(plan: Plan) -> str:
    if plan.dimension == "traffic":
        return f"blue gets {plan.to} % of the requests instead of {plan.current} ({plan.rule})"
    if plan.dimension == "existence":
        return f"{plan.target} is {'made' if plan.to else 'deleted'} ({plan.rule})"
    what = f"jobs on {COMPUTE}" if plan.dimension == "jobs" else plan.target
    return f"{what} {plan.current} -> {plan.to} ({plan.rule})"


def _op_words(op: Op) -> str:
    if op.dimension == "traffic":
        return f"blue has {op.to} % of the requests"
    if op.dimension == "existence":
        return f"{op.target} is {'there' if op.to else 'gone'}"
    return f"{op.target} has {op.to}"
