"""Azure Monitor alerts in the common alert schema."""

from collections.abc import Mapping
from typing import Any

from shared.domain import Signal
from shared.signals.fields import Malformed, field, moment, required


def is_alert(item: Mapping[str, Any]) -> bool:
    return str(field(item, "schemaId")).lower() == "azuremonitorcommonalertschema"


def to_signal(item: Mapping[str, Any]) -> Signal:
    """The signal of one alert, fired or resolved.

    Raises:
        Malformed: a required field is missing.
    """
    essentials = field(item, "data", "essentials")
    if not isinstance(essentials, Mapping):
        raise Malformed("data.essentials is missing, expected an object")
    condition = required(essentials, "monitorCondition").lower()
    happened = (
        "resolvedDateTime" if condition == "resolved" and field(essentials, "resolvedDateTime") else "firedDateTime"
    )
    return Signal(
        id=f"{required(essentials, 'alertId')}/{condition}",
        source="azure-monitor",
        kind=f"alert.{condition}",
        at=moment(essentials, happened),
        subjects=_targets(essentials),
        fields=_fields(item, essentials),
    )


def _targets(essentials: Mapping[str, Any]) -> tuple[str, ...]:
    targets = field(essentials, "alertTargetIDs")  # null for budgets and cost alerts
    return tuple(t.lower() for t in targets if isinstance(t, str)) if isinstance(targets, list) else ()


def _fields(item: Mapping[str, Any], essentials: Mapping[str, Any]) -> dict[str, str]:
    """The rule, and the Service Bus entity if the metric was split by it."""
    found = {"rule": str(field(essentials, "alertRule") or "")}
    criteria = field(item, "data", "alertContext", "condition", "allOf")
    for criterion in criteria if isinstance(criteria, list) else []:
        found["metric"] = str(field(criterion, "metricName") or "")
        for dimension in field(criterion, "dimensions") or []:
            if str(field(dimension, "name")).lower() == "entityname":
                found["entity"] = str(field(dimension, "value"))
    return {name: value for name, value in found.items() if value}
