"""Knative's pod autoscaler (KPA) on concurrency.

Source: knative/serving `pkg/autoscaler/scaling/autoscaler.go`, `config/core/configmaps/autoscaler.yaml`: ticks of 2 s,
stable window 60 s, panic window 6 s, panic threshold 2, up rate 1000, down rate 2. Requests in flight are those that
wait and those in service. A target below one is a target utilisation of an instance that takes one at a time (the
default is 0.7); above, the target of requests for an instance. In the peer's favour, the end of the zero grace (30 s)
is not waited for: a tick is about as long.
"""

from collections.abc import Sequence

import numpy as np

from bench.scaling.peers.base import Highest, Mean, Peer, Setting, ceil, lanes, queue_targets
from shared.simulation.site import Seen
from shared.simulation.workload import Ints

PERIOD_S = 2.0
STABLE_S = 60.0
PANIC_THRESHOLD = 2.0
UP_RATE, DOWN_RATE = 1000, 2


class Kpa:
    """`delay_s` is the scale-down-delay: what is wanted is the highest of that time."""

    def __init__(self, setting: Setting, targets: Sequence[float], delay_s: Sequence[float] | float = 0.0) -> None:
        count = len(targets)
        self._targets = np.array(targets, dtype=np.float64)
        self._stable = Mean(setting.ticks(STABLE_S), count)
        # What is seen at a look holds until the last of the peer's own ticks before the next look.
        self._held_s = setting.tick_s - PERIOD_S
        self._breached_s, self._most = np.full(count, -np.inf), np.zeros(count, dtype=np.int64)
        ticks = np.maximum(1, np.rint(lanes(delay_s, count) / setting.tick_s)).astype(np.int64)
        self._delayed = Highest(ticks)

    def wanted(self, seen: Seen) -> Ints:
        now = np.rint(seen.depth)
        ready = np.maximum(seen.ready, 1)
        panic = ceil(now / self._targets)
        stable = self._limited(ceil(self._stable.add(now) / self._targets), ready)
        self._breached_s = np.where(panic >= PANIC_THRESHOLD * ready, seen.now_s + self._held_s, self._breached_s)
        in_panic = seen.now_s <= self._breached_s + STABLE_S
        self._most = np.where(in_panic, np.maximum(self._most, self._limited(panic, ready)), 0)
        return self._delayed.add(np.maximum(stable, self._most)).astype(np.int64)

    def _limited(self, wish: Ints, ready: Ints) -> Ints:
        return np.minimum(np.maximum(wish, ready // DOWN_RATE), UP_RATE * ready)


def peers(setting: Setting) -> list[Peer]:
    targets = (0.3, 0.5, 0.7, 0.85, *(target for target in queue_targets(setting, 10) if target > 1))
    grid = [(target, 0.0) for target in targets] + [(target, 900.0) for target in queue_targets(setting, 5)]
    return [
        Peer(
            name="Knative KPA",
            points=tuple(f"target {target:g}" + (", down after 900 s" if delay_s else "") for target, delay_s in grid),
            make=lambda: Kpa(setting, [target for target, _ in grid], [delay_s for _, delay_s in grid]),
        )
    ]
