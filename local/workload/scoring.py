"""The scoring instances of one online endpoint: what bounds its throughput, and what a person sees as latency.

Azure ML spreads requests over deployments by traffic and over their ready instances, lets at most twice as many
requests in as there are slots (2 x maxConcurrentRequestsPerInstance x instances) and answers 429 to the rest
(learn.microsoft.com/azure/machine-learning/how-to-troubleshoot-online-endpoints).
"""

import asyncio
import random
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from local.activity import Activity, Signal
from local.clock import Clock
from local.workload.scoring_metrics import Emit, Habits, ScoringMetrics

IN_SYSTEM_PER_SLOT = 2


class Instance(Protocol):
    """One machine of a deployment. Only those in state `ready` get requests; the others finish what they hold."""

    @property
    def id(self) -> str: ...

    @property
    def state(self) -> str: ...


class ScoringEstate(Protocol):
    """What the pool asks the simulated cloud, in its names: the keys of `traffic` are what `instances` takes."""

    def instances(self, deployment: str) -> Sequence[Instance]: ...

    def traffic(self, endpoint: str) -> Mapping[str, int]:
        """Percent by deployment; an endpoint without any has no entry above 0."""
        ...


@dataclass(frozen=True, slots=True)
class ServiceProfile:
    """How one instance serves: seconds a request (or a draw from a random source), and how many at once."""

    service_time_s: float | Callable[[random.Random], float] = 1.0
    concurrency: int = 1

    def __post_init__(self) -> None:
        if self.concurrency < 1:
            raise ValueError(f"concurrency must be at least 1, got {self.concurrency}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """How a request ended. 200; 404 no deployment takes traffic; 429 too many at once; 503 nobody to serve it."""

    status: int
    deployment: str
    instance: str
    latency_s: float


@dataclass(slots=True, eq=False)
class _Waiter:
    signal: Signal[str | None]
    instance: str | None = None


class ScoringPool:
    """One endpoint under load. Use it on one event loop; `start()` it there.

    A request that finds all slots taken waits in line for at most `max_wait_s`. `profile_of` says how a deployment
    serves; `rng` draws the deployment of each request and the service times; `emit` gets metrics every `window_s`, by
    `habits` also of windows without requests.
    """

    def __init__(
        self,
        endpoint: str,
        estate: ScoringEstate,
        clock: Clock,
        rng: random.Random,
        *,
        profile_of: Callable[[str], ServiceProfile],
        max_wait_s: float = 60.0,
        emit: Emit | None = None,
        window_s: float = 60.0,
        habits: Habits | None = None,
    ) -> None:
        self.endpoint = endpoint
        self._estate = estate
        self._clock = clock
        self._rng = rng
        self._profile_of = profile_of
        self._max_wait_s = max_wait_s
        self._metrics = ScoringMetrics(endpoint, clock, emit, window_s, habits) if emit else None
        self._activity = Activity(clock)
        self._held: Counter[str] = Counter()
        self._lines: defaultdict[str, deque[_Waiter]] = defaultdict(deque)

    def start(self) -> None:
        """Bind to the running event loop."""
        self._activity.open()
        if self._metrics is not None:
            self._metrics.start()

    def stop(self) -> None:
        """Emit no further windows; requests are served as before."""
        if self._metrics is not None:
            self._metrics.stop()

    def busy(self) -> bool:
        return self._activity.busy()

    def held(self, instance_id: str) -> int:
        """Requests that the instance works on: a draining one is empty when this is 0."""
        return self._held[instance_id]

    async def score(self, deployment: str | None = None) -> Answer:
        """Serve one request; `deployment` overrides traffic, as the header azureml-model-deployment does."""
        with self._activity.counted():
            started_at = self._clock.now()
            name = deployment or self._drawn_deployment()
            status, instance, served_s = await self._serve(name) if name else (404, "", 0.0)
            latency_s = (self._clock.now() - started_at).total_seconds()
            if self._metrics is not None:
                self._metrics.add(name, status, latency_s, latency_s - served_s)
            return Answer(status=status, deployment=name, instance=instance, latency_s=latency_s)

    def _drawn_deployment(self) -> str:
        traffic = {name: share for name, share in sorted(self._estate.traffic(self.endpoint).items()) if share > 0}
        return self._rng.choices(list(traffic), weights=list(traffic.values()))[0] if traffic else ""

    async def _serve(self, deployment: str) -> tuple[int, str, float]:
        """Status, instance, and the seconds in which the instance worked."""
        ready = self._ready(deployment)
        if not ready:
            return 503, "", 0.0
        profile = self._profile_of(deployment)
        in_system = sum(self._held[instance] for instance in ready) + len(self._lines[deployment])
        if in_system >= IN_SYSTEM_PER_SLOT * profile.concurrency * len(ready):
            return 429, "", 0.0
        instance = await self._slot(deployment)
        if instance is None:
            return 503, "", 0.0
        service_s = self._service_time_s(profile)
        try:
            await self._activity.sleep(service_s)
        finally:
            self._release(deployment, instance)
        return 200, instance, service_s

    def _service_time_s(self, profile: ServiceProfile) -> float:
        wanted = profile.service_time_s
        return wanted(self._rng) if callable(wanted) else wanted

    def _ready(self, deployment: str) -> list[str]:
        return [instance.id for instance in self._estate.instances(deployment) if instance.state == "ready"]

    async def _slot(self, deployment: str) -> str | None:
        """An instance with a free slot, in order of arrival; None if none came free within `max_wait_s`."""
        line = self._lines[deployment]
        waiter = _Waiter(Signal(self._activity))
        line.append(waiter)
        self._hand_out(deployment)
        try:
            with self._activity.alarm(self._max_wait_s, lambda: waiter.signal.fire(None)):
                return await waiter.signal.wait()
        except asyncio.CancelledError:
            if waiter.instance is not None:
                self._release(deployment, waiter.instance)
            raise
        finally:
            if waiter in line:
                line.remove(waiter)

    def _hand_out(self, deployment: str) -> None:
        """Give free slots, on the least loaded instances first, to those who wait."""
        line, concurrency = self._lines[deployment], self._profile_of(deployment).concurrency
        ready = self._ready(deployment)
        while line and ready:
            instance = min(ready, key=lambda candidate: self._held[candidate])
            if self._held[instance] >= concurrency:
                return
            waiter = line.popleft()
            if waiter.signal.fire(instance):
                waiter.instance = instance
                self._hold(instance, self._held[instance] + 1)

    def _release(self, deployment: str, instance: str) -> None:
        self._hold(instance, self._held[instance] - 1)
        self._hand_out(deployment)

    def _hold(self, instance: str, requests: int) -> None:
        self._held[instance] = requests
        if not requests:
            del self._held[instance]
        if self._metrics is not None:
            self._metrics.works(instance, requests)
