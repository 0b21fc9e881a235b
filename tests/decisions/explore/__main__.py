"""Explores the models and writes what that took into docs/arbitration.md; exits with 1 where an invariant breaks.

`--large` explores the larger models instead (some minutes, some gigabytes); `--break NAME` breaks arbitration in one of
the ways that the page lists and prints the shortest way to the harm; `--tables` writes only what needs no exploring.
"""

import argparse
import sys

import pytest

from tests.decisions.explore import page
from tests.decisions.explore.models import LARGE, SMALL
from tests.decisions.explore.mutations import OTHERS, SWAPS
from tests.decisions.explore.search import explore


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.decisions.explore", description=__doc__)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--tables", action="store_true")
    parser.add_argument("--break", dest="mutation", choices=[each.name for each in (*SWAPS, *OTHERS)], metavar="NAME")
    asked = parser.parse_args()
    if asked.mutation:
        return _break(asked.mutation)
    text = page.PAGE.read_text(encoding="utf-8")
    for name, table in (
        ("precedence", page.precedence_table()),
        ("invariants", page.invariant_table()),
        ("mutations", page.mutation_table()),
    ):
        text = page.with_part(text, name, table)
    if not asked.tables:
        rows = []
        for model in LARGE if asked.large else SMALL:
            explored = explore(model)
            print(f"{model.name}: {explored.states:,} states, {explored.transitions:,} transitions", flush=True)
            if explored.broken is not None:
                print(explored.broken)
                return 1
            rows.append(page.model_row(model, explored))
        text = page.with_part(text, "large" if asked.large else "small", page.model_table(rows))
    page.PAGE.write_text(text, encoding="utf-8")
    return 0


def _break(name: str) -> int:
    mutation = next(each for each in (*SWAPS, *OTHERS) if each.name == name)
    with pytest.MonkeyPatch.context() as patch:
        mutation.apply(patch)
        explored = explore(mutation.model)
    print(explored.broken or f"Nothing noticed that: {name}.")
    return 0 if explored.broken else 1


if __name__ == "__main__":
    sys.exit(main())
