"""The metrics of an online endpoint, counted from its real requests: RequestsPerMinute and RequestLatency_P95.

Names and dimensions: Azure Monitor's supported metrics for Microsoft.MachineLearningServices/workspaces/onlineEndpoints
and its deployments. A window without requests has no values, as a metric that nobody sent has none.
"""

import math
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from local.clock import Clock

Emit = Callable[[str, str, float, datetime, Mapping[str, str]], None]
"""(deployment or endpoint, metric, value, start of the window, dimensions)."""


class ScoringMetrics:
    """Adds up one endpoint's requests and emits them at the end of each window of `window_s`, aligned to the epoch."""

    def __init__(self, endpoint: str, clock: Clock, emit: Emit, window_s: float) -> None:
        self._endpoint = endpoint
        self._clock = clock
        self._emit = emit
        self._window = timedelta(seconds=window_s)
        self._lock = threading.Lock()
        self._answers: Counter[tuple[str, int]] = Counter()
        self._latencies_ms: defaultdict[str, list[float]] = defaultdict(list)

    def add(self, deployment: str, status: int, latency_s: float) -> None:
        """One request that was answered just now. `deployment` is empty if none was found for it."""
        with self._lock:
            if not self._answers:
                start = self._window_start()
                self._clock.call_at(start + self._window, lambda: self._end_window(start))
            self._answers[deployment, status] += 1
            if deployment:
                self._latencies_ms[deployment].append(latency_s * 1000)

    def _window_start(self) -> datetime:
        epoch = datetime(1970, 1, 1, tzinfo=UTC)
        return epoch + (self._clock.now() - epoch) // self._window * self._window

    def _end_window(self, start: datetime) -> None:
        with self._lock:
            answers, self._answers = self._answers, Counter()
            latencies_ms, self._latencies_ms = self._latencies_ms, defaultdict(list)
        windows_a_minute = timedelta(minutes=1) / self._window
        for (deployment, status), count in sorted(answers.items()):
            self._emit_requests(deployment, status, count * windows_a_minute, start)
        for deployment, values in sorted(latencies_ms.items()):
            p95_ms = sorted(values)[math.ceil(0.95 * len(values)) - 1]
            self._emit(deployment, "RequestLatency_P95", p95_ms, start, {})
            self._emit(self._endpoint, "RequestLatency_P95", p95_ms, start, {"deployment": _name(deployment)})

    def _emit_requests(self, deployment: str, status: int, per_minute: float, start: datetime) -> None:
        by_code = {"statusCode": str(status), "statusCodeClass": f"{status // 100}xx", "deployment": _name(deployment)}
        self._emit(self._endpoint, "RequestsPerMinute", per_minute, start, by_code)
        if deployment:
            self._emit(deployment, "RequestsPerMinute", per_minute, start, {"envoy_response_code": str(status)})


def _name(deployment: str) -> str:
    """The dimension has the deployment's name, where deployments go by their resource ids."""
    return deployment.rpartition("/")[2]
