"""Arbitration explored: what must hold does in every reachable state, and every way to break it is noticed."""

from functools import cache
from itertools import pairwise

import pytest

from shared.decisions.arbitration import PRECEDENCE
from tests.decisions.explore import page
from tests.decisions.explore.invariants import INVARIANTS
from tests.decisions.explore.models import SMALL
from tests.decisions.explore.mutations import OTHERS, SWAPS, Mutation
from tests.decisions.explore.search import Explored, explore
from tests.decisions.explore.world import Model


@cache
def explored_once(model: Model) -> Explored:
    return explore(model)


@pytest.mark.xdist_group("explore")  # one process, for the sake of the cache
@pytest.mark.parametrize("model", SMALL, ids=lambda model: model.name)
def test_every_reachable_state_keeps_what_must_hold_and_the_page_says_how_many(model: Model) -> None:
    explored = explored_once(model)
    assert explored.broken is None, str(explored.broken)
    row = page.model_row(model, explored)
    assert row in page.PAGE.read_text(), f"docs/arbitration.md is old (python -m tests.decisions.explore): {row}"


@pytest.mark.parametrize("mutation", (*SWAPS, *OTHERS), ids=lambda mutation: mutation.name)
def test_arbitration_that_is_broken_is_noticed(mutation: Mutation, monkeypatch: pytest.MonkeyPatch) -> None:
    mutation.apply(monkeypatch)
    broken = explore(mutation.model).broken
    assert broken is not None, f"nothing noticed that {mutation.name}"
    assert broken.invariant == mutation.invariant, str(broken)
    assert INVARIANTS[mutation.invariant] in str(broken)


def test_every_adjacent_pair_of_precedences_is_swapped() -> None:
    pairs = [f"{lower} outranks {higher}" for lower, higher in pairwise(PRECEDENCE)]
    assert [each.name for each in SWAPS] == pairs


@pytest.mark.xdist_group("explore")
def test_the_models_reach_every_answer_of_the_last_look() -> None:
    """Else an invariant would hold because nothing ever comes to it."""
    reached = set().union(*(explored_once(model).answers for model in SMALL))
    assert reached >= {
        "send",
        "in_flight",
        "needs_capacity",
        "lease_over",
        "lease_lost",
        "held",
        "changed_meanwhile",
        "carries_traffic",
        "floor",
    }


def test_the_tables_of_the_page_are_those_of_the_code() -> None:
    text = page.PAGE.read_text()
    tables = (
        ("precedence", page.precedence_table()),
        ("invariants", page.invariant_table()),
        ("mutations", page.mutation_table()),
    )
    for name, table in tables:
        assert page.with_part(text, name, table) == text, f"run python -m tests.decisions.explore --tables ({name})"
