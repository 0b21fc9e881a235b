"""Azure Monitor alerts in the common alert schema."""

from collections.abc import Mapping
from typing import Any

from shared.domain import Signal
from shared.signals.fields import Malformed, field, list_or_empty, moment, required


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
    # null for budgets and cost alerts
    return tuple(t.lower() for t in list_or_empty(essentials, "alertTargetIDs") if isinstance(t, str))


def _fields(item: Mapping[str, Any], essentials: Mapping[str, Any]) -> dict[str, str]:
    """The rule, and the Service Bus entity if the metric was split by it."""
    found = {"rule": str(field(essentials, "alertRule") or "")}
    for criterion in list_or_empty(item, "data", "alertContext", "condition", "allOf"):
        found["metric"] = str(field(criterion, "metricName") or "")
        for dimension in list_or_empty(criterion, "dimensions"):
            if str(field(dimension, "name")).lower() == "entityname":
                found["entity"] = str(field(dimension, "value"))
    return {name: value for name, value in found.items() if value}
