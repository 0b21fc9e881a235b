"""The table of rules, its tests and its documentation agree."""

import ast
from collections.abc import Iterator
from pathlib import Path

from local.host.rules import RULES, deviations_table
from tests.local.host.process import REPOSITORY
from tests.local.host.rule import rule

FOLDER = Path(__file__).parent


def named_rules(source: str) -> Iterator[str]:
    """The ids in `@rule(...)` on tests."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test_"):
            for decorator in filter(_is_rule, node.decorator_list):
                yield from (str(ast.literal_eval(argument)) for argument in getattr(decorator, "args", ()))


def _is_rule(decorator: ast.expr) -> bool:
    return isinstance(decorator, ast.Call) and getattr(decorator.func, "id", "") == "rule"


def rules_with_tests() -> set[str]:
    return {name for path in FOLDER.glob("test_*.py") for name in named_rules(path.read_text(encoding="utf-8"))}


def test_every_claimed_rule_has_a_test() -> None:
    assert {one.id for one in RULES if one.claimed} - rules_with_tests() == set()


def test_no_test_names_an_unknown_rule_or_claims_a_deviation() -> None:
    assert rules_with_tests() - {one.id for one in RULES if one.claimed} == set()


def test_ids_are_unique() -> None:
    ids = [one.id for one in RULES]
    assert len(ids) == len(set(ids))


def test_an_unknown_rule_is_refused_at_collection() -> None:
    for ids in (("no.such_rule",), ()):
        try:
            rule(*ids)
        except ValueError as error:
            assert "no such rule" in str(error)
        else:
            raise AssertionError("it was accepted")


def test_the_scan_sees_decorators_of_tests_only() -> None:
    source = "@rule('a.b', 'c.d')\nasync def test_x(): pass\n@rule('e.f')\ndef helper(): pass\n"
    assert list(named_rules(source)) == ["a.b", "c.d"]


def test_the_readme_lists_the_deviations() -> None:
    readme = (REPOSITORY / "local" / "host" / "README.md").read_text(encoding="utf-8")
    assert deviations_table() in readme, "run: python -m local.host.rules, and put its output into local/host/README.md"
