"""Hypothesis strategies: any snapshot, memory and policy that the rest of the app could hand to the decision."""

from datetime import datetime, timedelta

from hypothesis import strategies as st

from shared.decisions.scaling.forecast.learning import learned
from shared.domain import (
    ArrivalMemory,
    Fresh,
    Measurement,
    Missing,
    PendingOrder,
    ScalingMemory,
    ScalingSnapshot,
    Stale,
)
from shared.policy import KnownRate, LearnedRate, Scaling
from tests.decisions.builders import NOW, TARGET

ages = st.floats(0, 600)
counts = (st.just(0) | st.integers(0, 500) | st.integers(0, 100_000)).map(float)
rates = st.just(0.0) | st.floats(0, 20) | st.floats(0, 1000)
moments: st.SearchStrategy[datetime] = ages.map(lambda age_s: NOW - timedelta(seconds=age_s))


def measured(values: st.SearchStrategy[float], *, fresh_in_20: int = 17) -> st.SearchStrategy[Measurement]:
    """Mostly Fresh; else Fresh once (too old for some policies), Stale or Missing."""
    now: st.SearchStrategy[Measurement] = st.builds(Fresh, value=values, at=st.just(NOW), source=st.just("test"))
    otherwise: st.SearchStrategy[Measurement] = st.one_of(
        st.builds(Fresh, value=values, at=moments, source=st.just("test")),
        st.builds(Stale, value=values, at=moments, source=st.just("test")),
        st.builds(Missing, reason=st.just("no answer"), source=st.just("test")),
    )
    return st.integers(1, 20).flatmap(lambda die: now if die <= fresh_in_20 else otherwise)


snapshots: st.SearchStrategy[ScalingSnapshot] = st.builds(
    ScalingSnapshot,
    target=st.just(TARGET),
    taken_at=st.just(NOW),
    depth=measured(counts, fresh_in_20=19),
    arrivals_per_s=measured(rates),
    completions_per_s=measured(rates),
    capacity=measured(st.integers(0, 50).map(float), fresh_in_20=19),
    ready=measured(st.integers(0, 50).map(float)),
    quota_headroom=measured(st.integers(-5, 50).map(float)),
    dead_letters=measured(counts),
    ordered=st.none() | st.none() | st.integers(1, 50),
    provisioning_state=st.sampled_from(("", "Succeeded", "Succeeded", "Failed", "Updating")),
    autoscale_setting=st.sampled_from(("",) * 9 + ("cpu-rule",)),
    autoscale_unknown=st.sampled_from(("",) * 9 + ("no answer",)),
    scaled_by_cluster=st.sampled_from((False,) * 9 + (True,)),
)


@st.composite
def arrival_memories(draw: st.DrawFn) -> ArrivalMemory:
    """What was learned from some hours of any arrivals, with gaps."""
    memory = ArrivalMemory()
    at = NOW - timedelta(days=draw(st.sampled_from((0, 1, 8))))
    for _ in range(draw(st.integers(0, 12))):
        at += timedelta(seconds=draw(st.sampled_from((60, 600, 1800, 86_000))))
        sample = Fresh(value=draw(rates), at=at, source="any")
        memory = learned(memory, sample, draw(st.sampled_from((30.0, 900.0))), 0.07, seasons=draw(st.booleans()))
    return memory


memories: st.SearchStrategy[ScalingMemory] = st.just(ScalingMemory()) | st.builds(
    ScalingMemory,
    schema=st.just(2),
    service_rate_per_s=st.none() | st.floats(0.1, 10) | st.floats(1e-4, 1000),
    depth=st.none() | counts,
    depth_at=st.none() | moments,
    depth_slope_per_s=st.floats(-5, 5) | st.floats(-1000, 1000),
    busy_since=st.none() | moments,
    completions_at=st.none() | moments,
    completions_per_s=st.none() | rates,
    completing_at=st.none() | moments,
    ready_at_sample=st.none() | st.integers(0, 50),
    ready=st.none() | st.integers(0, 50),
    changed_at=st.none() | moments,
    grown_at=st.none() | moments,
    grown_from=st.none() | st.integers(1, 50),
    grown_to=st.none() | st.integers(1, 50),
    ready_since=st.none() | moments,
    completions_before_growth_per_s=st.none() | rates,
    less_needed_since=st.none() | moments,
    less_needed_peak=st.integers(0, 50),
    arrivals=arrival_memories(),
    cold_start_s=st.none() | st.floats(0, 3600),
    cold_start_off_s=st.floats(0, 600),
    pending=st.lists(st.builds(PendingOrder, at=moments, instances=st.integers(1, 50)), max_size=3).map(tuple),
)


@st.composite
def policies(draw: st.DrawFn) -> Scaling:
    fewest = draw(st.integers(1, 5) | st.integers(1, 50))
    seconds = st.just(0.0) | st.floats(0, 900)
    instance_rates = st.floats(0.1, 10) | st.floats(1e-4, 1e3)
    return Scaling(
        min=fewest,
        max=draw(st.just(50) | st.integers(fewest, 50)),
        drain_within_s=draw(st.floats(0.1, 3600)),
        service_rate=draw(
            st.builds(KnownRate, per_instance_per_s=instance_rates)
            | st.builds(LearnedRate, learn=st.just(True), prior_per_instance_per_s=instance_rates)
        ),
        cold_start_s=draw(seconds),
        scale_out_cooldown_s=draw(seconds),
        scale_in_cooldown_s=draw(seconds),
        scale_in_hold_s=draw(seconds),
        stale_after_s=draw(st.just(300.0) | st.floats(0.1, 600)),
        not_capacity_bound_after_s=draw(st.floats(0.1, 600)),
        max_step_out=draw(st.none() | st.integers(1, 50)),
        max_step_in=draw(st.none() | st.integers(1, 50)),
        headroom_pct=draw(st.floats(0, 90)),
        forecast=draw(st.sampled_from(("off", "shadow", "on"))),
        forecast_quantile_pct=draw(st.just(93.0) | st.floats(50, 99)),
    )
