"""A recorded trace in ticks."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.simulation.arrivals import MONDAY, workload_of
from shared.simulation.traces import parse
from shared.simulation.workload import Workload


def workload(text: str, *, service: str | None = None, tick_s: float | None = None, seed: int = 0) -> Workload:
    (trace,) = parse(text.encode(), "f.csv", service=service)
    return workload_of(trace, "w", tick_s=tick_s, seed=seed)


def busy(load: Workload) -> float:
    return float(load.work_s.sum() / (load.ticks * load.tick_s))


def test_requests_fall_into_their_ticks_with_their_service_times() -> None:
    load = workload("t_s,exec_time_seconds\n100,3\n114.9,4\n115,5\n160,6\n")
    assert load.tick_s == 15
    assert list(load.items) == [2, 1, 0, 0, 1]
    assert list(load.work_s) == [7, 5, 0, 0, 6]
    assert load.service_s == 4.5
    assert load.starts_at == MONDAY


def test_weekday_and_hour_stay() -> None:
    load = workload("timestamp,value\n2014-04-10 17:04:00,1\n2014-04-12 17:04:00,2\n")
    assert load.starts_at == datetime(2014, 4, 10, 17, 4, tzinfo=UTC)
    assert load.tick_s == 60


@given(st.lists(st.floats(0, 86_000), min_size=2, max_size=50, unique=True))
def test_where_nothing_is_said_of_service_the_mean_load_keeps_four_busy(times: list[float]) -> None:
    if max(times) - min(times) < 1:
        return
    load = workload("t_s\n" + "\n".join(map(repr, times)))
    assert busy(load) == pytest.approx(4)
    assert load.items.sum() == len(times)


def test_longer_prompts_and_outputs_take_longer() -> None:
    load = workload("t_s,input_tokens,output_tokens\n0,1000,0\n15,1000,100\n30,9000,100\n")
    assert load.work_s[0] < load.work_s[1] < load.work_s[2]
    assert busy(load) == pytest.approx(4)


def test_a_service_time_that_was_given_counts() -> None:
    load = workload("t_s,value\n0,6\n60,12\n", service="10")
    assert load.work_s.sum() == pytest.approx(180)
    assert load.service_s == pytest.approx(10)


@given(st.lists(st.integers(0, 500), min_size=2, max_size=30).filter(any), st.integers(0, 3))
def test_counts_of_five_minutes_are_spread_and_none_is_lost(counts: list[int], seed: int) -> None:
    text = "t_s,value\n" + "".join(f"{n * 300},{count}\n" for n, count in enumerate(counts))
    load = workload(text, tick_s=60, seed=seed)
    assert list(load.items.reshape(-1, 5).sum(axis=1)) == counts
    assert np.array_equal(load.items, workload(text, tick_s=60, seed=seed).items)


def test_the_spread_is_that_of_poisson_arrivals() -> None:
    text = "t_s,value\n" + "".join(f"{n * 300},100\n" for n in range(2000))
    items = workload(text, tick_s=60).items
    assert items.mean() == pytest.approx(20)
    assert items.var() == pytest.approx(16, rel=0.1)  # 100 tosses among five ticks
    assert not np.array_equal(items, workload(text, tick_s=60, seed=1).items)


def test_counts_of_a_tick_are_exact() -> None:
    text = "t_s,value\n" + "".join(f"{n * 30},{n}\n" for n in range(8))
    assert list(workload(text, tick_s=60).items) == [1, 5, 9, 13]
    assert list(workload(text, tick_s=30).items) == list(range(8))


def test_gaps_are_filled_at_the_rates_beside_them() -> None:
    rows = [(0, 10), (60, 10), (120, 10), (180, 20), (300, 40), (360, 40)]
    text = "t_s,value\n" + "".join(f"{at},{value}\n" for at, value in rows)
    assert list(workload(text, tick_s=60).items) == pytest.approx([10, 10, 10, 20, 30, 40, 40])
    assert workload(text, tick_s=30).items.sum() == pytest.approx(160)


@given(st.lists(st.tuples(st.integers(45, 80), st.floats(0.1, 99)), min_size=4, max_size=30))
def test_rows_at_odd_times_keep_their_total(rows: list[tuple[int, float]]) -> None:
    at, text = 0, "t_s,value\n"
    for step, value in rows:
        text += f"{at},{value}\n"
        at += step
    (trace,) = parse(text.encode(), "f.csv")
    load = workload_of(trace, "w", tick_s=trace.step_s)
    if not trace.notes:
        assert load.items.sum() == pytest.approx(sum(value for _, value in rows))
    assert (load.items >= -1e-9).all()
