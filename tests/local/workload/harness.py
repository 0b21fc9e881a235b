"""A small world in virtual time: the broker's queue, an estate that the test writes, and the parts of the workload."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from local.clock import VirtualClock
from local.servicebus.config import QueueSettings
from local.servicebus.queue import Queue
from local.workload import (
    Arrivals,
    Dispatcher,
    Emit,
    Player,
    PoolScorer,
    QueueInbox,
    QueueOutbox,
    ScoringPool,
    ServiceProfile,
)


@dataclass
class Machine:
    id: str
    state: str = "ready"


@dataclass
class Estate:
    """The instances of each deployment, and the traffic of the one endpoint."""

    deployments: dict[str, list[Machine]] = field(default_factory=dict)
    shares: dict[str, int] = field(default_factory=dict)

    def instances(self, deployment: str) -> Sequence[Machine]:
        return self.deployments.get(deployment, [])

    def traffic(self, endpoint: str) -> Mapping[str, int]:
        assert endpoint == "vision"
        return self.shares

    def add(self, deployment: str, count: int, share: int = 100) -> list[Machine]:
        machines = [Machine(f"{deployment}-{n}") for n in range(count)]
        self.deployments.setdefault(deployment, []).extend(machines)
        self.shares[deployment] = share
        return machines


class World:
    """Everything on one virtual clock. `start()` what a test needs."""

    def __init__(
        self,
        profile: ServiceProfile | None = None,
        *,
        lock_s: float = 30,
        max_delivery_count: int = 10,
        max_wait_s: float = 60,
        emit: Emit | None = None,
        window_s: float = 60,
    ) -> None:
        served_as = profile or ServiceProfile()
        self.clock = VirtualClock()
        self.estate = Estate()
        self.metrics: list[tuple[str, str, int, datetime]] = []
        settings = QueueSettings(lock_duration=timedelta(seconds=lock_s), max_delivery_count=max_delivery_count)
        self.queue = Queue("jobs", settings, self.clock, lambda *record: self.metrics.append(record))
        self.pool = ScoringPool(
            "vision",
            self.estate,
            self.clock,
            random.Random(5),
            profile_of=lambda deployment: served_as,
            max_wait_s=max_wait_s,
            emit=emit,
            window_s=window_s,
        )
        self.pool.start()
        self.clock.add_busy_probe(self.pool.busy)

    def dispatcher(self, concurrency: int = 8, **options: float) -> Dispatcher:
        inbox = QueueInbox(self.queue, self.clock)
        dispatcher = Dispatcher(inbox, PoolScorer(self.pool), self.clock, concurrency=concurrency, **options)
        self.clock.add_busy_probe(dispatcher.busy)
        dispatcher.start()
        return dispatcher

    def play(self, arrivals: Arrivals) -> Player:
        player = Player(arrivals, QueueOutbox(self.queue), self.clock)
        self.clock.add_busy_probe(player.busy)
        player.start()
        return player

    def send(self, count: int) -> None:
        for n in range(count):
            self.queue.send(b"%d" % n)

    @property
    def completions(self) -> int:
        return sum(n for _, metric, n, _ in self.metrics if metric == "CompleteMessage")

    def accounted(self) -> int:
        """Every message that was ever sent, wherever it is now."""
        counts = self.queue.counts()
        return self.completions + counts.active + counts.locked + counts.dead_letter + counts.scheduled
