"""Orchestrations that ran under earlier code go on under today's: their recorded histories replay.

Whoever changes an orchestrator so that a golden history does not replay any more raises `defaultVersion` in host.json
and keeps the old path for instances of older versions (`context.version`); then `make histories` records the new one
beside the old.
"""

# mypy: allow-untyped-calls, allow-untyped-defs

import inspect
import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import azure.durable_functions as df
import pytest

from handlers import actuation
from tests.histories.turns import GOLDEN, Turn, WireFunction, differences, last_turn, wire

FILES = sorted(GOLDEN.glob("*.json"))
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def replayed() -> Any:
    """What the replay of every golden history says (tests/histories/__main__.py)."""
    command = [sys.executable, "-m", "tests.histories"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def changed(source: str, name: str, **names: Any) -> WireFunction:
    """An orchestrator made of changed source."""
    blueprint = df.Blueprint()
    scope = {**vars(actuation), "blueprint": blueprint, **names}
    exec(textwrap.dedent(source), scope)
    app = df.DFApp()
    app.register_functions(blueprint)
    (function,) = [found for found in app.get_functions() if found.get_function_name() == name]
    return wire(function, function.get_bindings()[0].name)


def test_every_orchestrator_has_a_history(replayed: Any) -> None:
    recorded = {Turn.read(path).orchestrator for path in FILES}
    assert recorded == set(replayed["orchestrators"]), "record with `make histories` (tests/virtual/test_histories.py)"


@pytest.mark.parametrize("name", [path.stem for path in FILES])
def test_a_recorded_history_replays(replayed: Any, name: str) -> None:
    assert replayed["differences"][name] == []


async def test_an_orchestrator_that_does_two_things_in_another_order_does_not_replay() -> None:
    source = inspect.getsource(actuation)
    source = source[source.index("@blueprint.orchestration_trigger") : source.index("@blueprint.activity_trigger")]
    step = '        step = yield context.call_activity("actuation_step", input=order, retry_policy=RETRY)\n'
    pause = "        yield context.create_timer(timedelta(seconds=1))\n"
    assert step in source
    turns = [turn for turn in map(Turn.read, FILES) if turn.orchestrator == "actuate"]
    same = changed(source, "actuate")
    other = changed(source.replace(step, pause + step), "actuate")
    assert [await differences(turn, same) for turn in turns] == [[] for _ in turns]
    assert all([await differences(turn, other) for turn in turns])


async def test_two_activities_in_another_order_do_not_replay() -> None:
    """On a function of two activities, because a single one has no order."""
    source = """
        @blueprint.orchestration_trigger(context_name="context")
        def pair(context, order):
            yield context.call_activity("first", input=order)
            yield context.call_activity("second", input=order)
            return "done"
    """
    swapped = source.replace('"first"', '"x"').replace('"second"', '"first"').replace('"x"', '"second"')
    turn = await last_turn("pair", changed(source, "pair"), activities=2)
    assert turn.ends_generation
    assert await differences(turn, changed(source, "pair")) == []
    (told,) = await differences(turn, changed(swapped, "pair"))
    assert "first" in told
    assert "second" in told


def test_versions_are_on_so_that_old_instances_keep_their_code() -> None:
    durable = json.loads((ROOT / "host.json").read_text(encoding="utf-8"))["extensions"]["durableTask"]
    assert durable["defaultVersion"]
    assert (durable["versionMatchStrategy"], durable["versionFailureStrategy"]) == ("CurrentOrOlder", "Reject")
