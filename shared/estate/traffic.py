"""Requests, latency and utilization of deployments, from Azure Monitor, in batches (see `metrics.py`).

Four calls for each 50 deployments of a region that have no queue: what is split by one dimension cannot be asked for
together with what has another, and a size without GPUs has no metric of them.

Names, units and dimensions: Azure Monitor's supported metrics of
Microsoft.MachineLearningServices/workspaces/onlineEndpoints/deployments. Whether an idle deployment has requests at all
is the assumption monitor.idle_requests, whether latency includes the wait in front of an instance monitor.latency_wait,
and what deployments on Kubernetes report kubernetes.metrics.
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime

from shared.decisions.scaling.demand import Traffic
from shared.domain import DeploymentId, Fresh, Measurement, Missing
from shared.estate.metrics import (
    DEPLOYMENT_NAMESPACE,
    LOOK_BACK,
    Metrics,
    Point,
    Points,
    Query,
    minutes,
    newest_complete,
)

REQUESTS = "RequestsPerMinute"
LATENCY_P50 = "RequestLatency_P50"
LATENCY_P95 = "RequestLatency_P95"
CPU = "CpuUtilizationPercentage"
GPU = "GpuUtilizationPercentage"
CODE = "envoy_response_code"
NOT_SERVED = frozenset({"0", "408", "429"})
"""Codes of requests that no instance answered, besides all of 500 and above."""

_REQUESTS = Query(DEPLOYMENT_NAMESPACE, (REQUESTS,), "Average", (CODE,))
_LATENCIES = Query(DEPLOYMENT_NAMESPACE, (LATENCY_P50, LATENCY_P95), "Average", ())
_CPU = Query(DEPLOYMENT_NAMESPACE, (CPU,), "Average", ())
_GPU = Query(DEPLOYMENT_NAMESPACE, (GPU,), "Average", ())


async def read_traffic(
    metrics: Metrics, regions: Mapping[DeploymentId, str], now: Callable[[], datetime]
) -> dict[str, Traffic]:
    """The traffic of each deployment by key. `regions` maps each to its region ("" is Missing); no failure escapes."""
    asked = {each.arm_id: region for each, region in regions.items()}
    queries = (_REQUESTS, _LATENCIES, _CPU, _GPU)
    requests, latencies, cpu, gpu = await asyncio.gather(*(metrics.query(query, asked) for query in queries))
    at = now()
    return {
        each.key: Traffic(
            requests_per_s=_requests(requests[each.key], at),
            answered_per_s=_requests(requests[each.key], at, only=_is_served),
            latency_p50_s=_mean(latencies[each.key], LATENCY_P50, at, 1000),
            latency_p95_s=_mean(latencies[each.key], LATENCY_P95, at, 1000),
            cpu_pct=_mean(cpu[each.key], CPU, at),
            gpu_pct=_mean(gpu[each.key], GPU, at),
            silent=_is_silent(requests[each.key]),
        )
        for each in regions
    }


def _requests(answer: Points | str, now: datetime, only: Callable[[Point], bool] = lambda _: True) -> Measurement:
    """Requests a second of the newest complete minute, of all codes together that `only` lets through."""
    newest = _newest(answer, REQUESTS, now)
    if isinstance(newest, Missing):
        return newest
    per_minute = sum(point.value for point in newest if only(point))
    return Fresh(value=per_minute / 60, at=newest[0].end, source=f"metric {REQUESTS}")


def _mean(answer: Points | str, metric: str, now: datetime, divided_by: float = 1) -> Measurement:
    newest = _newest(answer, metric, now)
    if isinstance(newest, Missing):
        return newest
    mean = sum(point.value for point in newest) / len(newest) / divided_by
    return Fresh(value=mean, at=newest[0].end, source=f"metric {metric}")


def _newest(answer: Points | str, metric: str, now: datetime) -> list[Point] | Missing:
    if isinstance(answer, str):
        return Missing(reason=answer, source=f"metric {metric}")
    found = newest_complete(answer.get(metric, ()), now)
    reason = f"no complete interval in the last {minutes(LOOK_BACK)}"
    return found or Missing(reason=reason, source=f"metric {metric}")


def _is_silent(answer: Points | str) -> bool:
    return not isinstance(answer, str) and not answer.get(REQUESTS)


def _is_served(point: Point) -> bool:
    code = point.dimensions.get(CODE, "")
    return code not in NOT_SERVED and not code.startswith("5")
