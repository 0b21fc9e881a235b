"""Foreign payloads become Signals, through one registry. Unknown kinds are no error; malformed payloads say what is
wrong.

A payload is one JSON document: an Event Grid event or a CloudEvent (alone or in an array), or an Azure Monitor alert in
the common or an older schema. An envelope is a module in `forms`, a kind of signal one in `known`, with its samples;
`docs/signals.md` is written from them. Standard library only: `python -m shared.signals FILE...` says what payloads
become.
"""

import json
import math
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.domain import Signal
from shared.signals.fields import Malformed, field
from shared.signals.redaction import clipped
from shared.signals.registry import is_known, kinds, read

__all__ = ["Malformed", "Parsed", "Refused", "is_known", "kinds", "parse"]

_DIGITS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """One item of a delivery that cannot be read.

    `index` is its place in the delivery; `reason` says which field is wrong and what was expected; `body` is the item
    alone as JSON (as it came, if it came alone), so that it can be kept, corrected and submitted again; `source` and
    `kind` are what it says of itself (an event's topic and type, an alert's schema), "" where it does not.
    """

    index: int
    reason: str
    body: bytes
    source: str = ""
    kind: str = ""

    def __str__(self) -> str:
        return f"item {self.index}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Parsed:
    """The signals of one delivery, in its order, and its other items, each with what is wrong with it."""

    signals: tuple[Signal, ...]
    refused: tuple[Refused, ...]


def parse(body: bytes, received: datetime | None = None) -> Parsed:
    """What one delivery says; an item that cannot be read loses no other.

    `received` is when it came in: the time of those signals whose payload carries none (a CloudEvent need not, a budget
    in the older schema never does).

    Raises:
        Malformed: the body as a whole is not JSON.
    """
    payload = _loaded(body)
    signals: list[Signal] = []
    refused: list[Refused] = []
    several = isinstance(payload, list)
    for index, item in enumerate(payload if several else [payload]):
        try:
            signals.append(read(item, received))
        except (Malformed, RecursionError) as error:
            reason = str(error) if isinstance(error, Malformed) else "it is nested too deeply to be read"
            refused.append(_refused(index, reason, item, _written(item, body) if several else body))
    return Parsed(tuple(signals), tuple(refused))


def _loaded(body: bytes) -> Any:
    try:
        payload = json.loads(body, parse_constant=str, parse_float=_number, parse_int=_integer)
        if b"\\u" in body:  # half of a surrogate pair is JSON, and no text that could be kept
            text = json.dumps(payload, ensure_ascii=False)
            payload = json.loads(
                text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"), parse_float=_number
            )
    except ValueError as error:
        raise Malformed(f"the body is not JSON: {error}") from error
    except RecursionError as error:
        raise Malformed("the body is JSON that is nested too deeply to be read") from error
    return payload


def _number(text: str) -> float | str:
    """A number too large for a float stays the text that it is, as NaN does, which some senders write."""
    value = float(text)
    return value if math.isfinite(value) else text


def _integer(text: str) -> int | str:
    """One with more digits than Python reads stays the text that it is."""
    return int(text) if len(text) <= _DIGITS else text


def _written(item: Any, delivery: bytes) -> bytes:
    """One item of a delivery as JSON; if it could be read and cannot be written, the delivery: its other items do no
    harm twice."""
    try:
        return json.dumps(item).encode()
    except RecursionError:
        return delivery


def _refused(index: int, reason: str, item: Any, body: bytes) -> Refused:
    source, kind = (
        next((clipped(text) for name in these if isinstance(text := field(item, name), str)), "")
        for these in (("topic", "source"), ("eventType", "type", "schemaId"))
    )
    return Refused(index=index, reason=reason, body=body, source=source, kind=kind)
