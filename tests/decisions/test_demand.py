"""What a deployment without a queue is called with, told in the words of a queue."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.decisions.scaling import decide
from shared.decisions.scaling.demand import SATURATED_DEMAND, Demand, Traffic, of_requests, of_utilization
from shared.domain import Fresh, Measurement, Missing, ScalingMemory, ScalingSnapshot, Stale
from shared.policy import KnownRate, LearnedRate, Scaling
from tests.decisions.builders import NOW, fresh, missing, policy, snapshot, stale

PROMISE_S = 10.0
OLDER = NOW - timedelta(minutes=1)


def traffic(rate: float, p50_s: float = 1.0, p95_s: float = 1.0, **more: Any) -> Traffic:
    usual: dict[str, Any] = {
        "requests_per_s": fresh(rate),
        "answered_per_s": fresh(rate),
        "latency_p50_s": fresh(p50_s),
        "latency_p95_s": fresh(p95_s),
        "cpu_pct": missing("none"),
        "gpu_pct": missing("none"),
    }
    return Traffic(**usual | more)


def value(measurement: Measurement | None) -> float:
    assert isinstance(measurement, Fresh), measurement
    return measurement.value


# ---- requests


def test_what_is_in_flight_is_rate_times_latency() -> None:
    seen = of_requests(traffic(3, p50_s=2, p95_s=3), fresh(4), PROMISE_S)
    assert (value(seen.depth), value(seen.arrivals_per_s), value(seen.completions_per_s)) == (6, 3, 3)


def test_near_the_promise_the_slowest_count_for_all() -> None:
    assert value(of_requests(traffic(3, p50_s=2, p95_s=5), fresh(4), PROMISE_S).depth) == 15


def test_slots_of_an_instance_that_work_side_by_side_are_no_backlog() -> None:
    """Of 30 in flight, four instances work on 16: 14 wait, and each instance counts for one."""
    assert value(of_requests(traffic(10, p50_s=3, slots=4), fresh(4), PROMISE_S).depth) == 14 + 4
    assert value(of_requests(traffic(1, p50_s=3, slots=4), fresh(4), PROMISE_S).depth) == 0


def test_without_requests_nothing_waits_whatever_latency_is_missing() -> None:
    nobody = traffic(0, latency_p50_s=missing(), latency_p95_s=missing())
    assert value(of_requests(nobody, fresh(2), PROMISE_S).depth) == 0


@pytest.mark.parametrize("lost", [missing(), stale(2)])
@pytest.mark.parametrize("name", ["requests_per_s", "latency_p50_s"])
def test_what_rests_on_missing_or_stale_numbers_is_missing_or_stale(name: str, lost: Measurement) -> None:
    gone: dict[str, Any] = {name: lost, "latency_p95_s": lost} if name == "latency_p50_s" else {name: lost}
    seen = of_requests(traffic(3, **gone), fresh(4), PROMISE_S)
    assert type(seen.depth) is type(lost)


def test_a_number_is_as_old_as_the_oldest_of_its_parts() -> None:
    seen = of_requests(traffic(3, latency_p50_s=fresh(2, OLDER)), fresh(4), PROMISE_S)
    assert isinstance(seen.depth, Fresh)
    assert seen.depth.at == OLDER


SILENT: dict[str, Any] = {"requests_per_s": missing(), "answered_per_s": missing(), "silent": True}


@pytest.mark.parametrize(
    ("more", "idle"),
    [
        (SILENT | {"cpu_pct": fresh(2)}, True),
        (SILENT | {"cpu_pct": fresh(30)}, False),
        (SILENT | {"cpu_pct": stale(2)}, False),
        (SILENT, False),
        (SILENT | {"cpu_pct": fresh(2), "silent": False}, False),
        (SILENT | {"cpu_pct": fresh(2), "gpu_pct": fresh(60)}, False),
        (SILENT | {"cpu_pct": fresh(2), "needs_gpu": True}, False),
        (SILENT | {"cpu_pct": fresh(2), "gpu_pct": fresh(1), "needs_gpu": True}, True),
    ],
)
def test_silence_is_idleness_only_where_the_instances_are_idle(more: dict[str, Any], idle: bool) -> None:
    seen = of_requests(traffic(0, **more), fresh(2), PROMISE_S)
    assert isinstance(seen.arrivals_per_s, Fresh if idle else Missing)
    assert isinstance(seen.depth, Fresh if idle else Missing)


@pytest.mark.parametrize(
    ("more", "rate"),
    [
        ({"p50_s": 2}, 0.5),
        ({"p50_s": 2, "slots": 3}, 1.5),
        ({"p50_s": 20}, 0.4),  # waiting makes latency long: at least what each has answered
        ({"p50_s": 2, "slots": 8, "cpu_pct": fresh(50)}, 0.8),  # eight at a time, if the CPU could
        ({"p50_s": 2, "cpu_pct": fresh(1)}, 0.5),
    ],
)
def test_what_an_instance_could_serve_is_told_by_latency_and_bounded_by_utilization(
    more: dict[str, Any], rate: float
) -> None:
    assert value(of_requests(traffic(1.6, **more), fresh(4), PROMISE_S).service_rate_per_s) == pytest.approx(rate)


# ---- utilization


def test_busy_instances_are_counted_by_what_counts_as_full() -> None:
    seen = of_utilization(fresh(60), fresh(4), 80, PROMISE_S)
    assert (value(seen.depth), value(seen.arrivals_per_s), value(seen.completions_per_s)) == (0, 3, 3)


def intent_of(seen: Demand, capacity: int, rules: Scaling, memory: ScalingMemory | None = None) -> Any:
    whole: ScalingSnapshot = replace(
        snapshot(capacity=capacity),
        depth=seen.depth,
        arrivals_per_s=seen.arrivals_per_s,
        completions_per_s=seen.completions_per_s,
        counted_in="busy instances",
    )
    (intent,), _ = decide(whole, memory or ScalingMemory(), rules, NOW)
    return intent


INSTANT = {"scale_in_hold_s": 0.0, "scale_in_cooldown_s": 0.0, "drain_within_s": PROMISE_S}
USED = policy(service_rate=KnownRate(per_instance_per_s=1.0), max=50, **INSTANT)


@given(st.floats(95, 100), st.integers(1, 20), st.floats(10, 95), st.floats(1, 180))
def test_saturated_instances_grow_by_the_stated_step_and_never_shrink(
    used: float, capacity: int, full_at: float, promise_s: float
) -> None:
    seen = of_utilization(fresh(used), fresh(capacity), full_at, promise_s)
    intent = intent_of(seen, capacity, USED.model_copy(update={"drain_within_s": promise_s}))
    assert intent.value >= min(50, SATURATED_DEMAND * capacity)


@given(st.floats(0, 100), st.integers(2, 20), st.sampled_from([missing(), stale(5)]), st.booleans())
def test_utilization_or_instances_that_are_unknown_never_shrink(
    used: float, capacity: int, lost: Measurement, of_used: bool
) -> None:
    seen = of_utilization(lost if of_used else fresh(used), fresh(capacity) if of_used else lost, 80, PROMISE_S)
    intent = intent_of(seen, capacity, USED)
    assert intent.value is None or intent.value >= capacity


@given(
    st.floats(0, 50),
    st.floats(0, 60),
    st.integers(1, 8),
    st.integers(2, 20),
    st.sampled_from(["requests_per_s", "answered_per_s", "latency_p50_s"]),
    st.sampled_from([missing(), stale(0)]),
)
def test_requests_that_are_unknown_never_shrink(
    rate: float, latency_s: float, slots: int, capacity: int, name: str, lost: Measurement
) -> None:
    if name == "latency_p50_s" and rate == 0:
        return  # without a request nobody needs a latency
    gone: dict[str, Any] = {name: lost, "latency_p95_s": lost} if name == "latency_p50_s" else {name: lost}
    seen = of_requests(traffic(rate, latency_s, latency_s, slots=slots, **gone), fresh(capacity), PROMISE_S)
    rules = policy(service_rate=LearnedRate(learn=True, prior_per_instance_per_s=100.0), **INSTANT)
    intent = intent_of(seen, capacity, rules)
    assert intent.value is None or intent.value >= capacity


def test_a_stale_part_makes_the_whole_stale() -> None:
    assert isinstance(of_utilization(stale(50), fresh(4), 80, PROMISE_S).arrivals_per_s, Stale)
