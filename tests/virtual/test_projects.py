"""A project's document comes under watch without a restart, and the act reads what holds now."""

from pathlib import Path
from typing import Any

import pytest

from local.world import DEPLOYMENT, QUEUE
from tests.policy.documents import as_yaml
from tests.virtual.arena import QUICK, SCALING, Arena
from tests.virtual.conftest import VIRTUAL, OpenArena

pytestmark = VIRTUAL

GRANT = {"name": "search", "workspaces": [{"name": "demo"}], "queues": [{"namespace": "demo-bus"}]}
PLATFORM: dict[str, Any] = {"version": 1, "loops": {"scaling": {"mode": "enforce"}}, "projects": [GRANT]}


def document(**fields: Any) -> str:
    """The project's document, with the one target of the world; `fields` are those of its scaling."""
    target = {"name": "chat", "deployment": DEPLOYMENT, "queue": QUEUE, "mode": "enforce"}
    return as_yaml({"version": 1, "project": "search", "targets": [target | {"scaling": {**SCALING, **fields}}]})


@pytest.fixture
def projects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "projects"
    folder.mkdir()
    monkeypatch.setenv("WATCHKEEPER_POLICY_PROJECTS", str(folder))
    return folder


async def names(arena: Arena) -> list[str]:
    return [one["name"] for one in (await arena.call("GET", "targets", status=200))["targets"]]


async def test_a_document_that_is_dropped_in_is_watched_without_a_restart(
    open_arena: OpenArena, projects: Path
) -> None:
    async with open_arena(shape=QUICK, policy=as_yaml(PLATFORM)) as arena:
        await arena.pass_time(60)
        assert await names(arena) == []
        (projects / "search.yaml").write_text(document(min=3))
        await arena.pass_time(180)

        assert await names(arena) == ["search.chat"]
        assert arena.capacity() == 3
        (decision,) = await arena.entries("decision")
        assert decision.target == "search.chat"
        await arena.control("POST", "pause", scope="project:search", for_s=60)
        assert (await arena.call("GET", "targets/search.chat", status=200))["paused"]["scope"] == "project:search"

        (projects / "search.yaml").write_text(document(min=99))
        await arena.pass_time(180)
        assert await names(arena) == ["search.chat"], "the last good version stays"
        assert arena.capacity() == 3
        (projects / "search.yaml").unlink()
        await arena.pass_time(60)
        assert await names(arena) == []


async def test_a_limit_that_was_lowered_after_the_decision_holds_at_the_act(
    open_arena: OpenArena, projects: Path
) -> None:
    async with open_arena(shape=QUICK, policy=as_yaml(PLATFORM)) as arena:
        (projects / "search.yaml").write_text(document(min=3))
        await arena.made.policies.current(fresh=True)
        arena.set_policy(as_yaml(PLATFORM | {"limits": {"max_instances": 2}}))
        await arena.evaluate("search.chat")  # by the copy, which is not too old yet

        (decision,) = await arena.decisions()
        assert decision.to == 3
        assert arena.sent() == []
        (outcome,) = await arena.outcomes()
        assert "no more than 2" in outcome.reason
        await arena.pass_time(240)
        assert arena.capacity() == 2
