"""llm-d's Workload Variant Autoscaler, saturation analyser V2, with one variant.

Source: llm-d `internal/engines/analyzers/saturation_v2/analyzer.go`, `docs/saturation-analyzer.md`: every 60 s need =
demand / 0.85 - supply of all replicas, pending ones too; spare = supply of those that are ready - demand / 0.70.
Demand are the requests that wait or are in service. What a replica holds is learned from it at saturation: here that
is one, since an instance takes one item at a time; in the peer's favour the grid also has replicas that are said to
hold as many as they complete within a part of the promise. It acts at once; WVA would hand its number to an HPA or
KEDA. From zero it wakes at every look.
"""

from collections.abc import Sequence

import numpy as np

from bench.scaling.peers.base import Peer, Setting, ceil, floor, queue_targets
from shared.simulation.site import Seen
from shared.simulation.workload import Ints

PERIOD_S = 60.0
UP, DOWN = 0.85, 0.70


class Wva:
    """`up` and `down` are shares of a replica's capacity, up > down; `holds` in items."""

    def __init__(self, up: Sequence[float], down: Sequence[float], holds: Sequence[float]) -> None:
        self._up, self._down, self._holds = np.array(up), np.array(down), np.array(holds)
        self._looked_s = -np.inf

    def wanted(self, seen: Seen) -> Ints:
        due = seen.now_s >= self._looked_s + PERIOD_S
        if due:
            self._looked_s = seen.now_s
        demand, size = np.rint(seen.depth), seen.capacity
        need = demand / self._up - size * self._holds
        spare = seen.ready * self._holds - demand / self._down
        more, fewer = ceil(np.maximum(need, 0) / self._holds), floor(np.maximum(spare, 0) / self._holds)
        return np.where((size == 0) | due, np.maximum(size + more - fewer, 0), size)


def peers(setting: Setting) -> list[Peer]:
    grid = [(up, round(up * DOWN / UP, 3), 1.0) for up in (0.3, 0.45, 0.6, 0.75, UP, 0.95)]
    grid += [(UP, DOWN, holds) for holds in queue_targets(setting, 8) if holds > 1]
    return [
        Peer(
            name="llm-d WVA V2",
            points=tuple(f"up {up:g}, down {down:g}, a replica holds {holds:g}" for up, down, holds in grid),
            make=lambda: Wva(*([point[column] for point in grid] for column in range(3))),
        )
    ]
