"""The chain without a table: whole after any appends, and no change to it goes unseen."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.records import LedgerEntry, NotStorable
from shared.records.chain import GENESIS, HEAD_ROW, Head, next_rows, read_entry, read_head
from shared.records.rows import Column, Entity
from shared.records.verification import problems
from tests.records.builders import ENDPOINT, NOW, decision, entry, values_of

DAY = date(2026, 1, 5)
type Rows = dict[str, Entity]

jsons = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
entries = st.builds(
    lambda seconds, name, **fields: LedgerEntry(
        id=f"20260105T{name}",
        at=datetime(2026, 1, 5, tzinfo=UTC) + timedelta(seconds=seconds),
        endpoint_key=ENDPOINT,
        **fields,
    ),
    seconds=st.floats(0, 86_399),
    name=st.text(max_size=20),
    kind=st.sampled_from(["decision", "outcome", "notice", "control"]),
    target=st.text(max_size=9),
    loop=st.text(max_size=9),
    summary=st.text(max_size=30),
    body=st.dictionaries(st.text(max_size=5), jsons, max_size=3),
)
chains = st.lists(entries, min_size=1, max_size=6, unique_by=lambda each: each.id)


def rows_of(appended: Iterable[LedgerEntry]) -> Rows:
    rows: Rows = {}
    for each in appended:
        added = next_rows(read_head(rows.get(HEAD_ROW)), each)
        rows |= {entity.row: entity for entity in added}
    return rows


def found_in(rows: Rows) -> list[str]:
    return problems(DAY, ENDPOINT, rows.values())


@given(chains)
def test_any_sequence_of_appends_is_whole_and_read_back(appended: list[LedgerEntry]) -> None:
    rows = rows_of(appended)
    assert found_in(rows) == []
    read = [read_entry(entity) for row, entity in sorted(rows.items()) if row.startswith("e,")]
    names = ("id", "kind", "at", "endpoint_key", "target", "loop", "summary", "body")
    assert [[getattr(each, name) for name in names] for each in read] == [
        [getattr(each, name) for name in names] for each in appended
    ]
    assert [each.sequence for each in read] == list(range(1, len(appended) + 1))
    assert [each.previous_hash for each in read] == [GENESIS, *(each.row_hash for each in read[:-1])]


@given(chains, st.data())
def test_no_single_change_goes_unseen(appended: list[LedgerEntry], data: st.DataObject) -> None:
    rows = rows_of(appended)
    row = data.draw(st.sampled_from(sorted(rows)))
    columns = sorted(set(rows[row].columns) - {"schema"})
    change = data.draw(st.sampled_from(["remove the row", "rename the row", *columns]))
    entity = rows.pop(row)
    if change == "rename the row":
        renamed = data.draw(
            st.sampled_from(["e,00000009", "i,20260105Tnew", "e,1", "x"]).filter(lambda new: new != row)
        )
        rows[renamed] = replace(entity, row=renamed)
    elif change != "remove the row":
        before = entity.columns[change]
        other: Column = before + 1 if isinstance(before, int) else f"{before!s}x"
        rows[row] = replace(entity, columns={**entity.columns, change: other})
    assert found_in(rows) != []


def tampered(number: int, **changes: Any) -> Rows:
    """Five entries, of which one was replaced by another with hashes that are right for itself."""
    rows = rows_of(entry(n) for n in range(1, 6))
    row = f"e,{number:08}"
    before = read_entry(rows[row])
    head = Head(sequence=number - 1, row_hash=before.previous_hash)
    rows[row] = next_rows(head, entry(number, **changes))[0]
    return rows


def test_an_entry_replaced_with_a_right_hash_breaks_the_link_after_it() -> None:
    found = found_in(tampered(3, summary="nothing happened"))
    assert found == ["entry 4 (20260105T000004) does not continue entry 3: one was replaced"]


def test_the_last_entry_replaced_with_a_right_hash_differs_from_the_head() -> None:
    assert found_in(tampered(5, summary="nothing happened")) == [
        "the head does not have the hash of entry 5: one of them was changed"
    ]


def test_a_missing_entry_is_named_with_its_id() -> None:
    rows = rows_of(entry(n) for n in range(1, 6))
    del rows["e,00000002"]
    assert found_in(rows) == ["entry 2 is missing", "the index names 20260105T000002, which is gone"]


def test_missing_last_entries_are_noticed_by_the_head() -> None:
    rows = rows_of(entry(n) for n in range(1, 4))
    del rows["e,00000003"], rows["i,20260105T000003"]
    assert found_in(rows) == ["the head says that the last entry is 3, but it is 2"]


def test_an_entry_of_another_day_is_noticed() -> None:
    rows = rows_of(entry(n) for n in range(1, 3))
    assert problems(DAY + timedelta(days=1), ENDPOINT, rows.values())[0].startswith(
        "entry 1 (20260105T000001) was moved"
    )


@pytest.mark.parametrize("row", ["x", "e,1", "e,second", "i", "!FF", ""])
def test_a_row_that_is_not_the_ledgers_is_named(row: str) -> None:
    rows = rows_of([entry(1)])
    assert found_in(rows | {row: replace(rows[HEAD_ROW], row=row)}) == [f"row {row} does not belong to a ledger"]


def test_an_empty_day_is_whole() -> None:
    assert found_in({}) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"id": "20260106T1"}, "must start with the UTC day of its time: 20260105T"),
        ({"id": ""}, "must start"),
        ({"at": datetime(2026, 1, 5)}, "no time zone"),  # noqa: DTZ001 - the point of the test
        # 01:00 in Delft is still the day before in UTC
        ({"at": datetime(2026, 1, 6, 0, 30, tzinfo=timezone(timedelta(hours=1))), "id": "20260106T1"}, "20260105T"),
        ({"body": {"x": float("nan")}}, "not JSON"),
        ({"body": {"decision": decision()}}, "use codec.to_plain"),
    ],
)
def test_an_entry_that_could_not_be_found_or_read_again_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises((ValueError, NotStorable), match=words):
        entry(1, **changes)


def test_the_times_zone_makes_no_difference() -> None:
    east = NOW.astimezone(timezone(timedelta(hours=9)))
    assert next_rows(Head(), entry(1, at=east)) == next_rows(Head(), entry(1, at=NOW))


@given(values_of(float))
def test_the_hash_of_a_body_is_the_same_after_reading_it(number: float) -> None:
    first = next_rows(Head(), entry(1, body={"x": number}))[0]
    read = read_entry(first)
    assert next_rows(Head(), entry(1, body=read.body))[0] == first
