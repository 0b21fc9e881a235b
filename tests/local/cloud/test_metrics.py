"""The metric store: values gathered into grains, nothing lost, nothing invented, nothing early."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.clock import VirtualClock
from local.cloud.metric_filter import parse_filter
from local.cloud.metrics import MetricStore

START = datetime(2026, 1, 5, tzinfo=UTC)
ALL = parse_filter("")
values = st.lists(
    st.tuples(st.floats(0, 3599.99), st.floats(-1e6, 1e6), st.sampled_from(["a", "b", "c"])), min_size=1, max_size=80
)


def times(interval_s: int, number: int) -> list[datetime]:
    return [START + timedelta(seconds=n * interval_s) for n in range(number)]


def filled(measured: list[tuple[float, float, str]], *, delay_s: float = 0, now_s: float = 7200) -> MetricStore:
    clock = VirtualClock(START + timedelta(seconds=now_s))
    store = MetricStore(clock, lambda: delay_s)
    for at_s, value, name in measured:
        store.add("/Some/Id", "Metric", value, START + timedelta(seconds=at_s), {"EntityName": name})
    return store


@given(measured=values, interval_s=st.sampled_from([60, 300, 900, 3600]))
def test_each_interval_holds_exactly_its_values(measured: list[tuple[float, float, str]], interval_s: int) -> None:
    end = START + timedelta(hours=1)
    (series,) = filled(measured).query("/some/ID", "metric", times(interval_s, 3600 // interval_s), end, ALL)
    expected: dict[datetime, list[float]] = {}
    for at_s, value, _ in measured:
        expected.setdefault(START + timedelta(seconds=at_s // interval_s * interval_s), []).append(value)
    assert set(series.cells) == set(expected), "intervals without values have no cell"
    for at, own in expected.items():
        cell = series.cells[at]
        assert (cell.count, cell.minimum, cell.maximum) == (len(own), min(own), max(own))
        assert cell.total == pytest.approx(math.fsum(own), abs=1e-6)
        assert cell.average == pytest.approx(math.fsum(own) / len(own), abs=1e-6)


@given(measured=values)
def test_splitting_by_a_dimension_divides_the_values(measured: list[tuple[float, float, str]]) -> None:
    store, end = filled(measured), START + timedelta(hours=1)
    split = store.query("/some/id", "Metric", [START], end, parse_filter("EntityName eq '*'"))
    assert {series.dimensions["entityname"] for series in split} == {name for _, _, name in measured}
    merged = store.query(
        "/some/id", "Metric", [START], end, parse_filter("EntityName eq '*'"), frozenset({"entityname"})
    )
    whole = store.query("/some/id", "Metric", [START], end, ALL)
    assert sum(series.cells[START].count for series in split) == whole[0].cells[START].count == len(measured)
    assert merged[0].cells[START].count == len(measured)


@given(at_s=st.integers(0, 3599), delay_s=st.sampled_from([60, 180]), now_s=st.integers(0, 4000))
def test_a_minute_is_visible_only_after_its_end_and_the_delay(at_s: int, delay_s: int, now_s: int) -> None:
    store = filled([(at_s, 1, "a")], delay_s=delay_s, now_s=now_s)
    seen = store.query("/some/id", "Metric", times(60, 60), START + timedelta(hours=1), ALL)
    minute_end_s = at_s // 60 * 60 + 60
    assert bool(seen) == (now_s >= minute_end_s + delay_s)


def test_the_end_of_the_timespan_is_exclusive() -> None:
    store = filled([(0, 1, "a"), (60, 10, "a")])
    (series,) = store.query("/some/id", "Metric", times(60, 1), START + timedelta(seconds=60), ALL)
    assert [cell.total for cell in series.cells.values()] == [1]


@pytest.mark.parametrize("grain_s", [0, 7, 61, 120])
def test_a_grain_must_divide_the_minute(grain_s: float) -> None:
    with pytest.raises(ValueError, match="divide 60"):
        MetricStore(VirtualClock(), lambda: 0, grain_s)


def test_a_store_does_not_grow_without_end() -> None:
    store = filled([(minute * 60, 1, "a") for minute in range(3_100)], now_s=400_000)
    (series,) = store.query("/some/id", "Metric", times(60, 3_100), START + timedelta(days=30), ALL)
    assert len(series.cells) == 3_000
    assert min(series.cells) == START + timedelta(minutes=100), "the oldest went"


@pytest.mark.parametrize(
    ("text", "accepted", "refused"),
    [
        ("EntityName eq 'q'", {"entityname": "q"}, {"entityname": "r"}),
        ("entityname eq 'Q'", {"entityname": "q"}, {"entityname": "qq"}),
        ("EntityName eq 'q' or EntityName eq 'r'", {"entityname": "r"}, {"entityname": "s"}),
        ("A eq '*' and B eq 'x'", {"a": "any", "b": "x"}, {"a": "any", "b": "y"}),
        ("A eq '*'", {"a": "x"}, {"b": "x"}),
    ],
)
def test_filters(text: str, accepted: dict[str, str], refused: dict[str, str]) -> None:
    assert parse_filter(text).accepts(accepted)
    assert not parse_filter(text).accepts(refused)


@pytest.mark.parametrize("text", ["EntityName", "EntityName ne 'q'", "A eq 'x' or B eq 'y'", "A eq x"])
def test_filters_that_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not understood|two dimensions"):
        parse_filter(text)
