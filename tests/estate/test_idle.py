"""When a queue counts as idle although Azure Monitor shows nothing of it."""

from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain import Fresh, Measurement, Missing
from shared.estate.idle import LONGEST_GAP, EmptySpell, EmptySpells, bridged, depth_of
from shared.estate.metrics import LOOK_BACK, MostActive, QueueRates
from tests.estate.test_metrics import START

NOTHING = Missing(reason="no complete interval", source="metric")
SILENT = QueueRates(arrivals_per_s=NOTHING, completions_per_s=NOTHING, silent=True)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def spell(seconds: float) -> EmptySpell:
    return EmptySpell(since=START, until=at(seconds), reads=3)


def test_silence_and_emptiness_over_the_whole_look_back_are_zero() -> None:
    rates = bridged(SILENT, spell(LOOK_BACK.total_seconds()))
    assert isinstance(rates.arrivals_per_s, Fresh)
    assert rates.completions_per_s == rates.arrivals_per_s
    assert (rates.arrivals_per_s.value, rates.arrivals_per_s.at) == (0, START + LOOK_BACK)


@pytest.mark.parametrize("empty", [None, spell(0), spell(LOOK_BACK.total_seconds() - 1)])
def test_one_proof_alone_is_none(empty: EmptySpell | None) -> None:
    assert bridged(SILENT, empty) is SILENT
    failed = QueueRates(arrivals_per_s=NOTHING, completions_per_s=NOTHING)
    assert bridged(failed, spell(9999)) is failed


def test_whom_nobody_looked_at_was_not_seen_empty() -> None:
    spells = EmptySpells()
    spells.note("a", 0, at(0))
    spells.note("a", 0, at(0) + LONGEST_GAP)
    assert spells.of("a") == EmptySpell(since=START, until=START + LONGEST_GAP, reads=2)
    long_after = START + LONGEST_GAP * 2 + timedelta(seconds=1)
    spells.note("a", 0, long_after)
    assert spells.of("a") == EmptySpell(since=long_after, until=long_after, reads=1)
    assert spells.of("b") is None


@given(reads=st.lists(st.tuples(st.integers(1, 400), st.integers(0, 2)), min_size=1, max_size=40))
def test_a_spell_is_all_zeros_without_a_gap(reads: list[tuple[int, int]]) -> None:
    spells, history, now = EmptySpells(), [], START
    for wait_s, depth in reads:
        now += timedelta(seconds=wait_s)
        spells.note("a", depth, now)
        history.append((now, depth))
    found = spells.of("a")
    assert (found is None) == (history[-1][1] > 0)
    if found is not None:
        inside = [(when, depth) for when, depth in history if when >= found.since]
        assert found.until == now
        assert found.reads == len(inside)
        assert all(depth == 0 for _, depth in inside)
        assert all(b[0] - a[0] <= LONGEST_GAP for a, b in pairwise(inside))


def minute(most: float, start_s: float) -> MostActive:
    return MostActive(most=most, start=at(start_s), end=at(start_s + 60))


READ = Fresh(value=3.0, at=at(0), source="read")


@pytest.mark.parametrize(
    ("read", "seen", "depth"),
    [
        (READ, minute(0, 0), 0.0),
        (READ, minute(0, -1), 3.0),  # it may have ended before the read found three
        (READ, minute(2, 0), 3.0),
        (READ, None, 3.0),
        (NOTHING, minute(0, -300), 0.0),
        (NOTHING, minute(2, 0), None),
    ],
)
def test_only_a_whole_empty_minute_since_the_last_read_is_a_depth(
    read: Measurement, seen: MostActive | None, depth: float | None
) -> None:
    found = depth_of(read, read.at if isinstance(read, Fresh) else None, seen)
    assert (found.value if isinstance(found, Fresh) else None) == depth
    if found is not read:
        assert isinstance(found, Fresh)
        assert seen is not None
        assert (found.at, found.source) == (seen.end, "metric ActiveMessages")
