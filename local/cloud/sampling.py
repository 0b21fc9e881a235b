"""What Azure's own services report about themselves: counts of queues, instances of deployments.

Events (messages in, completed, ...) are recorded as they happen; states (depth, instances) are sampled a few times a
grain.
"""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Literal

from local.clock import Alarm, Clock
from local.cloud.estate import Deployment, Estate, Namespace
from local.cloud.metric_catalogue import CATALOGUE, SERVICE_BUS
from local.cloud.metrics import MetricStore
from local.cloud.queues import QueueBoard, QueueSource
from local.cloud.switches import Switches

SAMPLES_PER_GRAIN = 2
TOTALS = tuple(metric.name for metric in CATALOGUE[SERVICE_BUS].values() if metric.aggregations == ("Total",))
State = Literal["pending", "ready", "draining"]
# By the assumption monitor.capacity_states.
STATE_NAMES: dict[str, dict[State, str]] = {
    "ready_pending_draining": {"pending": "Pending", "ready": "Ready", "draining": "Draining"},
    "running_creating_deleting": {"pending": "Creating", "ready": "Running", "draining": "Deleting"},
}


class Sampler:
    """Feeds the metric store, in the ways that the assumptions monitor.idle_totals, .idle_queue_series,
    .capacity_states, .capacity_counts and kubernetes.metrics say.
    """

    def __init__(
        self,
        clock: Clock,
        estate: Estate,
        board: QueueBoard,
        metrics: MetricStore,
        switches: Switches,
    ) -> None:
        self._clock = clock
        self._estate = estate
        self._board = board
        self._metrics = metrics
        self._switches = switches
        self._alarm: Alarm | None = None
        self._lock = threading.Lock()
        self._running = False

    def watch(self, source: QueueSource) -> None:
        """Record the events of a namespace that exists in the estate.

        Raises:
            ValueError: there is no such namespace.
        """
        source.observers.append(self._recorder(source, self._namespace(source).id))

    def start(self) -> None:
        self._running = True
        self._tick()

    def stop(self) -> None:
        with self._lock:
            self._running = False
            if self._alarm is not None:
                self._alarm.cancel()

    def is_reported(self, resource_id: str) -> bool:
        """Whether Azure Monitor has metrics of it."""
        found = self._estate.get(resource_id)
        on_kubernetes = isinstance(found, Deployment) and not found.managed
        return not on_kubernetes or self._switches["kubernetes.metrics"] == "as_managed"

    def _tick(self) -> None:
        now = self._clock.now()
        with self._estate.lock:
            self._sample_deployments(now)
        self._sample_queues(now)
        with self._lock:
            if self._running:
                step = timedelta(seconds=self._metrics.grain_s / SAMPLES_PER_GRAIN)
                self._alarm = self._clock.call_at(now + step, self._tick)

    def _sample_deployments(self, now: datetime) -> None:
        """One value for each state: how many instances are in it; or 1 for each instance."""
        per_instance = self._switches["monitor.capacity_counts"] == "per_instance"
        for deployment in self._estate.deployments():
            if not self.is_reported(deployment.id):
                continue
            for state, name in STATE_NAMES[self._switches["monitor.capacity_states"]].items():
                instances = deployment.in_state(state)
                if per_instance:
                    for instance in instances:
                        dimensions = {"instanceId": instance.id, "State": name}
                        self._metrics.add(deployment.id, "DeploymentCapacity", 1, now, dimensions)
                elif instances or state == "ready":
                    self._metrics.add(deployment.id, "DeploymentCapacity", len(instances), now, {"State": name})

    def _sample_queues(self, now: datetime) -> None:
        for source in self._board.sources():
            resource_id = self._namespace(source).id
            for queue in source.queue_names():
                counts = source.counts(queue)
                states = {
                    "ActiveMessages": self._board.active(counts),
                    "DeadletteredMessages": counts.dead_letter,
                    "ScheduledMessages": counts.scheduled,
                }
                if self._switches["monitor.idle_queue_series"] == "absent":
                    states = {metric: number for metric, number in states.items() if number}
                if self._switches["monitor.idle_totals"] == "zero":
                    states |= dict.fromkeys(TOTALS, 0)
                for metric, value in states.items():
                    self._metrics.add(resource_id, metric, value, now, {"EntityName": queue})

    def _recorder(self, source: QueueSource, resource_id: str) -> Callable[[str, str, int, datetime], None]:
        names = frozenset(source.queue_names())

        def record(queue: str, metric: str, number: int, at: datetime) -> None:
            # Left out: dead-letter queues, and dead-lettered messages, whose number is a state and sampled.
            if metric in TOTALS and queue in names:
                self._metrics.add(resource_id, metric, number, at, {"EntityName": queue})

        return record

    def _namespace(self, source: QueueSource) -> Namespace:
        for namespace in self._estate.namespaces():
            if namespace.name.lower() == source.namespace.lower():
                return namespace
        known = ", ".join(namespace.name for namespace in self._estate.namespaces()) or "none"
        raise ValueError(f"the estate has no Service Bus namespace {source.namespace!r}; it has: {known}")
