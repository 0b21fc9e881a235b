"""Azure Monitor autoscale, which Azure ML's online endpoints have: on utilisation as in its samples, and on messages.

Source: MicrosoftDocs `azure-monitor/autoscale/{autoscale-flapping,autoscale-understanding-settings}.md`,
`machine-learning/how-to-autoscale-endpoints.md`. One rule out and one rule in; looks every 60 s, or 30 s where ticks
are shorter. Averages over five minutes leave out what is missing; only if all of it is missing the metric is. Where
the documents are silent, in the peer's favour: the profile's default is what the site starts with, a change that is
refused starts no cooldown, and no time is lost between a metric and its look.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from bench.scaling.peers.base import Mean, Peer, Setting, ceil, queue_targets, within
from shared.simulation.site import Seen
from shared.simulation.workload import Floats, Ints

WINDOW_S = 300.0
SHORTEST_PERIOD_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Autoscale:
    """Above `above`: `more` instances, or `more_share` of those that there are, rounded up. Below `below`: one less.

    `last`: the newest value instead of the mean (timeAggregation). `backwards`: the rule for scaling in adds one, as
    printed in the Python sample of Azure ML.
    """

    above: float
    below: float
    more: int = 0
    more_share: float = 0.0
    cooldown_s: float = 300.0
    last: bool = False
    backwards: bool = False


def busy_share(seen: Seen) -> Floats:
    """Mean share of busy instances, as CpuUtilizationPercentage would show it."""
    return seen.busy_share


def messages(seen: Seen) -> Floats:
    """ActiveMessageCount; divided by the instances at the look (dividePerInstance)."""
    return np.rint(seen.metric_depth)


def removable(value: Floats, instances: Ints, above: Floats) -> Ints:
    """The flapping guard on the removal of one: 1 where value * N / (N - 1) stays under the rule out, else 0."""
    left = np.maximum(instances - 1, 0)
    return (value * instances < above * left - 1e-9).astype(np.int64)


class AzureMonitor:
    """`metric` is read late and may be missing: then nothing shrinks, and fewer than the default become the default."""

    def __init__(
        self,
        setting: Setting,
        lanes: Sequence[Autoscale],
        metric: Callable[[Seen], Floats],
        *,
        divide_per_instance: bool = False,
    ) -> None:
        self._setting, self._metric, self._divide = setting, metric, divide_per_instance
        self._above, self._below = np.array([(lane.above, lane.below) for lane in lanes]).T
        self._more = np.array([lane.more for lane in lanes], dtype=np.int64)
        self._more_share = np.array([lane.more_share for lane in lanes])
        self._cooldown_s = np.array([lane.cooldown_s for lane in lanes])
        self._last, self._backwards = np.array([(lane.last, lane.backwards) for lane in lanes]).T
        self._mean = Mean(setting.ticks(WINDOW_S), len(lanes))
        self._looked_s = -np.inf
        self._acted_s = np.full(len(lanes), -np.inf)
        self._wish = self._was = np.zeros(len(lanes), dtype=np.int64)

    def wanted(self, seen: Seen) -> Ints:
        instances = seen.capacity.copy()
        taken = (self._wish != self._was) & (instances != self._was)
        self._acted_s = np.where(taken, self._looked_s, self._acted_s)
        value = self._value(seen, instances)
        self._was = self._wish = instances
        if seen.now_s >= self._looked_s + SHORTEST_PERIOD_S:
            self._looked_s = seen.now_s
            wish = within(self._setting, self._decided(value, instances))
            self._wish = np.where(seen.now_s >= self._acted_s + self._cooldown_s, wish, instances)
        return self._wish

    def _value(self, seen: Seen, instances: Ints) -> Floats:
        newest = self._metric(seen)
        value = np.where(self._last, newest, self._mean.add(newest))
        return value / np.maximum(instances, 1) if self._divide else value

    def _decided(self, value: Floats, instances: Ints) -> Ints:
        grown = instances + self._more + ceil(self._more_share * instances)
        low = value < self._below
        less = instances - removable(value, instances, self._above)
        wish = np.where(low, np.where(self._backwards, instances + 1, less), instances)
        wish = np.where(value > self._above, grown, wish)
        missing = np.isnan(value)
        return np.where(missing, np.maximum(instances, self._setting.at_start), wish)


# As in Azure ML's documents: the CLI's rules with the CLI's default cooldown, and those of the Python sample.
SAMPLES = {
    "Azure ML sample (CLI)": Autoscale(above=0.7, below=0.3, more=2),
    "Azure ML sample (Python)": Autoscale(above=0.7, below=0.3, more=2, cooldown_s=3600, last=True),
    "Azure ML sample (Python), as printed": Autoscale(
        above=0.7, below=0.3, more=2, cooldown_s=3600, last=True, backwards=True
    ),
}


def peers(setting: Setting) -> list[Peer]:
    ways = ((2, 0.0), (0, 1.0))
    utilisation = dict(SAMPLES)
    for share, (more, more_share, part) in product(
        (0.3, 0.5, 0.7, 0.8, 0.9, 0.97), ((2, 0.0, 0.6), (0, 1.0, 0.6), (2, 0.0, 0.85))
    ):
        lane = Autoscale(above=share, below=part * share, more=more, more_share=more_share)
        utilisation[f">{share:.0%}: {_by(lane)}, <{part * share:.0%}: -1"] = lane
    queue = {}
    for target, (more, more_share) in product(queue_targets(setting, 6), ways):
        lane = Autoscale(above=target, below=target / 4, more=more, more_share=more_share)
        queue[f">{target:g} messages per instance: {_by(lane)}"] = lane
    return [
        Peer(
            name="Azure Monitor on utilisation",
            points=tuple(utilisation),
            make=lambda: AzureMonitor(setting, list(utilisation.values()), busy_share),
        ),
        Peer(
            name="Azure Monitor on messages",
            points=tuple(queue),
            make=lambda: AzureMonitor(setting, list(queue.values()), messages, divide_per_instance=True),
        ),
    ]


def _by(lane: Autoscale) -> str:
    return f"+{lane.more}" if lane.more else f"+{lane.more_share:.0%}"
