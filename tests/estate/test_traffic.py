"""Requests, latency and utilization of deployments without a queue, by the real client."""

from typing import Any

import pytest

from local.cloud.faults import Fault
from shared.domain import Fresh, Measurement, Missing, ScalingSnapshot
from shared.estate.reader import WatchSpec
from shared.policy import TargetLoad
from tests.estate.azure import BLUE, GREEN, IMAGES, Azure, running_azure, small_estate, spec


def called(by: str = "requests", **more: Any) -> WatchSpec:
    """Blue, watched by what it is called with."""
    load = TargetLoad.model_validate({"by": by})
    usual = {"target_key": BLUE.key, "deployment": BLUE, "queue": None, "load": load, "promise_s": 10.0}
    return WatchSpec(**{**usual, "stale_after_s": 300.0, "price_usd_per_hour": None, "quota_reserve_pct": 20.0, **more})


async def minutes_of(azure: Azure, number: int = 3, **codes: float) -> None:
    """Requests a minute by code, each second in the median and three of the slowest; CPUs half used."""
    for _ in range(number):
        for code, per_minute in codes.items():
            dimensions = {"envoy_response_code": code.removeprefix("c")}
            azure.cloud.metrics.add(BLUE.arm_id, "RequestsPerMinute", per_minute, azure.now(), dimensions)
        for metric, value in (("RequestLatency_P50", 1000), ("RequestLatency_P95", 3000)):
            azure.cloud.metrics.add(BLUE.arm_id, metric, value, azure.now())
        for instance, used_pct in (("a", 40), ("b", 60)):
            azure.cloud.metrics.add(
                BLUE.arm_id, "CpuUtilizationPercentage", used_pct, azure.now(), {"instanceId": instance}
            )
        await azure.minutes(1)


def fresh(measurement: Measurement | None) -> float:
    assert isinstance(measurement, Fresh), measurement
    return measurement.value


async def look(azure: Azure, by: str = "requests", **more: Any) -> ScalingSnapshot:
    return (await azure.reader.observe([called(by, **more)]))[BLUE.key]


async def test_requests_of_all_codes_arrive_and_those_that_an_instance_answered_are_completed(azure: Azure) -> None:
    await minutes_of(azure, c200=180, c422=30, c429=60, c503=30)
    seen = await look(azure)
    assert seen.counted_in == "requests"
    assert fresh(seen.arrivals_per_s) == 5
    assert fresh(seen.completions_per_s) == 3.5
    assert fresh(seen.depth) == 5
    assert fresh(seen.latency_p95_s) == 3
    assert fresh(seen.utilization_pct) == 50
    assert (fresh(seen.capacity), fresh(seen.ready)) == (2, 2)
    assert isinstance(seen.dead_letters, Missing)
    assert azure.count("GET", "/queues") == 0


async def test_one_look_and_a_sweep_see_the_same(azure: Azure) -> None:
    await minutes_of(azure, c200=180)
    swept, single = await look(azure), await azure.reader.observe_one(called())
    assert (swept.depth, swept.arrivals_per_s, swept.service_rate_per_s) == (
        single.depth,
        single.arrivals_per_s,
        single.service_rate_per_s,
    )


async def test_utilization_is_counted_in_busy_instances(azure: Azure) -> None:
    await minutes_of(azure, c200=180)
    seen = await look(azure, "cpu_utilization")
    assert seen.counted_in == "busy instances"
    assert fresh(seen.arrivals_per_s) == pytest.approx(50 / 80 * 2)
    assert fresh(seen.depth) == 0
    unknown = await look(azure, "gpu_utilization")
    assert isinstance(unknown.arrivals_per_s, Missing)
    assert "no complete interval" in unknown.arrivals_per_s.reason


async def test_metrics_that_fail_are_missing_with_the_reason_and_old_ones_stale(azure: Azure) -> None:
    await minutes_of(azure, c200=180)
    old = await look(azure, stale_after_s=30.0)
    assert old.depth.kind == old.arrivals_per_s.kind == "stale"
    azure.cloud.faults.add(Fault(path="getBatch", status=403, times=99))
    seen = await look(azure)
    for lost in (seen.depth, seen.arrivals_per_s, seen.completions_per_s):
        assert isinstance(lost, Missing)
        assert "403" in lost.reason


async def test_queues_and_calls_are_watched_in_one_look(azure: Azure) -> None:
    await minutes_of(azure, c200=180)
    seen = await azure.reader.observe([called(), spec(GREEN, IMAGES)])
    assert {key: each.counted_in for key, each in seen.items()} == {BLUE.key: "requests", GREEN.key: "messages"}


@pytest.mark.parametrize(
    ("settings", "by_cluster"),
    [({"scaleType": "Default"}, False), ({"scaleType": "TargetUtilization"}, True), ({}, True)],
)
async def test_a_cluster_scales_what_does_not_say_default(settings: dict[str, str], by_cluster: bool) -> None:
    estate = small_estate()
    blue = estate["subscriptions"][0]["workspaces"][0]["endpoints"][0]["deployments"][0]
    blue |= {"compute_type": "Kubernetes", "scale_settings": settings}
    async with running_azure(estate, assumptions={"kubernetes.metrics": "none"}) as azure:
        await azure.minutes(3)
        seen = await look(azure)
    assert seen.scaled_by_cluster == by_cluster
    assert fresh(seen.ready) == 2
    assert fresh(seen.quota_headroom) == 50
