"""Log search alerts in their own schema: `Microsoft.Insights/LogAlert`, and the same without an envelope around it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from shared.signals.fields import field, object_at, required, text_at, wrong
from shared.signals.forms.common_alert import alert, instance, severity
from shared.signals.message import Message, lenient_text, letters


def recognises(item: Mapping[str, Any]) -> bool:
    if letters(str(field(item, "schemaId"))) == "microsoftinsightslogalert":
        return True
    return field(item, "AlertRuleName") is not None and field(item, "SearchQuery") is not None


def opened(item: Mapping[str, Any], _received: datetime | None) -> Message:
    bare = field(item, "schemaId") is None
    if not bare and not isinstance(field(item, "data"), Mapping):
        raise wrong("data", field(item, "data"), "an object")
    at = "" if bare else "data."
    content = item if bare else object_at(item, "data")
    resource = text_at(item, f"{at}ResourceId") or lenient_text(content, "SearchResult.dataSources.0.resourceId")
    subscription, rule = text_at(item, f"{at}SubscriptionId"), required(item, f"{at}AlertRuleName")
    place = resource or text_at(item, f"{at}WorkspaceId") or text_at(item, f"{at}ApplicationId")
    essentials = {
        "alertId": "|".join([subscription, place.lower(), rule, *instance(field(content, "Dimensions"))]),
        "alertRule": rule,
        "severity": severity(field(content, "Severity")),
        "signalType": "Log",
        "monitoringService": "Application Insights" if field(content, "ApplicationId") else "Log Analytics",
        "monitorCondition": "Fired",  # these alerts have no other
        "alertTargetIDs": [resource],
        "firedDateTime": required(item, f"{at}SearchIntervalEndtimeUtc"),
        "description": field(content, "Description"),
    }
    where = "" if bare else "data"
    return alert(essentials=essentials, context=content, paths={"context": where, "essentials": where})
