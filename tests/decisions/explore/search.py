"""Breadth first through every reachable state, so that what is found first is a shortest way to it."""

from collections import deque
from dataclasses import dataclass

from tests.decisions.explore.invariants import INVARIANTS, Broken, Judge
from tests.decisions.explore.states import State
from tests.decisions.explore.world import Model, World


@dataclass(frozen=True, slots=True)
class Counterexample:
    """The shortest way to a broken invariant, in words."""

    model: str
    invariant: str
    steps: tuple[str, ...]
    what: str

    def __str__(self) -> str:
        lines = [f"{number:>3}. {step}" for number, step in enumerate(self.steps, start=1)]
        return "\n".join(
            (
                f"In the model '{self.model}' this does not hold: {INVARIANTS[self.invariant]}",
                *lines,
                f"  => {self.what}",
            )
        )


@dataclass(frozen=True, slots=True)
class Explored:
    """How much there is, what was found first that does not hold, and which answers the last look gave."""

    states: int
    transitions: int
    depth: int
    broken: Counterexample | None
    answers: frozenset[str]


def explore(model: Model) -> Explored:
    """Every state that the model can reach, or up to the first that breaks an invariant."""
    world = World(model)
    judge = Judge(world)
    start = model.start()
    came: dict[State, tuple[State, str] | None] = {start: None}
    depths = {start: 0}
    queue = deque([start])
    transitions = depth = 0
    while queue:
        state = queue.popleft()
        depth = depths.pop(state)
        last = ""
        try:
            judge.state(state)
            judge.waiting(state)
            for words, event, after in world.steps(state):
                transitions += 1
                last = words
                judge.step(state, event)
                if after not in came:
                    came[after] = (state, words)
                    depths[after] = depth + 1
                    queue.append(after)
                last = ""
        except Broken as broken:
            steps = (*_way(came, state), *([last] if last else []))
            found = Counterexample(model.name, broken.name, steps, str(broken))
            return Explored(len(came), transitions, depth, found, frozenset(world.answers))
    return Explored(len(came), transitions, depth, None, frozenset(world.answers))


def _way(came: dict[State, tuple[State, str] | None], state: State) -> list[str]:
    steps: list[str] = []
    while (before := came[state]) is not None:
        state, words = before
        steps.append(words)
    return steps[::-1]
