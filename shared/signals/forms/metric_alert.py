"""Metric alerts in their own schemas: `AzureMonitorMetricAlert` 2.0, and the classic one, which names no schema."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from shared.signals.fields import field, moment, object_at, required, text_at
from shared.signals.forms.common_alert import alert, instance, severity
from shared.signals.message import Message, letters


def recognises(item: Mapping[str, Any]) -> bool:
    if letters(str(field(item, "schemaId"))) == "azuremonitormetricalert":
        return True
    return field(item, "schemaId") is None and isinstance(field(item, "context.condition"), Mapping)


def opened(item: Mapping[str, Any], _received: datetime | None) -> Message:
    base = "data." if field(item, "schemaId") is not None else ""
    context = f"{base}context"
    resource, rule = text_at(item, f"{context}.resourceId"), required(item, f"{context}.id")
    at = moment(item, f"{context}.timestamp").isoformat()
    essentials = {
        # the schema has no instance: the rule, the resource and the dimensions are one
        "alertId": "|".join([rule, resource.lower(), *instance(*_dimensions(item, context))]),
        "alertRule": field(item, f"{context}.name"),
        "alertRuleID": rule,
        "severity": severity(field(item, f"{context}.severity")),
        "signalType": "Metric",
        "monitoringService": "Platform",
        "monitorCondition": required(item, f"{base}status"),
        "alertTargetIDs": [resource],
        "firedDateTime": at,
        "description": field(item, f"{context}.description"),
    }
    return alert(
        essentials=essentials,
        context=_context(item, context),
        custom=field(item, f"{base}properties"),
        paths={"context": context, "essentials": context, "custom": f"{base}properties"},
    )


def _context(item: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    """The context, with the one condition of the classic schema as the first of several."""
    context = object_at(item, path)
    condition = field(context, "condition")
    if not isinstance(condition, Mapping) or field(condition, "allOf") is not None:
        return context
    others = {key: value for key, value in context.items() if key.strip().lower() != "condition"}
    return others | {"condition": {"windowSize": field(condition, "windowSize"), "allOf": [condition]}}


def _dimensions(item: Mapping[str, Any], context: str) -> list[Any]:
    criteria = field(item, f"{context}.condition.allOf")
    return [field(each, "dimensions") for each in criteria] if isinstance(criteria, list) else []
