"""The Activity Log of Resource Manager: who changed what, with the client's request id.

Source: azure-rest-api-specs, monitor 2015-04-01, ActivityLogs_List. Every change that reached the local Azure is an
event of it; what was refused has status Failed.
"""

import hashlib
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from local.clock import Clock
from local.cloud.arm_errors import ArmError
from local.cloud.paging import paged
from local.cloud.request_log import RequestLog, RequestRecord
from local.cloud.routing import ARM_HOST, Call, Reply, Route
from local.cloud.switches import Switches

API_VERSIONS = ("2015-04-01",)
PAGE = 50
_CONDITION = re.compile(r"(\w+) (eq|ge|le) '([^']*)'")


class ActivityLog:
    def __init__(self, log: RequestLog, switches: Switches, clock: Clock) -> None:
        self._log, self._switches, self._clock = log, switches, clock

    def routes(self) -> list[Route]:
        return [
            Route(
                method="GET",
                template="/subscriptions/{subscription}/providers/Microsoft.Insights/eventtypes/management/values",
                api_versions=API_VERSIONS,
                action="Microsoft.Insights/eventtypes/values/read",
                handler=self.list_events,
                source="azure-rest-api-specs monitor 2015-04-01 ActivityLogs_List",
            )
        ]

    def list_events(self, call: Call) -> Reply:
        """Changes within the times of $filter, of one resource if it names one, newest first."""
        wanted = _conditions(call.query.get("$filter", ""))
        visible_until = self._clock.now() - timedelta(seconds=self._switches.seconds("activitylog.delay_s"))
        found = [
            self._event(record)
            for record in self._changes(call.params["subscription"])
            if wanted["from"] <= record.at <= min(wanted["to"], visible_until)
            and wanted["resource"] in ("", record.path.lower())
        ]
        return Reply(200, paged(call, found[::-1], PAGE))

    def _changes(self, subscription: str) -> Iterator[RequestRecord]:
        mine = f"/subscriptions/{subscription.lower()}/"
        for record in self._log.mutations():
            if record.host == ARM_HOST and record.path.lower().startswith(mine) and record.effect_status is not None:
                yield record

    def _event(self, record: RequestRecord) -> dict[str, Any]:
        accepted = record.accepted
        carries = self._switches.yes("activitylog.carries_client_request_id")
        identity = hashlib.sha256(f"{record.number}{record.path}".encode()).hexdigest()[:32]
        return {
            "eventDataId": identity,
            "correlationId": identity,
            "operationName": {"value": _operation(record), "localizedValue": _operation(record)},
            "category": {"value": "Administrative", "localizedValue": "Administrative"},
            "eventName": {"value": "EndRequest", "localizedValue": "End request"},
            "level": "Informational" if accepted else "Error",
            "status": {"value": ("Accepted" if record.effect_status == 202 else "Succeeded") if accepted else "Failed"},
            "subStatus": {"value": str(record.effect_status)},
            "caller": record.principal,
            "resourceId": record.path,
            "eventTimestamp": record.at.isoformat(),
            "submissionTimestamp": record.at.isoformat(),
            "httpRequest": {
                "method": record.method,
                **({"clientRequestId": record.client_request_id} if carries else {}),
            },
        }


def _operation(record: RequestRecord) -> str:
    """Microsoft.MachineLearningServices/workspaces/onlineEndpoints/deployments/write, of the path."""
    provider, *rest = record.path.partition("/providers/")[2].split("/")
    verb = "delete" if record.method == "DELETE" else "write"
    return "/".join([provider, *rest[::2], verb])


def _conditions(text: str) -> dict[str, Any]:
    """The parts of $filter that the service documents: times, and at most one resource.

    Raises:
        ArmError: 400, as for any other filter.
    """
    found: dict[str, Any] = {"from": None, "to": None, "resource": ""}
    for name, operator, value in _CONDITION.findall(text):
        match name.lower(), operator:
            case "eventtimestamp", "ge":
                found["from"] = datetime.fromisoformat(value)
            case "eventtimestamp", "le":
                found["to"] = datetime.fromisoformat(value)
            case "resourceuri", "eq":
                found["resource"] = value.lower()
            case _:
                raise ArmError(400, "BadRequest", f"$filter: {name} {operator} is not known here")
    if found["from"] is None or found["to"] is None:
        raise ArmError(400, "BadRequest", "$filter needs eventTimestamp ge '...' and eventTimestamp le '...'")
    return found
