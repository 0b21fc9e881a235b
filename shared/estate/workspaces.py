"""Workspaces of Azure Machine Learning that the identity may read: which there are, with their tags and deployments.

Requests: POST /providers/Microsoft.ResourceGraph/resources, one per 1,000 workspaces or deployments.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.domain import DeploymentId, InvalidResourceId, WorkspaceId
from shared.estate import api
from shared.estate.arm import Arm, Sleep
from shared.estate.deployments import GRAPH_PAGE_ROWS, GRAPH_PATH, graph_pause_s, normalised_region

WORKSPACES = (
    "resources"
    " | where type =~ 'microsoft.machinelearningservices/workspaces'"
    " | project id, location, tags"
    " | order by id asc"
)
DEPLOYMENTS = (
    "resources"
    " | where type =~ 'microsoft.machinelearningservices/workspaces/onlineendpoints/deployments'"
    " | project id"
    " | order by id asc"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """A workspace that exists. `region` is normalised ("westeurope")."""

    id: WorkspaceId
    region: str
    tags: Mapping[str, str] = field(default_factory=dict)


class WorkspaceReader:
    """Asks Resource Graph over every subscription that the identity may read."""

    def __init__(self, arm: Arm, sleep: Sleep = asyncio.sleep) -> None:
        self._arm, self._sleep = arm, sleep

    async def workspaces(self) -> tuple[Workspace, ...]:
        """All workspaces, in the order of their ids.

        Raises:
            ArmFailure: the query failed; ArmThrottled if its quota is used up for longer than we sit through.
        """
        found = []
        for row in await self._rows(WORKSPACES):
            try:
                known = WorkspaceId.parse(str(row.get("id", "")))
            except InvalidResourceId:
                continue  # of a kind that shares the type: a registry's, say
            found.append(Workspace(id=known, region=normalised_region(row.get("location")), tags=_tags(row)))
        return tuple(found)

    async def tags(self) -> Mapping[str, Mapping[str, str]]:
        """The tags of every workspace, by its key. Raises as `workspaces`."""
        return {workspace.id.key: workspace.tags for workspace in await self.workspaces()}

    async def deployments(self) -> tuple[DeploymentId, ...]:
        """All online deployments that Resource Graph lists (`graph.lists_deployments` is an assumption).

        Raises as `workspaces`.
        """
        found = []
        for row in await self._rows(DEPLOYMENTS):
            try:
                found.append(DeploymentId.parse(str(row.get("id", ""))))
            except InvalidResourceId:
                continue
        return tuple(found)

    async def _rows(self, query: str) -> Sequence[Mapping[str, Any]]:
        rows: list[Mapping[str, Any]] = []
        skip_token = ""
        while True:
            options: dict[str, Any] = {"$top": GRAPH_PAGE_ROWS, "resultFormat": "objectArray"}
            if skip_token:
                options["$skipToken"] = skip_token
            reply = await self._arm.post_query(GRAPH_PATH, api.RESOURCE_GRAPH, {"query": query, "options": options})
            data = reply.body.get("data")
            rows += [row for row in data if isinstance(row, Mapping)] if isinstance(data, list) else []
            skip_token = str(reply.body.get("$skipToken") or "")
            if not skip_token:
                return rows
            await self._sleep(graph_pause_s(reply))


def _tags(row: Mapping[str, Any]) -> Mapping[str, str]:
    tags = row.get("tags")
    return {str(key): str(value) for key, value in tags.items()} if isinstance(tags, Mapping) else {}
