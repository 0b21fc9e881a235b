"""The covering array covers, is the same every time, and stays small."""

from itertools import combinations
from math import prod

from hypothesis import given
from hypothesis import strategies as st

from shared.assumptions import REGISTER
from tests.e2e.pairwise import covering_array

PARAMETERS = st.dictionaries(
    st.text("abcdefgh", min_size=1, max_size=2),
    st.lists(st.text("0123", min_size=1, max_size=1), min_size=1, max_size=4, unique=True),
    min_size=1,
    max_size=6,
)


@given(PARAMETERS)
def test_every_pair_of_values_of_every_two_parameters_is_in_a_row(parameters: dict[str, list[str]]) -> None:
    rows = covering_array(parameters)
    for first, second in combinations(parameters, 2):
        met = {(row[first], row[second]) for row in rows}
        assert met == {(a, b) for a in parameters[first] for b in parameters[second]}
    assert all({row[name] for row in rows} == set(values) for name, values in parameters.items())
    assert all(list(row) == list(parameters) for row in rows)


@given(PARAMETERS)
def test_the_same_parameters_give_the_same_rows_and_none_twice(parameters: dict[str, list[str]]) -> None:
    rows = covering_array(parameters)
    assert rows == covering_array(parameters)
    assert len({tuple(row.values()) for row in rows}) == len(rows) <= prod(map(len, parameters.values()))


def test_the_assumptions_that_touch_an_action_need_a_handful_of_rows() -> None:
    acting = {assumption.name: assumption.values for assumption in REGISTER if assumption.acts}
    assert len(covering_array(acting)) <= 10
