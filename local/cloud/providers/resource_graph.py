"""Microsoft.ResourceGraph: rows of what exists, as old as is assumed, of the types that the caller may read.

Source: azure-rest-api-specs, resourcegraph 2022-10-01 (ResourcesFirstPageQuery, ResourcesNextPageQuery); paging and
order: resource-graph/concepts/work-with-data; facts/limits.md "Reading many deployments".
"""

import base64
import binascii
import random
from datetime import timedelta
from typing import Any

from local.clock import Clock
from local.cloud.arm_errors import ArmError, bad_request
from local.cloud.bodies import GraphQuery, parsed
from local.cloud.estate import Deployment, Estate
from local.cloud.estate.resources import Resource
from local.cloud.kql import Query, UnsupportedQueryError, parse
from local.cloud.rights import Rights
from local.cloud.routing import Call, Reply, Route
from local.cloud.switches import Switches
from local.cloud.throttling import GraphQuota

COLUMNS = ("id", "name", "type", "location", "kind", "tags", "sku", "identity", "properties", "systemData")


class ResourceGraph:
    """`quota` slows callers down; `dice` shuffles what was not ordered: in Azure such pages are random."""

    def __init__(
        self, estate: Estate, switches: Switches, rights: Rights, quota: GraphQuota, clock: Clock, dice: random.Random
    ) -> None:
        self._estate = estate
        self._switches = switches
        self._rights = rights
        self._quota = quota
        self._clock = clock
        self._dice = dice

    def routes(self) -> list[Route]:
        return [
            Route(
                method="POST",
                template="/providers/Microsoft.ResourceGraph/resources",
                api_versions=("2022-10-01",),
                action="Microsoft.ResourceGraph/resources/read",
                handler=self.query,
                source="azure-rest-api-specs resourcegraph 2022-10-01 Resources",
                arm_throttled=False,
            )
        ]

    def query(self, call: Call) -> Reply:
        headers = self._quota.admit(call.principal.object_id, self._clock.now())
        body = parsed(GraphQuery, call.json())
        try:
            query = parse(body.query)
        except UnsupportedQueryError as error:
            message = (
                f"The local Resource Graph understands only a part of the query language (local/cloud/kql.py): {error}"
            )
            raise bad_request(message, "InvalidQuery") from error
        rows = self._rows(query, body.subscriptions)
        skip = _decoded(body.options.skip_token) if body.options.skip_token else body.options.skip
        page = rows[skip : skip + body.options.top]
        answer: dict[str, Any] = {
            "totalRecords": len(rows),
            "count": len(page),
            "facets": [],
            "data": page,
            "resultTruncated": "false",
        }
        if skip + len(page) < len(rows):
            answer["$skipToken"] = base64.b64encode(str(skip + len(page)).encode()).decode()
        return Reply(200, answer, headers)

    def _rows(self, query: Query, subscriptions: list[str] | None) -> list[dict[str, Any]]:
        asked = None if subscriptions is None else {subscription.lower() for subscription in subscriptions}
        in_scope = [self._row(found) for found in self._estate.all() if self._visible(found, asked)]
        rows = query.run(in_scope)
        if not query.order_by:
            self._dice.shuffle(rows)
        return rows

    def _visible(self, resource: Resource, subscriptions: set[str] | None) -> bool:
        if subscriptions is not None and resource.subscription.lower() not in subscriptions:
            return False
        if isinstance(resource, Deployment) and not self._switches.yes("graph.lists_deployments"):
            return False
        return self._rights.allow(f"{resource.type}/read")

    def _row(self, resource: Resource) -> dict[str, Any]:
        """Resource Graph writes types in lower case and adds subscription and group as columns."""
        age = timedelta(seconds=self._switches.seconds("graph.age_s"))
        document = resource.as_of(self._clock.now() - age)
        row = {column: document.get(column) for column in COLUMNS}
        place = {"subscriptionId": resource.subscription, "resourceGroup": resource.group.lower()}
        return row | place | {"type": resource.type.lower()}


def _decoded(token: str) -> int:
    try:
        return int(base64.b64decode(token, validate=True))
    except (ValueError, binascii.Error) as error:
        raise ArmError(400, "BadRequest", "The $skipToken is not one that Resource Graph issued.") from error
