"""Covering arrays: few rows in which every two values of every two parameters meet at least once."""

from collections.abc import Mapping, Sequence
from itertools import combinations

type Choice = tuple[str, str]
type Pair = frozenset[Choice]


def covering_array(parameters: Mapping[str, Sequence[str]]) -> list[dict[str, str]]:
    """Rows name -> value that cover all pairs of values; the same parameters give the same rows.

    Greedy: a row starts with the first pair that is still uncovered, and grows by the choice that covers the most of
    the rest. With fewer than two parameters, a row for each value.
    """
    if len(parameters) < 2:
        return [{name: value} for name, values in parameters.items() for value in values]
    uncovered = dict.fromkeys(_pairs(parameters))  # a dict, because it keeps its order
    rows = []
    while uncovered:
        row = dict(next(iter(uncovered)))
        while len(row) < len(parameters):
            open_choices = [(name, value) for name in parameters if name not in row for value in parameters[name]]
            name, value = max(open_choices, key=lambda choice: _gain(row, choice, uncovered))
            row[name] = value
        rows.append({name: row[name] for name in parameters})
        for pair in pairs_of(row):
            uncovered.pop(pair, None)
    return rows


def pairs_of(row: Mapping[str, str]) -> set[Pair]:
    """The pairs that a row covers."""
    return {frozenset(pair) for pair in combinations(row.items(), 2)}


def _pairs(parameters: Mapping[str, Sequence[str]]) -> list[Pair]:
    return [
        frozenset(((first, a), (second, b)))
        for first, second in combinations(parameters, 2)
        for a in parameters[first]
        for b in parameters[second]
    ]


def _gain(row: Mapping[str, str], choice: Choice, uncovered: Mapping[Pair, None]) -> tuple[int, int]:
    """How many uncovered pairs the row would cover with this choice on top, and how many the choice is in at all."""
    now = sum(frozenset((chosen, choice)) in uncovered for chosen in row.items())
    return now, sum(choice in pair for pair in uncovered)
