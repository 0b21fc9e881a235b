"""Which way something came in."""

from dataclasses import dataclass
from typing import Literal

Trigger = Literal["service_bus", "event_grid", "alerts", "resubmitted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Which way something came in: the queue and the message where there is one; `attempts` counts its deliveries."""

    trigger: Trigger
    queue: str = ""
    message: str = ""
    attempts: int = 1
