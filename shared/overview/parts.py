"""What a part of the overview is."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shared.services import Services

type Plain = dict[str, Any]
type Part = Callable[["Services", datetime], Awaitable["Shown"]]
"""Reads one part as it is at a moment; raises whatever keeps it from being read."""

MOST = 100
"""Of each thing at most so many are listed; the route of that thing has all."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A part as plain JSON values, and a sentence for each thing in it that somebody should look at."""

    view: Plain
    attention: tuple[str, ...] = ()


def text(at: datetime | None) -> str | None:
    """A time as JSON has it."""
    return None if at is None else at.isoformat()
