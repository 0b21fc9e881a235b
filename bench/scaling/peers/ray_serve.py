"""Ray Serve's autoscaling on ongoing requests.

Source: ray-project/ray `python/ray/serve/autoscaling_policy.py`: desired = ceil(N + factor * (N * total / (T * N) -
N)), that is ceil(total / T) at the factor of 1; the mean of 30 s; it must persist for longer than 30 s upwards and 600
s downwards, in periods of 0.1 s, or the count starts again. Without replicas any request acts at once, in the peer's
favour with the size that the requests need. A change that is refused is tried again without a new delay.
"""

from collections.abc import Sequence

import numpy as np

from bench.scaling.peers.base import Mean, Peer, Setting, ceil, lanes, queue_targets, within
from shared.simulation.site import Seen
from shared.simulation.workload import Ints

DEFAULT_TARGET = 2.0
LOOK_BACK_S = 30.0
UPSCALE_DELAY_S, DOWNSCALE_DELAY_S = 30.0, 600.0


class RayServe:
    """`targets` are target_ongoing_requests, waiting or in service, for each replica."""

    def __init__(
        self,
        setting: Setting,
        targets: Sequence[float],
        *,
        up_delay_s: float = UPSCALE_DELAY_S,
        down_delay_s: Sequence[float] | float = DOWNSCALE_DELAY_S,
    ) -> None:
        count = len(targets)
        self._setting, self._targets = setting, np.array(targets, dtype=np.float64)
        self._up_delay_s, self._down_delay_s = up_delay_s, lanes(down_delay_s, count)
        self._mean = Mean(setting.ticks(LOOK_BACK_S), count)
        self._up_s, self._down_s = np.zeros(count), np.zeros(count)
        self._was = np.full(count, -1, dtype=np.int64)

    def wanted(self, seen: Seen) -> Ints:
        total, size, tick_s = self._mean.add(np.rint(seen.depth)), seen.capacity.copy(), self._setting.tick_s
        desired = within(self._setting, ceil(total / self._targets))
        fresh = (size == self._was) | (self._was < 0)
        self._was = size
        # A look stands for all periods up to the next one.
        self._up_s = np.where(desired > size, self._up_s * fresh + tick_s, 0.0)
        self._down_s = np.where(desired < size, self._down_s * fresh + tick_s, 0.0)
        acts = (self._up_s > self._up_delay_s) | (self._down_s > self._down_delay_s)
        awake = np.where((size == 0) & (total > 0), np.maximum(desired, 1), size)
        return np.where(acts, desired, awake)


def peers(setting: Setting) -> list[Peer]:
    targets = sorted({DEFAULT_TARGET, *queue_targets(setting, 10)})
    grid = [(target, DOWNSCALE_DELAY_S) for target in targets]
    grid += [(target, delay_s) for target in queue_targets(setting, 4) for delay_s in (60.0, 1800.0)]
    return [
        Peer(
            name="Ray Serve",
            points=tuple(f"target {target:g}, down after {delay_s:g} s" for target, delay_s in grid),
            make=lambda: RayServe(
                setting, [target for target, _ in grid], down_delay_s=[delay_s for _, delay_s in grid]
            ),
        )
    ]
