"""Records golden histories of the orchestrations: `make histories` writes them, the suite checks that they replay.

The scenarios go through an orchestrator's whole repertoire: steps, pauses, and a generation that continues as new.
"""

import os
from collections.abc import Iterator

import pytest

from local.cloud.operations import Outcome
from local.host.functions import LoadedFunction
from local.host.runtime import Runtime
from tests.histories.turns import GOLDEN, Turn
from tests.virtual.arena import QUICK, Arena, policy_text
from tests.virtual.conftest import VIRTUAL, OpenArena

pytestmark = VIRTUAL

RECORDS = os.environ.get("WATCHKEEPER_RECORD_HISTORIES") == "1"
GROWS = policy_text(min=3)


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Turn]]:
    """Every turn of every orchestration of the test, as it happens."""
    seen: list[Turn] = []
    invoke = Runtime.invoke_text

    async def recording(runtime: Runtime, function: LoadedFunction, text: str) -> str | None:
        answer = await invoke(runtime, function, text)
        if function.kind == "orchestrationTrigger" and answer is not None:
            seen.append(Turn.of_wire(function.name, text, answer))
        return answer

    monkeypatch.setattr(Runtime, "invoke_text", recording)
    yield seen


def keep(turns: list[Turn], name: str) -> None:
    """Write the last turn of the first generation, if this is a recording."""
    first = next(turn for turn in turns if turn.ends_generation)
    if RECORDS:
        first.write(GOLDEN / f"{name}.json")


async def grow(arena: Arena, seconds: float) -> None:
    await arena.evaluate()
    await arena.pass_time(seconds)


async def test_a_change_that_succeeds(open_arena: OpenArena, turns: list[Turn]) -> None:
    async with open_arena(shape=QUICK, policy=GROWS) as arena:
        await grow(arena, 120)
        keep(turns, "actuate-succeeds")


async def test_a_change_that_fails(open_arena: OpenArena, turns: list[Turn]) -> None:
    async with open_arena(shape=QUICK, policy=GROWS) as arena:
        arena.next_operation(code="OutOfCapacity")
        await grow(arena, 50)
        keep(turns, "actuate-fails")


async def test_a_change_that_takes_more_than_a_generation(open_arena: OpenArena, turns: list[Turn]) -> None:
    async with open_arena(shape=QUICK, policy=GROWS) as arena:
        arena.deployment().next_outcome = Outcome(kind="never")
        await grow(arena, 1200)
        keep(turns, "actuate-continues")
