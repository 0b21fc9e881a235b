"""Foreign payloads become Signals: one module a source. Unknown kinds are no error; malformed payloads say what is
wrong.

A payload is one JSON document: an Event Grid event or a CloudEvent (alone or in an array), or an Azure Monitor alert
in the common alert schema.
"""

import json
from dataclasses import dataclass
from typing import Any

from shared.domain import Signal
from shared.signals import alerts, events
from shared.signals.fields import Malformed

__all__ = ["Malformed", "Parsed", "parse"]


@dataclass(frozen=True, slots=True)
class Parsed:
    """The signals of one delivery, in its order, and what is wrong with its other items, a sentence each."""

    signals: tuple[Signal, ...]
    malformed: tuple[str, ...]


def parse(body: bytes) -> Parsed:
    """What one delivery says; an item that cannot be read loses no other.

    Raises:
        Malformed: the body as a whole is not JSON.
    """
    try:
        payload = json.loads(body)
    except ValueError as error:
        raise Malformed(f"the body is not JSON: {error}") from error
    except RecursionError as error:
        raise Malformed("the body is JSON that is nested too deeply to be read") from error
    signals: list[Signal] = []
    malformed: list[str] = []
    for index, item in enumerate(payload if isinstance(payload, list) else [payload]):
        try:
            signals.append(_signal(item))
        except Malformed as error:
            malformed.append(f"item {index}: {error}")
        except RecursionError:
            malformed.append(f"item {index}: it is nested too deeply to be read")
    return Parsed(tuple(signals), tuple(malformed))


def _signal(item: Any) -> Signal:
    if not isinstance(item, dict):
        raise Malformed(f"it is {type(item).__name__}, expected an object")
    if alerts.is_alert(item):
        return alerts.to_signal(item)
    if events.is_event(item):
        return events.to_signal(item)
    raise Malformed(
        "it is neither an Event Grid event (eventType), nor a CloudEvent (specversion), nor an alert in the "
        f"common alert schema (schemaId); its fields: {', '.join(sorted(item)) or 'none'}"
    )
