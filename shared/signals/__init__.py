"""Foreign payloads become Signals: one module a source. Unknown kinds are no error; malformed payloads say what is
wrong.

A payload is one JSON document: an Event Grid event or a CloudEvent (alone or in an array), or an Azure Monitor alert
in the common alert schema.
"""

import json
from collections.abc import Sequence
from typing import Any

from shared.domain import Signal
from shared.signals import alerts, events
from shared.signals.fields import Malformed

__all__ = ["Malformed", "parse"]


def parse(body: bytes) -> Sequence[Signal]:
    """The signals of one delivery, in its order.

    Raises:
        Malformed: not JSON, or not of a known shape, or a required field is missing; says which.
    """
    try:
        payload = json.loads(body)
    except ValueError as error:
        raise Malformed(f"the body is not JSON: {error}") from error
    items = payload if isinstance(payload, list) else [payload]
    return [_signal(item, index) for index, item in enumerate(items)]


def _signal(item: Any, index: int) -> Signal:
    if not isinstance(item, dict):
        raise Malformed(f"item {index} is {type(item).__name__}, expected an object")
    if alerts.is_alert(item):
        return alerts.to_signal(item)
    if events.is_event(item):
        return events.to_signal(item)
    raise Malformed(
        f"item {index} is neither an Event Grid event (eventType), nor a CloudEvent (specversion), nor an alert in the "
        f"common alert schema (schemaId); its fields: {', '.join(sorted(item)) or 'none'}"
    )
