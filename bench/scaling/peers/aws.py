"""AWS: target tracking on the backlog per instance, as for EC2 groups and for SageMaker's endpoints.

Source: awsdocs `as-using-sqs-queue.md`, `as-scaling-target-tracking.md`; SageMaker `async-inference-autoscale.md`. The
target is the acceptable latency divided by the time for an item. Both alarms look at minutes: out after three above
the target, in after fifteen below 0.9 of it (both numbers are known from observation only). In the peer's favour:
messages that are being worked on are counted as well, an alarm acts in each minute in which it stands, and SageMaker's
scale-out cooldown never holds back a larger need, since what was added before counts towards it.
"""

from collections.abc import Sequence
from itertools import product

import numpy as np

from bench.scaling.peers.base import Flags, Peer, Setting, ceil, lanes, queue_targets, within
from shared.simulation.site import Seen
from shared.simulation.workload import Floats, Ints

MINUTE_S = 60.0
MINUTES_HIGH, MINUTES_LOW = 3, 15
LOW_SHARE = 0.9
SAGEMAKER_COOLDOWN_S = 300.0


class BacklogPerInstance:
    """`targets` in items per instance. Metrics are read late; without them nothing is done."""

    def __init__(
        self, setting: Setting, targets: Sequence[float], cooldown_in_s: Sequence[float] | float = 0.0
    ) -> None:
        self._setting, self._targets = setting, np.array(targets, dtype=np.float64)
        self._cooldown_in_s = lanes(cooldown_in_s, len(targets))
        self._high, self._low = (np.zeros(len(targets), dtype=np.int64) for _ in range(2))
        self._shrunk_s = np.full(len(targets), -np.inf)
        self._looked_s = -np.inf

    def wanted(self, seen: Seen) -> Ints:
        if seen.now_s < self._looked_s + MINUTE_S:
            return seen.capacity
        self._looked_s = seen.now_s
        backlog = np.rint(seen.metric_depth) / np.maximum(seen.metric_ready, 1)
        known = ~np.isnan(backlog)
        self._count(np.where(known, backlog, 0.0), known)
        size, ready = seen.capacity, seen.ready
        tracked = np.where(known, np.maximum(ready, 1) * backlog / self._targets, 0.0)
        want = within(self._setting, ceil(tracked))
        grows = known & (self._high >= MINUTES_HIGH)
        shrinks = known & (self._low >= MINUTES_LOW) & (ready >= size) & (want < size)
        shrinks &= seen.now_s >= self._shrunk_s + self._cooldown_in_s
        self._shrunk_s = np.where(shrinks, seen.now_s, np.where(grows, -np.inf, self._shrunk_s))
        wish = np.where(shrinks, want, np.where(grows, np.maximum(want, size), size))
        # The second policy, on HasBacklogWithoutCapacity: from none to one.
        return np.where((size == 0) & known & (backlog > 0), np.maximum(wish, 1), wish)

    def _count(self, backlog: Floats, known: Flags) -> None:
        """Minutes in a row above the target, and below 0.9 of it; one that is missing changes nothing."""
        self._high = np.where(known, np.where(backlog > self._targets, self._high + 1, 0), self._high)
        self._low = np.where(known, np.where(backlog < LOW_SHARE * self._targets, self._low + 1, 0), self._low)


def peers(setting: Setting) -> list[Peer]:
    grid = [(target, 0.0) for target in queue_targets(setting, 11)]
    grid += list(product(queue_targets(setting, 5), [SAGEMAKER_COOLDOWN_S]))
    return [
        Peer(
            name="AWS target tracking",
            points=tuple(f"{target:g} per instance" + (", SageMaker" if wait_s else "") for target, wait_s in grid),
            make=lambda: BacklogPerInstance(setting, [target for target, _ in grid], [wait_s for _, wait_s in grid]),
            queue_per_target=True,
        )
    ]
