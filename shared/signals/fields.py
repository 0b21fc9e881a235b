"""Fields of payloads that other people write: names in any letter case, clear words when one is missing or wrong.

A path is names with dots between; a number picks an item of a list. A blank around a name is no part of it: Key Vault's
published events have one.
"""

import json
import math
import re
import reprlib
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from shared.signals.redaction import without_secrets

_LONGEST_MOMENT = 60
_NUMBER = re.compile(r"[+-]?[0-9]{1,60}(\.[0-9]{0,60})?([eE][+-]?[0-9]{1,2})?")
# What Azure writes beside ISO 8601: budgets and the first log alerts use the American form, autoscale that of HTTP.
_OTHER_FORMS = (
    "%m/%d/%Y %I:%M:%S %p %z",
    "%m/%d/%Y %I:%M:%S %p",
    "%m/%d/%Y %H:%M:%S",
    "%m/%d/%Y",
    "%Y/%m/%d %H:%M:%S.%f",
    "%a, %d %b %Y %H:%M:%S GMT",
)


class Malformed(ValueError):
    """The payload cannot be read; the message says which field is wrong and what was expected."""


def wrong(path: str, value: Any, expected: str) -> Malformed:
    """The error of one field: its path, what is there (shortened, without secrets) and what should be."""
    there = reprlib.repr(without_secrets(value, path.rpartition(".")[2]))
    return Malformed(f"{path} is {'missing' if value is None else there}, expected {expected}")


def field(payload: Any, path: str) -> Any:
    """The value at `path`, or None. The same event is published with camelCase and PascalCase names."""
    value = payload
    for name in path.split("."):
        if isinstance(value, list):
            value = value[int(name)] if name.isdecimal() and int(name) < len(value) else None
        elif isinstance(value, Mapping):
            wanted = name.lower()
            value = next((found for key, found in value.items() if key.strip().lower() == wanted), None)
        else:
            return None
    return value


def text_at(payload: Any, path: str, shown: str = "") -> str:
    """The text at `path` without blanks around it, "" if it is missing or null; a number or a truth value is its text.

    `shown` is the path as an error names it.

    Raises:
        Malformed: it is a list or an object.
    """
    value = field(payload, path)
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value).strip()
    raise wrong(shown or path, value, "a text")


def required(payload: Any, path: str) -> str:
    """The text at `path`.

    Raises:
        Malformed: it is missing, empty or no text.
    """
    value = field(payload, path)
    if not isinstance(value, str) or not value.strip():
        raise wrong(path, value, "a text")
    return value.strip()


def text_or_empty(payload: Any, path: str) -> str:
    """The text at `path`, "" if it is missing or null.

    Raises:
        Malformed: it is something else.
    """
    return "" if field(payload, path) in (None, "") else required(payload, path)


def list_at(payload: Any, path: str, shown: str = "") -> list[Any]:
    """The list at `path`, empty if it is missing or null; `shown` is the path as an error names it.

    Raises:
        Malformed: it is something else.
    """
    value = field(payload, path)
    if value is None:
        return []
    if not isinstance(value, list):
        raise wrong(shown or path, value, "a list")
    return value


def object_at(payload: Any, path: str) -> Mapping[str, Any]:
    """The object at `path`, empty if it is missing or null.

    Raises:
        Malformed: it is something else.
    """
    value = field(payload, path)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise wrong(path, value, "an object")
    return value


def overlaid(payload: Mapping[str, Any], **values: Any) -> dict[str, Any]:
    """The object with these fields instead of its own of the same names, in whatever letter case those are."""
    ours = {name.lower() for name in values}
    return values | {key: value for key, value in payload.items() if key.strip().lower() not in ours}


def unpacked(value: Any) -> Any:
    """The value of a text that is a JSON list or object: some fields are sent either way."""
    if not isinstance(value, str) or not value.lstrip().startswith(("[", "{")):
        return value
    try:
        return json.loads(value, parse_constant=str, parse_float=str)
    except ValueError:
        return value


def moment(payload: Any, path: str) -> datetime:
    """The UTC time at `path`; Azure writes up to seven decimals.

    Raises:
        Malformed: missing or no time.
    """
    text = required(payload, path)
    at = moment_of(text)
    if at is None:
        raise wrong(path, text, "a time like 2026-01-05T12:00:00Z")
    return at


def moment_of(text: str) -> datetime | None:
    """The UTC time that a text says, in one of the ways in which Azure writes times; None if it says none.

    A time without a zone is UTC.
    """
    if len(text) > _LONGEST_MOMENT:
        return None
    with suppress(ValueError, OverflowError):  # OverflowError: before year 1 or after 9999 in UTC
        return _utc(datetime.fromisoformat(text.upper()))  # RFC 3339 allows "t" and "z"
    for form in _OTHER_FORMS:
        with suppress(ValueError, OverflowError):
            return _utc(datetime.strptime(text, form))  # noqa: DTZ007
    return None


def _utc(at: datetime) -> datetime:
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


def plain_decimal(value: Any) -> str | None:
    """A number, or the text of one, as a plain decimal text such as 0.35 or -1200; None if it is none."""
    if isinstance(value, bool) or (isinstance(value, float) and not math.isfinite(value)):
        return None
    text = str(value).strip() if isinstance(value, int | float | str) else ""
    return format(Decimal(text), "f") if _NUMBER.fullmatch(text) else None
