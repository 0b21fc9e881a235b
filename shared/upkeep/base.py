"""What a chore is: done now and then, once for all processes; its failure hinders no other."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from azure.durable_functions import DurableFunctionsClient

    from shared.records.progress import Progress
    from shared.services import Services


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a chore works with: the services, Durable's client, the time, and what the run before left to remember."""

    made: "Services"
    client: "DurableFunctionsClient"
    now: datetime
    marks: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Done:
    """What a run did, in words ("" for nothing worth telling), and what the next run is told (None: as before)."""

    said: str = ""
    marks: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chore:
    """One chore.

    `run` may be cut off anywhere and run again, so it takes small steps that can be repeated. `takes_at_most`: after
    that another process takes over.
    """

    name: str
    every: timedelta
    run: Callable[[Run], Awaitable[Done]]
    takes_at_most: timedelta = field(default=timedelta(minutes=10))

    def is_due(self, before: "Progress | None", now: datetime) -> bool:
        """Whether it must run now, by what its last run left."""
        if before is None or now < before.began_at:  # a clock that was set back must not stop the work
            return True
        wait = self.takes_at_most if before.is_running else self.every
        return now - before.began_at >= wait
