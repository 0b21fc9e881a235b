"""Many endpoints beside the one that has the workload: what storms and long days work on.

They serve nobody: their queues hold what a test says they hold. Subscriptions of `ENDPOINTS_EACH` endpoints, because
Azure's token buckets are per subscription.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from local.cloud import FixedQueues
from local.cloud.estate import subscription_id
from local.cloud.queues import QueueCounts

REGION = "westeurope"
ENDPOINTS_EACH = 25
_GROUP, _WORKSPACE = "fleet", "fleet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One deployment of the fleet, by the numbers of its endpoint and of itself, and the queue that it serves."""

    endpoint: int
    number: int

    @property
    def name(self) -> str:
        return f"e{self.endpoint}-d{self.number}"

    @property
    def endpoint_id(self) -> str:
        return (
            f"{self._group}/Microsoft.MachineLearningServices/workspaces/{_WORKSPACE}"
            f"/onlineEndpoints/endpoint-{self.endpoint}"
        )

    @property
    def deployment_id(self) -> str:
        return f"{self.endpoint_id}/deployments/d{self.number}"

    @property
    def queue(self) -> str:
        return f"queue-{self.endpoint}-{self.number}"

    @property
    def namespace(self) -> str:
        return f"fleet-bus-{self.subscription}"

    @property
    def namespace_id(self) -> str:
        return f"{self._group}/Microsoft.ServiceBus/namespaces/{self.namespace}"

    @property
    def queue_id(self) -> str:
        return f"{self.namespace_id}/queues/{self.queue}"

    @property
    def subscription(self) -> int:
        """Its number, from 1."""
        return 1 + self.endpoint // ENDPOINTS_EACH

    @property
    def _group(self) -> str:
        return f"/subscriptions/{subscription_id(self.subscription)}/resourceGroups/{_GROUP}/providers"


class Fleet:
    """`endpoints` endpoints with `deployments` deployments each, all of one instance."""

    def __init__(self, endpoints: int, deployments: int, *, size: str, cold_start_s: float) -> None:
        self._size, self._cold_start_s, self._deployments = size, cold_start_s, deployments
        self.members = tuple(Member(endpoint=e, number=d) for e in range(endpoints) for d in range(deployments))
        names: dict[str, list[str]] = {}
        for member in self.members:
            names.setdefault(member.namespace, []).append(member.queue)
        self.queues = {namespace: FixedQueues(namespace, queues) for namespace, queues in names.items()}

    def load(self, member: Member, messages: int) -> None:
        """So many messages wait in the member's queue from now on, whatever is done about it."""
        self.queues[member.namespace].set(member.queue, QueueCounts(active=messages))

    def subscriptions(self) -> Iterator[dict[str, Any]]:
        """Their descriptions for the estate."""
        for number in sorted({member.subscription for member in self.members}):
            members = [member for member in self.members if member.subscription == number]
            namespace = members[0].namespace
            yield {
                "id": subscription_id(number),
                "workspaces": [
                    {"name": _WORKSPACE, "group": _GROUP, "region": REGION, "endpoints": self._endpoints(members)}
                ],
                "namespaces": [
                    {
                        "name": namespace,
                        "group": _GROUP,
                        "region": REGION,
                        "queues": [member.queue for member in members],
                    }
                ],
                "quota": {REGION: {"regional": -1, "standardDSv2Family": -1}},
            }

    def _endpoints(self, members: list[Member]) -> list[dict[str, Any]]:
        deployments = [
            {"name": f"d{number}", "size": self._size, "capacity": 1, "cold_start_s": self._cold_start_s}
            for number in range(self._deployments)
        ]
        numbers = sorted({member.endpoint for member in members})
        return [
            {"name": f"endpoint-{number}", "traffic": {"d0": 100}, "deployments": deployments} for number in numbers
        ]
