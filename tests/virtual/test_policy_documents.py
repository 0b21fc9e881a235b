"""Operators see every document, what holds for a target and which line says so, and what nobody watches."""

from pathlib import Path
from typing import Any

import pytest

from local.world import DEPLOYMENT
from tests.policy.documents import as_yaml
from tests.virtual.arena import QUICK, Arena
from tests.virtual.conftest import VIRTUAL, OpenArena
from tests.virtual.test_projects import PLATFORM, document, projects

__all__ = ["projects"]

pytestmark = VIRTUAL

WORKSPACE = DEPLOYMENT.partition("/onlineEndpoints")[0]


async def told(arena: Arena, kind: str) -> list[Any]:
    page = await arena.made.stores.outbox.query(since=arena.opened_at, until=arena.clock.now(), limit=100)
    return [posted.notice for posted in page.notices if posted.notice.kind == kind]


async def test_documents_are_shown_with_both_versions(open_arena: OpenArena, projects: Path) -> None:
    async with open_arena(shape=QUICK, policy=as_yaml(PLATFORM)) as arena:
        (projects / "search.yaml").write_text(document())
        await arena.pass_time(60)
        shown = await arena.call("GET", "policy", status=200)
        platform, search = shown["documents"]
        assert (platform["project"], search["project"], shown["targets"]) == (None, "search", 1)
        assert search["refused"] is None
        (projects / "search.yaml").write_text(document() + "limits: {max_instances: 60}\n")
        await arena.pass_time(60)
        (_, refused) = (await arena.call("GET", "policy", status=200))["documents"]
        assert refused["in_force"] == search["in_force"]
        (problem,) = refused["refused"]["problems"]
        assert (problem["path"], problem["line"]) == ("limits.max_instances", 21)
        assert problem["remedy"]

        for _ in range(2):
            await arena.upkeep("policy_documents")
            await arena.pass_time(1)
        (notice,) = await told(arena, "policy_refused")
        assert notice.project == "search"
        assert "search.yaml:21: limits.max_instances" in notice.text


async def test_what_holds_for_a_target_names_its_lines(open_arena: OpenArena, projects: Path) -> None:
    async with open_arena(shape=QUICK, policy=as_yaml(PLATFORM | {"limits": {"max_instances": 4}})) as arena:
        (projects / "search.yaml").write_text(document(max=4) + "limits: {max_instances: 3}\n")
        await arena.pass_time(60)
        assert (await arena.call("GET", "policy", status=200))["targets"] == 0, "max 4 is more than its own limit"
        (projects / "search.yaml").write_text(document(max=3) + "limits: {quota_reserve_pct: 30}\n")
        await arena.pass_time(60)
        told = await arena.call("GET", "policy/targets/search.chat", status=200)
        fields = {one["name"]: one for one in told["fields"]}
        assert (told["mode"], told["project"], told["environment"]) == ("enforce", "search", "prod")
        assert (fields["scaling.max"]["layer"], fields["scaling.max"]["line"]) == ("target", 10)
        assert fields["limits.max_instances"]["document"].endswith("policy.yaml")
        assert (fields["limits.max_instances"]["value"], fields["limits.max_instances"]["layer"]) == (4, "platform")
        assert (fields["limits.quota_reserve_pct"]["layer"], fields["scaling.headroom_pct"]["layer"]) == (
            "project",
            "default",
        )
        missing = await arena.request("GET", "policy/targets/chat")
        assert (missing.status, missing.body["code"]) == (404, "not_found")


async def test_what_nobody_watches_is_shown_and_told_once(open_arena: OpenArena, projects: Path) -> None:
    rules: dict[str, Any] = {"workspaces": [{"name": "*"}]}
    async with open_arena(shape=QUICK, policy=as_yaml(PLATFORM | rules | {"projects": []})) as arena:
        shown = await arena.call("GET", "policy/unwatched", status=200)
        assert shown["unwatched"] == [WORKSPACE]
        assert shown["workspaces"][0]["deployments_without_a_target"] == [DEPLOYMENT]
        for _ in range(2):
            await arena.upkeep("unwatched")
            await arena.pass_time(1)
        (notice,) = await told(arena, "unwatched")
        assert "demo" in notice.text

        (projects / "search.yaml").write_text(document())
        arena.set_policy(as_yaml(PLATFORM | rules))
        await arena.pass_time(60)
        shown = await arena.call("GET", "policy/unwatched", status=200)
        assert (shown["unwatched"], shown["workspaces"][0]["projects"]) == ([], ["search"])
        assert shown["workspaces"][0]["deployments_without_a_target"] == []


async def test_without_a_rule_nothing_is_looked_for(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK) as arena:
        assert await arena.call("GET", "policy/unwatched", status=200) == {
            "unwatched": [],
            "workspaces": [],
            "next_cursor": None,
        }


@pytest.mark.parametrize("path", ["policy", "policy/unwatched", "policy/targets/chat"])
async def test_without_a_policy_there_is_a_word(open_arena: OpenArena, path: str) -> None:
    async with open_arena(shape=QUICK, policy="version: 9\n") as arena:
        got = await arena.request("GET", path)
        assert (got.status, got.body["code"]) == (503, "policy_unavailable")
