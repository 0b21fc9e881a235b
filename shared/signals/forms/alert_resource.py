"""Alerts as the resource that Alerts Management keeps of them, which smart detection has sent to webhooks."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from shared.signals.fields import field, object_at, overlaid, required, text_at, unpacked
from shared.signals.forms.common_alert import alert
from shared.signals.message import Message, lenient_text


def recognises(item: Mapping[str, Any]) -> bool:
    return isinstance(field(item, "properties.essentials"), Mapping)


def opened(item: Mapping[str, Any], _received: datetime | None) -> Message:
    base = "properties.essentials"
    rule = lenient_text(item, f"{base}.alertRule")
    essentials = overlaid(
        object_at(item, base),
        alertId=required(item, "id"),
        alertRule=rule.rpartition("/")[2],
        alertRuleID=field(item, f"{base}.alertRule"),
        monitoringService=text_at(item, f"{base}.monitorService") or "Smart Detector",
        alertTargetIDs=[text_at(item, f"{base}.targetResource")],
        firedDateTime=required(item, f"{base}.startDateTime"),
        resolvedDateTime=field(item, f"{base}.monitorConditionResolvedDateTime"),
    )
    return alert(
        essentials=essentials,
        context=unpacked(field(item, "properties.context")),
        paths={"essentials": base, "context": "properties.context"},
    )
