"""Which workspaces there are, read from Resource Graph."""

import pytest

from local.cloud.estate import fleet
from shared.estate import workspaces
from shared.estate.workspaces import WorkspaceReader
from tests.estate.azure import BLUE, GREEN, running_azure, small_estate


async def test_workspaces_with_their_tags_and_deployments() -> None:
    estate = small_estate()
    estate["subscriptions"][0]["workspaces"][0]["tags"] = {"Env": "dev"}
    async with running_azure(estate) as azure:
        reader = WorkspaceReader(azure.arm, azure.pauses)
        (found,) = await reader.workspaces()
        assert (found.id.arm_id, found.region, found.tags) == (BLUE.workspace_id, "westeurope", {"Env": "dev"})
        assert await reader.tags() == {BLUE.workspace_id.lower(): {"Env": "dev"}}
        assert set(await reader.deployments()) == {BLUE, GREEN}


async def test_the_list_is_read_to_its_last_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspaces, "GRAPH_PAGE_ROWS", 7)
    async with running_azure(fleet(endpoints=10, deployments=2)) as azure:
        assert len(await WorkspaceReader(azure.arm, azure.pauses).deployments()) == 20
        assert azure.count("POST", "/resources") == 3
