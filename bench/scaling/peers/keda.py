"""KEDA on a Service Bus queue: KEDA between none and one replica, the HPA from one on.

Source: kedacore/keda `apis/keda/v1alpha1/scaledobject_types.go`, `pkg/scaling/executor/scale_scaledobjects.go`,
`pkg/scalers/azure_servicebus_scaler.go`. Left out is what cannot happen here: failing metrics, fallbacks, several
triggers, idleReplicaCount. Tuned are the window before shrinking and the tolerance, as autoscaling/v2 allows.
"""

from collections.abc import Sequence
from itertools import product

import numpy as np

from bench.scaling.peers.base import Bounds, Peer, Setting, lanes, queue_targets
from bench.scaling.peers.hpa import STABILISATION_DOWN_S, TOLERANCE, Hpa
from shared.simulation.site import Seen
from shared.simulation.workload import Ints

DEFAULT_MESSAGE_COUNT = 5
COOLDOWN_S = 300.0
ACTIVATION = 0.0


class KedaWithHpa:
    """`targets` are messageCount: messages (waiting or being worked on) for each replica."""

    def __init__(
        self,
        bounds: Bounds,
        targets: Sequence[float],
        *,
        stabilise_s: Sequence[float] | float = STABILISATION_DOWN_S,
        tolerance: Sequence[float] | float = TOLERANCE,
    ) -> None:
        count = len(targets)
        self._bounds, self._targets = bounds, np.array(targets, dtype=np.float64)
        self._hpa = Hpa(bounds, lanes(stabilise_s, count), lanes(tolerance, count))
        self._last_active_s = np.full(count, -np.inf)

    def wanted(self, seen: Seen) -> Ints:
        messages, replicas = np.rint(seen.depth), seen.capacity
        if self._bounds.min > 0:
            return self._hpa.sync(messages / self._targets, np.maximum(replicas, 1))
        active = messages > ACTIVATION
        self._last_active_s = np.where(active, seen.now_s, self._last_active_s)
        awake = np.where(active & (replicas == 0), 1, replicas)
        size = self._hpa.sync(messages / self._targets, awake)
        idle = ~active & (seen.now_s > self._last_active_s + COOLDOWN_S)
        return np.where(idle, 0, size)  # from any number of replicas


def peers(setting: Setting) -> list[Peer]:
    targets = tuple(sorted({DEFAULT_MESSAGE_COUNT, *queue_targets(setting, 12)}))
    behaviours = [(60.0, TOLERANCE), (900.0, TOLERANCE), (1800.0, TOLERANCE), (STABILISATION_DOWN_S, 0.01)]
    tuned = list(product(queue_targets(setting, 6), behaviours))
    return [
        Peer(
            name="KEDA + HPA",
            points=tuple(f"messageCount {target:g}" for target in targets),
            make=lambda: KedaWithHpa(setting, targets),
            queue_per_target=True,
        ),
        Peer(
            name="KEDA + HPA, tuned",
            points=tuple(
                f"messageCount {target:g}, window {window_s:g} s, tolerance {tolerance:g}"
                for target, (window_s, tolerance) in tuned
            ),
            make=lambda: KedaWithHpa(
                setting,
                [target for target, _ in tuned],
                stabilise_s=[window_s for _, (window_s, _) in tuned],
                tolerance=[tolerance for _, (_, tolerance) in tuned],
            ),
            queue_per_target=True,
        ),
    ]
