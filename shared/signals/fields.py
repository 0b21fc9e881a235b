"""Fields of payloads that other people write: names in any letter case, clear words when one is missing."""

import reprlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any


class Malformed(ValueError):
    """The payload cannot be read; the message says which field is wrong and what was expected."""


def field(payload: Mapping[str, Any], *path: str) -> Any:
    """The value at `path`, or None. The same event is published with camelCase and PascalCase names."""
    value: Any = payload
    for name in path:
        if not isinstance(value, Mapping):
            return None
        value = next((found for key, found in value.items() if key.lower() == name.lower()), None)
    return value


def required(payload: Mapping[str, Any], *path: str) -> str:
    """The text at `path`.

    Raises:
        Malformed: it is missing, empty or no text.
    """
    value = field(payload, *path)
    if not isinstance(value, str) or not value:
        raise Malformed(f"{'.'.join(path)} is {'missing' if value is None else reprlib.repr(value)}, expected a text")
    return value


def text_or_empty(payload: Mapping[str, Any], *path: str) -> str:
    """The text at `path`, "" if it is missing or null.

    Raises:
        Malformed: it is something else.
    """
    return "" if field(payload, *path) in (None, "") else required(payload, *path)


def list_or_empty(payload: Mapping[str, Any], *path: str) -> list[Any]:
    """The list at `path`, empty if it is missing or null.

    Raises:
        Malformed: it is something else.
    """
    value = field(payload, *path)
    if value is None:
        return []
    if not isinstance(value, list):
        raise Malformed(f"{'.'.join(path)} is {reprlib.repr(value)}, expected a list")
    return value


def moment(payload: Mapping[str, Any], *path: str) -> datetime:
    """The UTC time at `path`; Azure writes up to seven decimals.

    Raises:
        Malformed: missing or no ISO 8601 time.
    """
    text = required(payload, *path)
    try:
        at = datetime.fromisoformat(text)
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:  # OverflowError: before year 1 or after 9999 in UTC
        reason = f"{'.'.join(path)} is {reprlib.repr(text)}, expected a time like 2026-01-05T12:00:00Z"
        raise Malformed(reason) from error
