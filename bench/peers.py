"""KEDA's and the Kubernetes HPA's own rules, as baselines that are played beside our decision (`bench/reaction.py`).

Formula by formula as in the sources: KEDA's scaledobject_types.go and scale_scaledobjects.go, Kubernetes'
replica_calculator.go and horizontal.go (autoscaling/v2). Left out is what this comparison cannot reach: failing
metrics, fallbacks, several triggers, idleReplicaCount, pods' own metrics.
"""

import math
from collections import deque
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaledObject:
    """What a user of KEDA writes, with KEDA's defaults; `message_count` is the queue's target per replica."""

    message_count: int = 5
    activation_message_count: int = 0
    polling_interval_s: int = 30
    cooldown_period_s: int = 300
    min_replicas: int = 0
    max_replicas: int = 100


@dataclass(slots=True)
class Activation:
    """KEDA's own part: between none and one replica. From one on the HPA decides."""

    rules: ScaledObject
    _last_active_s: float = -math.inf

    def poll(self, now_s: float, messages: int, replicas: int) -> int:
        """The replicas after one look; every `polling_interval_s`."""
        least = self.rules.min_replicas
        if messages > self.rules.activation_message_count:
            self._last_active_s = now_s
            return replicas or max(1, least)
        if now_s > self._last_active_s + self.rules.cooldown_period_s and least == 0:
            return 0  # from any number of replicas
        return max(replicas, least)


SYNC_PERIOD_S = 15
TOLERANCE = 0.1
STABILISATION_DOWN_S = 300
RATE_PERIOD_S = 15
"""The HPA's defaults. Growth is not stabilised; shrinking is not limited in rate (100 % in a period)."""


def desired_by_average_value(value: float, target: float, replicas: int) -> int:
    """Replicas for an external metric of type AverageValue; `replicas` are those created, ready or not."""
    if abs(1 - value / (target * replicas)) <= TOLERANCE:
        return replicas
    return math.ceil(value / target)


def growth_limit(replicas: int, added_in_period: int) -> int:
    """Most replicas that the default policies allow (100 % or 4 pods in a period, the greater of them)."""
    start = replicas - added_in_period
    return max(2 * start, start + 4)


@dataclass(slots=True)
class Hpa:
    """One HorizontalPodAutoscaler on one external metric."""

    target: float
    min_replicas: int
    max_replicas: int
    _recommendations: deque[tuple[float, int]] = field(default_factory=deque)
    _added: deque[tuple[float, int]] = field(default_factory=deque)

    def sync(self, now_s: float, value: float, replicas: int) -> int:
        """The replicas to ask for; every `SYNC_PERIOD_S`. Without any replica the HPA is disabled."""
        if replicas == 0:
            return 0
        if not self._recommendations:
            self._recommendations.append((now_s, replicas))
        wanted = self._stabilised(now_s, desired_by_average_value(value, self.target, replicas), replicas)
        if wanted > replicas:
            allowed = max(replicas, growth_limit(replicas, self._added_in_period(now_s)))
            return min(wanted, allowed, self.max_replicas)
        return max(wanted, self.min_replicas)

    def applied(self, now_s: float, before: int, after: int) -> None:
        """The scale subresource took a change: what was added counts towards the rate limit."""
        if after > before:
            self._added.append((now_s, after - before))

    def _stabilised(self, now_s: float, recommended: int, replicas: int) -> int:
        """Not less than any recommendation of the last minutes, unless there are fewer replicas anyway."""
        self._recommendations.append((now_s, recommended))
        while self._recommendations[0][0] <= now_s - STABILISATION_DOWN_S:
            self._recommendations.popleft()
        highest = max(count for _, count in self._recommendations)
        return min(max(replicas, recommended), highest)

    def _added_in_period(self, now_s: float) -> int:
        while self._added and self._added[0][0] <= now_s - RATE_PERIOD_S:
            self._added.popleft()
        return sum(count for _, count in self._added)
