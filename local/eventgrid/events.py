"""The two event schemas of Event Grid: what a topic accepts, and in which form a subscription gets it.

Source: learn.microsoft.com/azure/event-grid/event-schema and cloud-event-schema; CloudEvents 1.0.
"""

import json
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

Event = dict[str, Any]


class Schema(StrEnum):
    """Names as Resource Manager spells them."""

    EVENT_GRID = "EventGridSchema"
    CLOUD_EVENTS = "CloudEventSchemaV1_0"


_REQUIRED = {
    Schema.EVENT_GRID: ("id", "subject", "eventType", "eventTime"),
    Schema.CLOUD_EVENTS: ("id", "source", "type", "specversion"),
}


class EventError(ValueError):
    """An event that a topic does not accept; the message names the event and the field."""


def accepted(event: object, schema: Schema, source: str, position: int = 0) -> Event:
    """A copy of `event` as Event Grid keeps it: checked, and stamped with what only the service knows.

    `source` is the resource id of the topic (of the resource, for a system topic). Raises `EventError`.
    """
    if not isinstance(event, dict):
        raise EventError(f"event {position}: expected a JSON object, got {type(event).__name__}")
    missing = [name for name in _REQUIRED[schema] if not isinstance(event.get(name), str) or not event[name]]
    if missing:
        raise EventError(f"event {position}: {', '.join(missing)} must be given as non-empty text ({schema})")
    if schema is Schema.CLOUD_EVENTS:
        if event["specversion"] != "1.0":
            raise EventError(f"event {position}: specversion must be 1.0, got {event['specversion']!r}")
        return _copied(event, position)
    _check_time(event["eventTime"], position)
    if event.get("topic") not in (None, "", source):
        raise EventError(f"event {position}: topic must be left out or be {source!r}, got {event['topic']!r}")
    return {"dataVersion": "", **_copied(event, position), "topic": source, "metadataVersion": "1"}


def in_schema(event: Event, wanted: Schema) -> Event:
    """`event`, as accepted, in the schema of a subscription. CloudEvents cannot become Event Grid events."""
    if wanted is Schema.EVENT_GRID or "specversion" in event:
        return event
    return {
        "specversion": "1.0",
        "id": event["id"],
        "source": event["topic"],
        "type": event["eventType"],
        "subject": event["subject"],
        "time": event["eventTime"],
        "data": event.get("data"),
    }


def type_of(event: Event) -> str:
    return str(event["type"] if "specversion" in event else event["eventType"])


def timestamp(at: datetime) -> str:
    """ISO 8601 in UTC with a Z, as Event Grid writes it."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _copied(event: Event, position: int) -> Event:
    try:
        copy: Event = json.loads(json.dumps(event, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise EventError(f"event {position}: cannot be written as JSON: {error}") from error
    return copy


def _check_time(text: str, position: int) -> None:
    try:
        datetime.fromisoformat(text)
    except ValueError as error:
        raise EventError(f"event {position}: eventTime is not an ISO 8601 time: {text!r}") from error
