"""Microsoft.ServiceBus: the queues of a namespace with their counts, as Resource Manager shows them.

Source: azure-rest-api-specs, servicebus 2024-01-01, examples SBQueueGet and SBQueueListByNameSpace; countDetails: REST
reference and facts/limits.md "Queue depth".
"""

from typing import Any

from local.cloud.arm_errors import not_found
from local.cloud.estate import Estate, Namespace
from local.cloud.estate.builder import CREATED_AT
from local.cloud.paging import paged
from local.cloud.queues import QueueBoard, QueueCounts
from local.cloud.routing import Call, Reply, Route
from local.cloud.switches import Switches

API_VERSIONS = ("2024-01-01",)
SPEC = "azure-rest-api-specs servicebus 2024-01-01"
PAGE = 100
FOREVER = "P10675199DT2H48M5.4775807S"

_QUEUES = (
    "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.ServiceBus/namespaces/{namespace}/queues"
)


class ServiceBus:
    def __init__(self, estate: Estate, board: QueueBoard, switches: Switches) -> None:
        self._estate = estate
        self._board = board
        self._switches = switches

    def routes(self) -> list[Route]:
        action = "Microsoft.ServiceBus/namespaces/queues/read"
        return [
            Route(
                method="GET",
                template=_QUEUES,
                api_versions=API_VERSIONS,
                action=action,
                handler=self.list_queues,
                source=f"{SPEC} SBQueueListByNameSpace",
            ),
            Route(
                method="GET",
                template=_QUEUES + "/{queue}",
                api_versions=API_VERSIONS,
                action=action,
                handler=self.get_queue,
                source=f"{SPEC} SBQueueGet",
            ),
        ]

    def list_queues(self, call: Call) -> Reply:
        """100 a page; whether the rows carry countDetails is `servicebus.list_carries_counts`."""
        namespace = self._namespace(call)
        carries = self._switches.yes("servicebus.list_carries_counts")
        rows = [self._queue(namespace, name, counts=carries) for name in namespace.queue_names]
        return Reply(200, paged(call, rows, PAGE, PAGE))

    def get_queue(self, call: Call) -> Reply:
        namespace = self._namespace(call)
        asked = call.params["queue"].lower()
        for name in namespace.queue_names:
            if name.lower() == asked:
                return Reply(200, self._queue(namespace, name, counts=True))
        names = f"{namespace.name}/{call.params['queue']}"
        raise not_found("Microsoft.ServiceBus/namespaces/queues", names, call.params["group"])

    def _namespace(self, call: Call) -> Namespace:
        p = call.params
        path = (
            f"/subscriptions/{p['subscription']}/resourceGroups/{p['group']}/providers/Microsoft.ServiceBus/namespaces/"
        )
        found = self._estate.get(path + p["namespace"])
        if not isinstance(found, Namespace):
            raise not_found("Microsoft.ServiceBus/namespaces", p["namespace"], p["group"])
        return found

    def _queue(self, namespace: Namespace, name: str, *, counts: bool) -> dict[str, Any]:
        """A queue's document; whether it names a region is `servicebus.queue_location`."""
        known = self._board.counts(namespace.name, name)
        properties: dict[str, Any] = {
            "lockDuration": "PT1M",
            "maxSizeInMegabytes": 1024,
            "maxMessageSizeInKilobytes": 256,
            "requiresDuplicateDetection": False,
            "requiresSession": False,
            "defaultMessageTimeToLive": FOREVER,
            "deadLetteringOnMessageExpiration": False,
            "duplicateDetectionHistoryTimeWindow": "PT10M",
            "maxDeliveryCount": 10,
            "sizeInBytes": known.size_bytes,
            "messageCount": _all_states(known),
            "status": "Active",
            "autoDeleteOnIdle": FOREVER,
            "enablePartitioning": False,
            "enableExpress": False,
            "enableBatchedOperations": True,
            "createdAt": CREATED_AT,
            "updatedAt": CREATED_AT,
            "accessedAt": CREATED_AT,
        }
        if counts:
            properties["countDetails"] = {
                "activeMessageCount": self._board.active(known),
                "deadLetterMessageCount": known.dead_letter,
                "scheduledMessageCount": known.scheduled,
                "transferMessageCount": 0,
                "transferDeadLetterMessageCount": 0,
            }
        document: dict[str, Any] = {
            "id": f"{namespace.id}/queues/{name}",
            "name": name,
            "type": "Microsoft.ServiceBus/Namespaces/Queues",
            "properties": properties,
        }
        if self._switches.yes("servicebus.queue_location"):
            document["location"] = namespace.region
        return document


def _all_states(counts: QueueCounts) -> int:
    """messageCount: every message that is there, in whatever state (facts/limits.md)."""
    return counts.active + counts.locked + counts.dead_letter + counts.scheduled
