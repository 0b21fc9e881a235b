"""Activity log alerts in their own schema: `Microsoft.Insights/activityLogs`."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from shared.signals.fields import field, moment, object_at, text_at, wrong
from shared.signals.forms.common_alert import alert
from shared.signals.message import Message, lenient_text, letters

_LOG = "data.context.activityLog"


def recognises(item: Mapping[str, Any]) -> bool:
    return letters(str(field(item, "schemaId"))) == "microsoftinsightsactivitylogs"


def opened(item: Mapping[str, Any], received: datetime | None) -> Message:
    if not isinstance(field(item, _LOG), Mapping):
        raise wrong(_LOG, field(item, _LOG), "an object")
    stamped = next((name for name in ("eventTimestamp", "submissionTimestamp") if field(item, f"{_LOG}.{name}")), "")
    untimed = not stamped and received is not None
    at = received if untimed and received else moment(item, f"{_LOG}.{stamped or 'eventTimestamp'}")
    names = [lenient_text(item, f"{_LOG}.{name}") for name in ("eventDataId", "correlationId", "operationId")]
    if not any(names):
        raise wrong(f"{_LOG}.eventDataId", field(item, f"{_LOG}.eventDataId"), "a text")
    resource = text_at(item, f"{_LOG}.resourceId") or lenient_text(item, f"{_LOG}.authorization.scope")
    subscription = text_at(item, f"{_LOG}.subscriptionId")
    essentials = {
        "alertId": next(name for name in names if name),
        "signalType": "Activity Log",
        "monitoringService": f"Activity Log - {text_at(item, f'{_LOG}.eventSource') or 'Administrative'}",
        "monitorCondition": text_at(item, "data.status") or "Activated",
        "alertTargetIDs": [resource or (f"/subscriptions/{subscription}" if subscription else "")],
        "firedDateTime": at.isoformat(),
        "description": field(item, f"{_LOG}.description"),
    }
    return alert(
        essentials=essentials,
        context=object_at(item, _LOG),
        custom=field(item, "data.properties"),
        paths={"context": _LOG, "essentials": _LOG, "custom": "data.properties"},
    )
