"""A step of the act whose result is lost (functionTimeout, a worker that dies) is run again, and acts once.

Whether the host reports it as failed, for its RetryPolicy, or delivers it again by itself, is an assumption.
"""

import pytest

from local.host.functions import InvocationKilled, LoadedFunction
from local.host.runtime import Runtime
from shared.assumptions import BY_NAME
from tests.virtual.arena import QUICK, policy_text
from tests.virtual.conftest import VIRTUAL, OpenArena

pytestmark = VIRTUAL

NAME = "durable.killed_activity"


def lose_results(monkeypatch: pytest.MonkeyPatch, to_kill: int) -> list[str]:
    """The first so many steps run to their end, but nobody hears of it; what each of them would have said."""
    lost: list[str] = []
    invoke_text = Runtime.invoke_text

    async def invoke_and_lose(runtime: Runtime, function: LoadedFunction, text: str) -> str | None:
        result = await invoke_text(runtime, function, text)
        if function.name == "actuation_step" and len(lost) < to_kill:
            lost.append(str(result))
            raise InvocationKilled("FunctionTimeoutException", "the worker died")
        return result

    monkeypatch.setattr(Runtime, "invoke_text", invoke_and_lose)
    return lost


@pytest.mark.parametrize("killed_activity", BY_NAME[NAME].values)
@pytest.mark.parametrize("to_kill", [1, 2, 5])
async def test_a_step_that_is_killed_acts_once(
    open_arena: OpenArena, monkeypatch: pytest.MonkeyPatch, to_kill: int, killed_activity: str
) -> None:
    lost = lose_results(monkeypatch, to_kill)
    async with open_arena(shape=QUICK, policy=policy_text(min=3), assumptions={NAME: killed_activity}) as arena:
        await arena.pass_time(240)
        assert "Azure accepted 1 -> 3" in lost[0]
        assert len(lost) == to_kill
        assert arena.capacity() == 3
        assert len(arena.sent()) == 1
        (outcome,) = await arena.outcomes()
        assert (outcome.kind, outcome.code) == ("succeeded", "verified")
