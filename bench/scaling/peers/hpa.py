"""The Kubernetes HPA (autoscaling/v2): from a need to replicas, and the HPA on utilisation.

Source: kubernetes `pkg/controller/podautoscaler/{replica_calculator,horizontal}.go`. A recommendation keeps the
replicas within the tolerance; shrinking waits for the highest recommendation of the stabilisation window to fall;
growth is not stabilised, and limited to 100 % or 4 pods in 15 s. A tick holds as many syncs as it has 15 s, all on the
same values.
"""

import numpy as np

from bench.scaling.peers.base import Bounds, Highest, Peer, Setting, ceil, lanes, within
from shared.simulation.site import Seen
from shared.simulation.workload import Floats, Ints

SYNC_PERIOD_S = 15
TOLERANCE = 0.1
STABILISATION_DOWN_S = 300


def recommended(need: Floats, replicas: Ints, tolerance: Floats) -> Ints:
    """`need` is in replicas (value / target); `replicas` are those created, ready or not."""
    return np.where(np.abs(1 - need / np.maximum(replicas, 1)) <= tolerance, replicas, ceil(need))


def growth_limit(replicas: Ints) -> Ints:
    """Most replicas after one period, by the default policies."""
    return np.maximum(2 * replicas, replicas + 4)


class Hpa:
    """What comes after the metric, with its memory of recommendations. Durations in seconds."""

    def __init__(self, bounds: Bounds, stabilise_s: Floats, tolerance: Floats) -> None:
        ticks = np.maximum(1, np.rint(stabilise_s / bounds.tick_s)).astype(np.int64)
        self._bounds, self._tolerance, self._window = bounds, tolerance, Highest(ticks)
        self._syncs, self._looked = max(1, int(bounds.tick_s / SYNC_PERIOD_S)), False

    def sync(self, need: Floats, replicas: Ints) -> Ints:
        """The replicas at the end of the tick. Without any replica the HPA is disabled."""
        wish = recommended(need, replicas, self._tolerance)
        if not self._looked:  # the first look does not shrink
            wish, self._looked = np.maximum(wish, replicas), True
        highest = self._window.add(wish).astype(np.int64)
        size = np.minimum(replicas, highest)
        if (wish > replicas).any():
            size = np.where(wish > replicas, self._grown(need, wish, replicas), size)
        return np.where(replicas > 0, within(self._bounds, size), 0)

    def _grown(self, need: Floats, wish: Ints, replicas: Ints) -> Ints:
        if (wish <= growth_limit(replicas)).all():
            return wish
        size = replicas
        for sync in range(self._syncs):
            settled = (np.abs(1 - need / np.maximum(size, 1)) <= self._tolerance) & (sync > 0)
            size = np.where(settled, size, np.minimum(wish, growth_limit(size)))
        return size


class HpaOnUtilisation:
    """Mean share of busy instances against a target.

    An instance that is not ready counts as idle when growing and as busy when shrinking; if that turns the direction,
    the replicas are kept. It reads the instances in service now, without the lag of a metrics server, in its favour.
    """

    def __init__(self, bounds: Bounds, targets: Floats) -> None:
        self._targets = targets
        self._tolerance = lanes(TOLERANCE, len(targets))
        self._hpa = Hpa(bounds, lanes(STABILISATION_DOWN_S, len(targets)), self._tolerance)

    def wanted(self, seen: Seen) -> Ints:
        created = seen.capacity
        ready = np.minimum(seen.ready, created)
        busy = np.minimum(seen.in_service, ready)
        ratio = busy / (np.maximum(ready, 1) * self._targets)
        growing = np.maximum(busy / self._targets, created)
        shrinking = np.minimum((busy + created - ready) / self._targets, created)
        need = np.where(ratio > 1, growing, shrinking)
        kept = np.abs(1 - ratio) <= self._tolerance
        return self._hpa.sync(np.where(kept, created, need), created)


def peers(setting: Setting) -> list[Peer]:
    targets = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98)
    return [
        Peer(
            name="HPA on utilisation",
            points=tuple(f"target {target:.0%}" for target in targets),
            make=lambda: HpaOnUtilisation(setting, np.array(targets)),
        )
    ]
