"""What stands in a cell of a trace: numbers, times. ValueError says what is wrong with it, in a few words."""

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime

MISSING = frozenset({"", "nan", "na", "n/a", "null", "none", "-"})

# A number that is larger can only be seconds, milliseconds or microseconds since 1970.
_EPOCH_S, _EPOCH_MS, _EPOCH_US = 1e8, 1e11, 1e14


def key(header: str) -> str:
    """`Context Tokens`, `ContextTokens` and `context_tokens` are one column."""
    return re.sub(r"[^a-z0-9]", "", header.lower())


def missing(text: str) -> bool:
    return text.strip().lower() in MISSING


def number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{text.strip()[:40]!r} is no number") from None
    if not math.isfinite(value):
        raise ValueError(f"{text.strip()[:40]!r} is not finite")
    return value


def amount(text: str) -> float:
    """A number that cannot be less than nothing."""
    value = number(text)
    if value < 0:
        raise ValueError(f"{text.strip()[:40]} is negative")
    return value


def iso(text: str) -> float:
    """Seconds since 1970 of an ISO 8601 time, with or without a fraction and a zone; without one it is UTC."""
    written = text.strip()
    if re.match(r"\d{4}/", written):
        written = written.replace("/", "-")
    written = re.sub(r"\s+(UTC|GMT)$", "Z", written)
    try:
        at = datetime.fromisoformat(written)
    except ValueError:
        raise ValueError(f"{text.strip()[:40]!r} is no ISO 8601 time") from None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def clock(header: str, first: str) -> tuple[Callable[[str], float], bool]:
    """Reads the cells of a time column, judged by its name and its first cell; and whether they are since 1970.

    Seconds; `t_ms` is in milliseconds. Numbers too large to be a recording's own seconds count since 1970.
    """
    try:
        value = abs(number(first))
    except ValueError:
        return iso, True
    if key(header).endswith("ms"):
        scale = 1e-3
    else:
        scale = 1e-6 if value >= _EPOCH_US else 1e-3 if value >= _EPOCH_MS else 1.0
    return lambda text: amount(text) * scale, value * scale >= _EPOCH_S
