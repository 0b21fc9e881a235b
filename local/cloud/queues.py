"""Where queue counts and message events come from: the local broker, or fixed numbers where no messages are wanted."""

import threading
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from local.clock import Alarm, Clock
from local.cloud.switches import Switches

Observer = Callable[[str, str, int, datetime], None]
COUNT_SAMPLE_S = 1.0
# Longer than any value of servicebus.count_lag_s.
COUNT_HISTORY = 60


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """Messages by state; `active` leaves out those that a receiver holds locked."""

    active: int = 0
    locked: int = 0
    dead_letter: int = 0
    scheduled: int = 0
    size_bytes: int = 0


class QueueSource(Protocol):
    """One Service Bus namespace as the management plane and the metrics see it.

    `observers` are called with (queue name, metric name, number, at) for each event, from any thread.
    """

    @property
    def namespace(self) -> str: ...

    @property
    def observers(self) -> list[Observer]: ...

    def queue_names(self) -> Sequence[str]: ...

    def counts(self, queue: str) -> QueueCounts: ...


class FixedQueues:
    """A namespace whose counts a test sets; events are those that the test reports with `observe`."""

    def __init__(self, namespace: str, queues: Sequence[str]) -> None:
        self._namespace = namespace
        self._counts = {name: QueueCounts() for name in queues}
        self._observers: list[Observer] = []

    @property
    def namespace(self) -> str:
        return self._namespace

    @property
    def observers(self) -> list[Observer]:
        return self._observers

    def queue_names(self) -> Sequence[str]:
        return list(self._counts)

    def counts(self, queue: str) -> QueueCounts:
        return self._counts[queue]

    def set(self, queue: str, counts: QueueCounts) -> None:
        self._counts[queue] = counts

    def observe(self, queue: str, metric: str, number: int, at: datetime) -> None:
        for observer in self._observers:
            observer(queue, metric, number, at)


class QueueBoard:
    """All sources by namespace, with a short history of their counts for the lag of the management plane.

    The history is only kept while `servicebus.count_lag_s` is not 0.
    """

    def __init__(self, clock: Clock, switches: Switches) -> None:
        self._clock = clock
        self._switches = switches
        self._lock = threading.Lock()
        self._sources: dict[str, QueueSource] = {}
        self._history: dict[tuple[str, str], deque[tuple[datetime, QueueCounts]]] = defaultdict(
            lambda: deque(maxlen=COUNT_HISTORY)
        )
        self._alarm: Alarm | None = None

    def attach(self, source: QueueSource) -> None:
        self._sources[source.namespace.lower()] = source

    def source(self, namespace: str) -> QueueSource | None:
        return self._sources.get(namespace.lower())

    def sources(self) -> list[QueueSource]:
        return list(self._sources.values())

    def counts(self, namespace: str, queue: str) -> QueueCounts:
        """What the management plane knows now: as old as the lag says, zeros where no source is attached."""
        source = self.source(namespace)
        if source is None or queue not in source.queue_names():
            return QueueCounts()
        lag_s = self._switches.seconds("servicebus.count_lag_s")
        if lag_s <= 0:
            return source.counts(queue)
        newest_known = self._clock.now() - timedelta(seconds=lag_s)
        with self._lock:
            samples = self._history[namespace.lower(), queue]
            known = [counts for at, counts in samples if at <= newest_known]
            return known[-1] if known else (samples[0][1] if samples else source.counts(queue))

    def active(self, counts: QueueCounts) -> int:
        """What Azure calls active, by `servicebus.locked_are_active`."""
        return counts.active + (counts.locked if self._switches.yes("servicebus.locked_are_active") else 0)

    def start(self) -> None:
        self._sample()

    def stop(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _sample(self) -> None:
        """Remember all counts once a second while there is a lag; look again in a while if there is none."""
        now = self._clock.now()
        lagging = self._switches.seconds("servicebus.count_lag_s") > 0
        if lagging:
            with self._lock:
                for source in self._sources.values():
                    for queue in source.queue_names():
                        self._history[source.namespace.lower(), queue].append((now, source.counts(queue)))
        self._alarm = self._clock.call_at(
            now + timedelta(seconds=COUNT_SAMPLE_S if lagging else COUNT_HISTORY), self._sample
        )
