"""A text in the columns of a row, however long."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.records import CorruptRow, NotStorable, SchemaTooNew
from shared.records.rows import Column, Entity, value_columns, value_text


def row(columns: dict[str, Column]) -> Entity:
    return Entity(partition="p", row="r", columns=columns)


def noise(characters: int) -> str:
    """Text that hardly compresses."""
    return random.Random(1).randbytes(characters // 2).hex()


@given(st.text(), st.integers(1, 40_000))
def test_a_text_is_read_back_whatever_its_length(text: str, times: int) -> None:
    long = (text * times)[:100_000]
    assert value_text(row(value_columns(long))) == long


@pytest.mark.parametrize("characters", [0, 32_768, 32_769, 300_000, 1_500_000])
def test_no_column_exceeds_64_kib(characters: int) -> None:
    columns = value_columns(noise(characters))
    sizes = [
        len(value.encode("utf-16-le") if isinstance(value, str) else value)
        for value in columns.values()
        if not isinstance(value, int)
    ]
    assert max(sizes) <= 64 * 1024
    assert value_text(row(columns)) == noise(characters)


def test_a_text_that_fits_stays_readable() -> None:
    assert value_columns("x" * 32_768)["value"] == "x" * 32_768


def test_a_text_that_does_not_fit_a_row_is_refused_with_what_to_do() -> None:
    with pytest.raises(NotStorable, match="as a blob"):
        value_columns(noise(2_200_000))


def test_a_newer_layout_is_refused() -> None:
    with pytest.raises(SchemaTooNew, match="deploy the release"):
        value_text(row({"schema": 2, "value": "{}"}))


@pytest.mark.parametrize("columns", [{"value": "{}"}, {"schema": 1}, {"schema": 1, "packed00": b"torn"}])
def test_a_row_that_is_not_ours_is_named(columns: dict[str, Column]) -> None:
    with pytest.raises(CorruptRow, match="row r of p"):
        value_text(row(columns))


def test_a_missing_part_is_noticed() -> None:
    columns = value_columns(noise(300_000))
    del columns["packed01"]
    with pytest.raises(CorruptRow, match="cannot be unpacked"):
        value_text(row(columns))
