"""The metrics of an online endpoint, counted from its real requests and from how long its instances worked.

Names and dimensions: Azure Monitor's supported metrics for Microsoft.MachineLearningServices/workspaces/onlineEndpoints
and its deployments. A window without requests has no values, as a metric that nobody sent has none, unless the habits
say that Azure sends zeros.
"""

import math
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from local.clock import Alarm, Clock

Emit = Callable[[str, str, float, datetime, Mapping[str, str]], None]
"""(deployment or endpoint, metric, value, start of the window, dimensions)."""

IDLE_PCT = 1.0
"""What an instance uses that has nothing to do."""

PERCENTILES = (50, 90, 95, 99)


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """How Azure Monitor treats a pool whose windows are counted from its start on, asked anew in each.

    `slots` are all slots of ready instances, by deployment and instance. `utilization` are the metrics of how busy they
    are. `sends_zeros`: a window without requests has zero of them. `counts_wait`: latency includes the wait in line.
    """

    slots: Callable[[], Mapping[str, Mapping[str, int]]]
    utilization: Sequence[str] = ("CpuUtilizationPercentage",)
    sends_zeros: Callable[[], bool] = lambda: False
    counts_wait: Callable[[], bool] = lambda: True


class ScoringMetrics:
    """Adds up one endpoint's requests and emits them at the end of each window of `window_s`, aligned to the epoch.

    With `habits` every window is emitted from `start()` to `stop()`, with the utilization of instances; without, those
    with requests.
    """

    def __init__(self, endpoint: str, clock: Clock, emit: Emit, window_s: float, habits: Habits | None = None) -> None:
        self._endpoint = endpoint
        self._clock = clock
        self._emit = emit
        self._window = timedelta(seconds=window_s)
        self._habits = habits
        self._lock = threading.Lock()
        self._alarm: Alarm | None = None
        self._answers: Counter[tuple[str, int]] = Counter()
        self._latencies_ms: defaultdict[str, list[float]] = defaultdict(list)
        self._working: Counter[str] = Counter()
        self._worked_s: defaultdict[str, float] = defaultdict(float)
        self._worked_until = clock.now()

    def start(self) -> None:
        if self._habits is not None:
            with self._lock:
                self._arm()

    def stop(self) -> None:
        with self._lock:
            self._habits = None
            if self._alarm is not None:
                self._alarm.cancel()

    def add(self, deployment: str, status: int, latency_s: float, waited_s: float = 0.0) -> None:
        """One request that was answered just now. `deployment` is empty if none was found for it.

        `waited_s` of its latency it stood in line.
        """
        with self._lock:
            if not self._answers and self._habits is None:
                self._arm()
            self._answers[deployment, status] += 1
            if deployment:
                counted_s = latency_s if self._habits is None or self._habits.counts_wait() else latency_s - waited_s
                self._latencies_ms[deployment].append(counted_s * 1000)

    def works(self, instance: str, requests: int) -> None:
        """An instance works on so many requests from now on."""
        with self._lock:
            self._count_work()
            self._working[instance] = requests

    def _count_work(self) -> None:
        now = self._clock.now()
        for instance, requests in self._working.items():
            self._worked_s[instance] += requests * (now - self._worked_until).total_seconds()
        self._worked_until = now
        self._working = +self._working

    def _arm(self) -> None:
        start = self._window_start()
        self._alarm = self._clock.call_at(start + self._window, lambda: self._end_window(start))

    def _window_start(self) -> datetime:
        epoch = datetime(1970, 1, 1, tzinfo=UTC)
        return epoch + (self._clock.now() - epoch) // self._window * self._window

    def _end_window(self, start: datetime) -> None:
        with self._lock:
            answers, self._answers = self._answers, Counter()
            latencies_ms, self._latencies_ms = self._latencies_ms, defaultdict(list)
            self._count_work()
            worked_s, self._worked_s = self._worked_s, defaultdict(float)
            habits = self._habits
            if habits is not None:
                self._arm()
        windows_a_minute = timedelta(minutes=1) / self._window
        for (deployment, status), count in sorted(answers.items()):
            self._emit_requests(deployment, status, count * windows_a_minute, start)
        for deployment, values in sorted(latencies_ms.items()):
            self._emit_latencies(deployment, sorted(values), start)
        if habits is not None:
            self._emit_states(habits, {deployment for deployment, _ in answers}, worked_s, start)

    def _emit_requests(self, deployment: str, status: int, per_minute: float, start: datetime) -> None:
        by_code = {"statusCode": str(status), "statusCodeClass": f"{status // 100}xx", "deployment": _name(deployment)}
        self._emit(self._endpoint, "RequestsPerMinute", per_minute, start, by_code)
        if deployment:
            self._emit(deployment, "RequestsPerMinute", per_minute, start, {"envoy_response_code": str(status)})

    def _emit_latencies(self, deployment: str, values_ms: Sequence[float], start: datetime) -> None:
        for percent in PERCENTILES:
            value_ms = values_ms[math.ceil(percent / 100 * len(values_ms)) - 1]
            self._emit(deployment, f"RequestLatency_P{percent}", value_ms, start, {})
            by_name = {"deployment": _name(deployment)}
            self._emit(self._endpoint, f"RequestLatency_P{percent}", value_ms, start, by_name)

    def _emit_states(self, habits: Habits, asked: set[str], worked_s: Mapping[str, float], start: datetime) -> None:
        for deployment, slots in habits.slots().items():
            if deployment not in asked and habits.sends_zeros():
                self._emit_requests(deployment, 200, 0.0, start)
            for instance, slots_of_it in slots.items():
                used_pct = 100 * worked_s.get(instance, 0.0) / (slots_of_it * self._window.total_seconds())
                for metric in habits.utilization:
                    value = min(100.0, max(IDLE_PCT, used_pct))
                    self._emit(deployment, metric, value, start, {"instanceId": instance})


def _name(deployment: str) -> str:
    """The dimension has the deployment's name, where deployments go by their resource ids."""
    return deployment.rpartition("/")[2]
