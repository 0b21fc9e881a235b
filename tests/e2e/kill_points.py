"""Where the host is killed: every request of an action, to Azure and to the tables, before and after its effect."""

import os
import re
import signal
from dataclasses import dataclass, field
from itertools import product
from typing import Literal

from local.cloud.faults import Fault
from local.cloud.routing import Call
from tests.e2e.stage import Stage
from tests.e2e.table_gate import Moment

type Phase = Literal["look", "ordered", "accepted"]
"""From when on a request counts: the loop looks; an order waits in the tables; Azure has accepted the change."""

DEPLOYMENT_PATH = r"/onlineEndpoints/demo/deployments/blue$"
AN_ORDER = re.compile(r"RowKey\W+desired,", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class KillPoint:
    """The first request that matches, once its phase has come.

    `method` and `pattern` (of the path) for a request to Azure; for a write into the tables no method, and the pattern
    is of the whole request.
    """

    request: str
    moment: Moment
    phase: Phase
    pattern: str
    method: str = ""

    def __str__(self) -> str:
        return f"{self.moment} {self.request}"

    @property
    def polls(self) -> bool:
        """Whether there is such a request only if Azure names a URL for the operation."""
        return self.request == "GET operation"

    @property
    def cold(self) -> bool:
        """Whether a process reads it once, at its first look, and keeps it."""
        return self.request in ("GET token", "GET sizes")

    @property
    def changes_azure(self) -> bool:
        return self.method == "PATCH"


@dataclass(frozen=True, slots=True)
class _Request:
    name: str
    phase: Phase
    pattern: str
    method: str = ""


REQUESTS = (
    # The look that leads to the order; after a start these are read afresh.
    _Request("GET token", "look", r"/msi/token", "GET"),
    _Request("GET sizes", "look", r"/vmSizes$", "GET"),
    _Request("write decision into ledger", "look", r"\$batch .*kind\W+decision"),
    _Request("write order", "look", AN_ORDER.pattern),
    _Request("write memory", "ordered", r"RowKey\W+target,"),
    # The act.
    _Request("GET deployment", "ordered", DEPLOYMENT_PATH, "GET"),
    _Request("GET autoscale settings", "ordered", r"/autoscalesettings$", "GET"),
    _Request("GET usages", "ordered", r"/usages$", "GET"),
    _Request("write sent", "ordered", r"RowKey\W+action,.*\Wstate\W+sent\W"),
    _Request("PATCH", "ordered", DEPLOYMENT_PATH, "PATCH"),
    _Request("write accepted", "ordered", r"RowKey\W+action,.*\Wstate\W+accepted\W"),
    _Request("GET operation", "accepted", r"/mfeOperations?(Status|Results)/", "GET"),
    _Request("GET read-back", "accepted", DEPLOYMENT_PATH, "GET"),
    _Request("write outcome into ledger", "accepted", r"\$batch .*kind\W+outcome"),
    _Request("write succeeded", "accepted", r"RowKey\W+action,.*\Wstate\W+succeeded\W"),
)
MOMENTS: tuple[Moment, Moment] = ("before", "after")
KILL_POINTS = tuple(
    KillPoint(request=of.name, moment=moment, phase=of.phase, pattern=of.pattern, method=of.method)
    for of, moment in product(REQUESTS, MOMENTS)
)


@dataclass(eq=False)
class Killer:
    """Kills the stage's host with SIGKILL at one point, once. The answer of that request is withheld."""

    stage: Stage
    point: KillPoint
    struck: bool = False
    _ordered: bool = False
    _accepted_before: int = field(init=False)

    def __post_init__(self) -> None:
        self._accepted_before = len(self.stage.accepted())
        self.stage.tables.strikes = self._at_tables
        if self.point.method:
            self.stage.world.cloud.faults.clear()
            self.stage.world.cloud.faults.add(_Strike(point=self.point, killer=self))

    def phase_has_come(self) -> bool:
        if self.point.phase == "accepted":
            return len(self.stage.accepted()) > self._accepted_before
        return self.point.phase == "look" or self._ordered

    def strike(self) -> None:
        os.kill(self.stage.host.pid, signal.SIGKILL)
        self.struck = True

    def _at_tables(self, written: str, moment: Moment) -> bool:
        here = not self.point.method and moment == self.point.moment and not self.struck
        if here and self.phase_has_come() and re.search(self.point.pattern, written, re.DOTALL):
            self.strike()
            return True
        self._ordered = self._ordered or (moment == "after" and AN_ORDER.search(written) is not None)
        return False


class _Strike(Fault):
    """A fault that waits for the phase of its kill point."""

    def __init__(self, *, point: KillPoint, killer: Killer) -> None:
        super().__init__(
            method=point.method,
            path=point.pattern,
            when=point.moment,
            withhold="close",
            on_hit=lambda _: killer.strike(),
            name=str(point),
        )
        self._killer = killer

    def matches(self, call: Call) -> bool:
        return super().matches(call) and self._killer.phase_has_come()
