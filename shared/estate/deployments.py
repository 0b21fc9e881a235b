"""Online deployments: what they are asked to be (capacity) and what Azure is doing to them.

Requests of each operation:
* `read`: GET {deployment}
* `list_by_graph`: POST /providers/Microsoft.ResourceGraph/resources, one per 1,000 deployments
* `list_by_endpoint`: GET {endpoint}/deployments, and its next pages
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from shared.domain import DeploymentId, InvalidResourceId
from shared.estate import api
from shared.estate.arm import LONGEST_PAUSE_S, Arm, ArmReply, Sleep
from shared.estate.failures import ArmError, ArmThrottled

GRAPH_PATH = "/providers/Microsoft.ResourceGraph/resources"
GRAPH_PAGE_ROWS = 1000
GRAPH_SUBSCRIPTIONS = 1000
"""Resource Graph takes at most this many subscriptions in one query."""

GRAPH_QUERY = (
    "resources"
    " | where type =~ 'microsoft.machinelearningservices/workspaces/onlineendpoints/deployments'"
    " | project id, location, sku, properties, tags"
    " | order by id asc"
)
"""Ordered, because pages of an unordered query overlap and leave gaps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentView:
    """A deployment as read at `read_at` from `source` ("arm", or "graph", which may lag by seconds to a minute).

    `capacity` is the instances asked for (sku.capacity), None if the source does not say. `provisioning_state` is
    Azure's word (Creating, Updating, Succeeded, Failed, Canceled, ...), "" if unknown. `compute_type` is Managed or
    Kubernetes, `instance_type` the VM size of a managed one, `scale_type` Default or TargetUtilization, `region`
    normalised ("westeurope"; a deployment is where its workspace is), `sku_name` what a PATCH of the capacity repeats,
    `slots` how many requests an instance serves at once (1 unless Azure says otherwise).
    """

    id: DeploymentId
    capacity: int | None
    provisioning_state: str
    compute_type: str
    instance_type: str
    scale_type: str
    region: str
    sku_name: str
    read_at: datetime
    source: str
    tags: Mapping[str, str] = field(default_factory=dict)
    slots: int = 1

    @property
    def on_kubernetes(self) -> bool:
        return self.compute_type.lower() == "kubernetes"

    @property
    def has_gpus(self) -> bool:
        """By the name of its size: Azure calls all sizes with accelerators N."""
        return self.instance_type.lower().startswith("standard_n")

    @property
    def scaled_by_cluster(self) -> bool:
        """Its Kubernetes cluster scales it: two writers of one capacity would fight.

        So it does where nothing is said: without scaleSettings a KubernetesOnlineDeployment has TargetUtilization
        (REST reference of OnlineScaleSettings).
        """
        return self.on_kubernetes and self.scale_type.lower() != "default"


def normalised_region(location: object) -> str:
    """ "West Europe" and "westeurope" are one region."""
    return str(location or "").replace(" ", "").lower()


async def read(arm: Arm, deployment: DeploymentId, now: datetime) -> DeploymentView:
    """One fresh GET.

    Raises:
        ArmFailure: not readable; status 404 if there is no such deployment.
    """
    reply = await arm.get(deployment.arm_id, api.MACHINE_LEARNING)
    return _view(deployment, reply.body, now, "arm")


async def list_by_graph(
    arm: Arm, subscriptions: Sequence[str], now: datetime, sleep: Sleep = asyncio.sleep
) -> dict[str, DeploymentView]:
    """All deployments of the subscriptions that the identity may read, by key, in one query and its pages.

    Whether Resource Graph lists deployments with their capacity is an assumption (graph.lists_deployments): what is not
    in the answer, or is there without a capacity, has to be read elsewhere.

    Raises:
        ArmFailure: the query failed; ArmThrottled if its quota is used up for longer than we sit through.
    """
    views: dict[str, DeploymentView] = {}
    for start in range(0, len(subscriptions), GRAPH_SUBSCRIPTIONS):
        part = subscriptions[start : start + GRAPH_SUBSCRIPTIONS]
        skip_token = ""
        while True:
            reply = await arm.post_query(GRAPH_PATH, api.RESOURCE_GRAPH, _graph_body(part, skip_token))
            views.update((view.id.key, view) for view in _views(reply.body.get("data"), now, "graph"))
            skip_token = str(reply.body.get("$skipToken") or "")
            if not skip_token:
                break
            await sleep(graph_pause_s(reply))
    return views


async def list_by_endpoint(arm: Arm, deployment: DeploymentId, now: datetime) -> dict[str, DeploymentView]:
    """All deployments of the endpoint of `deployment`, by key: the fallback where the graph does not tell."""
    views: dict[str, DeploymentView] = {}
    async for page in arm.pages(f"{deployment.endpoint_id}/deployments", api.MACHINE_LEARNING):
        views.update((view.id.key, view) for view in _views(page.get("value"), now, "arm"))
    return views


def _graph_body(subscriptions: Sequence[str], skip_token: str) -> dict[str, Any]:
    options: dict[str, Any] = {"$top": GRAPH_PAGE_ROWS, "resultFormat": "objectArray"}
    if skip_token:
        options["$skipToken"] = skip_token
    return {"subscriptions": list(subscriptions), "query": GRAPH_QUERY, "options": options}


def graph_pause_s(reply: ArmReply) -> float:
    """How long to wait before the next page: the last answer of a window says when the next one begins."""
    pause_s = reply.retry_after_s or 0.0
    if pause_s > LONGEST_PAUSE_S:
        where = f"POST {GRAPH_PATH}"
        raise ArmThrottled(where, 429, "<quota used up>", "Resource Graph has no query left", retry_after_s=pause_s)
    return pause_s


def _views(rows: object, now: datetime, source: str) -> Iterator[DeploymentView]:
    for row in rows if isinstance(rows, list) else ():
        if not isinstance(row, Mapping):
            continue
        try:
            deployment = DeploymentId.parse(str(row.get("id", "")))
        except InvalidResourceId:
            continue  # not one of ours to judge: whoever misses it reads it singly, and is told why that fails
        yield _view(deployment, row, now, source)


def _view(deployment: DeploymentId, row: Mapping[str, Any], now: datetime, source: str) -> DeploymentView:
    properties = _mapping(row.get("properties"))
    if not properties and source == "arm":
        raise ArmError(deployment.arm_id, 200, "<no properties>", "the answer does not describe a deployment")
    sku = _mapping(row.get("sku"))
    capacity = sku.get("capacity")
    return DeploymentView(
        id=deployment,
        capacity=capacity if isinstance(capacity, int) and not isinstance(capacity, bool) else None,
        provisioning_state=str(properties.get("provisioningState") or ""),
        compute_type=str(properties.get("endpointComputeType") or ""),
        instance_type=str(properties.get("instanceType") or ""),
        scale_type=str(_mapping(properties.get("scaleSettings")).get("scaleType") or ""),
        region=normalised_region(row.get("location")),
        sku_name=str(sku.get("name") or "Default"),
        read_at=now,
        source=source,
        tags={str(key): str(value) for key, value in _mapping(row.get("tags")).items()},
        slots=_slots(_mapping(properties.get("requestSettings")).get("maxConcurrentRequestsPerInstance")),
    )


def _slots(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 1 else 1


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
