"""Event Grid events, in Event Grid's own schema and as CloudEvents 1.0."""

from collections.abc import Mapping
from typing import Any

from shared.domain import Signal
from shared.signals.fields import field, moment, required, text_or_empty

# What the loops know; another type keeps its own name as its kind and wakes nobody.
KINDS = {
    "microsoft.servicebus.activemessagesavailablewithnolisteners": "servicebus.active_messages",
    "microsoft.servicebus.activemessagesavailableperiodicnotifications": "servicebus.active_messages",
    "microsoft.resources.resourcewritesuccess": "resource.written",
    "microsoft.resources.resourceactionsuccess": "resource.acted_on",
    "microsoft.resources.resourcedeletesuccess": "resource.deleted",
}


def is_event(item: Mapping[str, Any]) -> bool:
    return field(item, "eventType") is not None or field(item, "specversion") is not None


def to_signal(item: Mapping[str, Any]) -> Signal:
    """The signal of one event.

    Raises:
        Malformed: a required field is missing.
    """
    cloud_event = field(item, "specversion") is not None
    kind = required(item, "type" if cloud_event else "eventType")
    source = required(item, "source") if cloud_event else text_or_empty(item, "topic")
    return Signal(
        id=required(item, "id"),
        source=source,
        kind=KINDS.get(kind.lower(), kind),
        at=moment(item, "time" if cloud_event else "eventTime"),
        subjects=_subjects(item, source),
        fields=_fields(item),
    )


def _subjects(item: Mapping[str, Any], source: str) -> tuple[str, ...]:
    """The resource that the event is about: named in its data, or the one that published it."""
    resource = field(item, "data", "resourceUri")
    named = resource if isinstance(resource, str) and resource else source
    return (named.lower(),) if named.startswith("/subscriptions/") else ()


def _fields(item: Mapping[str, Any]) -> dict[str, str]:
    queue = field(item, "data", "queueName")
    operation = field(item, "data", "operationName")
    found = {"entity": queue, "operation": operation, "subject": field(item, "subject")}
    return {name: value for name, value in found.items() if isinstance(value, str) and value}
