"""A number from outside is Fresh, Stale or Missing: never a bare float, because missing is not zero."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Fresh:
    """`value` was true at `at`, recently enough to act on."""

    value: float
    at: datetime
    source: str
    kind: Literal["fresh"] = "fresh"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stale:
    """`value` was true at `at`, too long ago to shrink, stop or promote on."""

    value: float
    at: datetime
    source: str
    kind: Literal["stale"] = "stale"


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """No value; `reason` says why, in words for a person."""

    reason: str
    source: str
    kind: Literal["missing"] = "missing"


Measurement = Fresh | Stale | Missing


def is_fresh(measurement: Measurement) -> bool:
    return isinstance(measurement, Fresh)


def aged(measurement: Measurement, now: datetime, stale_after_s: float) -> Measurement:
    """The measurement as it must be taken at `now`: Fresh becomes Stale once it is older than `stale_after_s`."""
    if isinstance(measurement, Fresh) and now - measurement.at > timedelta(seconds=stale_after_s):
        return Stale(value=measurement.value, at=measurement.at, source=measurement.source)
    return measurement
