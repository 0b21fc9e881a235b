"""Azure's own record of changes: the Activity Log, in which each of our changes is found by its client request id.

Requests: `GET /subscriptions/{s}/providers/Microsoft.Insights/eventtypes/management/values` and its next pages. Events
appear minutes after they happened and are kept for 90 days.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from shared.domain import DeploymentId
from shared.estate import api
from shared.estate.arm import Arm

PATH = "/subscriptions/{subscription}/providers/Microsoft.Insights/eventtypes/management/values"


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityEvent:
    """One event on a resource. `client_request_id` is "" where Azure keeps none."""

    at: datetime
    operation: str
    status: str
    sub_status: str
    caller: str
    correlation_id: str
    client_request_id: str


async def activity_of(arm: Arm, deployment: DeploymentId, since: datetime, until: datetime) -> list[ActivityEvent]:
    """What Azure recorded on a deployment between two times, oldest first.

    Raises:
        ArmFailure: the log could not be read.
    """
    within = f"eventTimestamp ge '{_text(since)}' and eventTimestamp le '{_text(until)}'"
    where = f"{within} and resourceUri eq '{deployment.arm_id}'"
    path = PATH.format(subscription=deployment.subscription)
    events = []
    async for page in arm.pages(path, api.ACTIVITY_LOG, **{"$filter": where}):
        events += [_event(item) for item in page.get("value") or ()]
    return sorted(events, key=lambda event: event.at)


def _event(item: dict[str, object]) -> ActivityEvent:
    return ActivityEvent(
        at=_moment(str(item.get("eventTimestamp") or "")),
        operation=_value(item, "operationName"),
        status=_value(item, "status"),
        sub_status=_value(item, "subStatus"),
        caller=str(item.get("caller") or ""),
        correlation_id=str(item.get("correlationId") or ""),
        client_request_id=_value(item, "httpRequest", "clientRequestId"),
    )


def _value(item: dict[str, object], name: str, member: str = "value") -> str:
    holder = item.get(name)
    return str(holder.get(member) or "") if isinstance(holder, dict) else ""


def _moment(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


def _text(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
