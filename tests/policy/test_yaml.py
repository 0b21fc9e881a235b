"""YAML's own faults and traps: each is named with its place, and none reaches the policy."""

import pytest

from shared.policy import PolicyInvalid, Problem, load_policy
from shared.policy.document import parse
from tests.policy.documents import problems_of


def only_problem(text: str) -> Problem:
    with pytest.raises(PolicyInvalid) as refused:
        load_policy(text, "policy.yaml")
    assert len(refused.value.problems) == 1
    return refused.value.problems[0]


@pytest.mark.parametrize(
    ("text", "line", "column", "remedy"),
    [
        ("version: 1\ndefaults:\n\tmax: 3\n", 3, 1, "Indent with spaces"),
        ("version: 1\n  defaults:\n", 2, 11, "Check the indentation"),
        ("version: 1\ndefaults: {max: 3\n", 3, 1, "Check the indentation, brackets and quotes"),
        ("version: 1\nx: 'never closed\n", 3, 1, "Close the quote"),
        ("version: 1\nowner: @chat\n", 2, 8, "Put the value in quotes."),
        ("version: 1\nx: a\x00b\n", 2, 5, "Check the indentation, brackets and quotes"),
    ],
)
def test_a_syntax_error_has_line_column_and_remedy(text: str, line: int, column: int, remedy: str) -> None:
    problem = only_problem(text)

    assert (problem.line, problem.column) == (line, column)
    assert problem.reason.startswith("is not YAML: ")
    assert remedy in problem.remedy


def test_a_syntax_error_quotes_the_line() -> None:
    assert "near: owner: @chat" in only_problem("version: 1\nowner: @chat\n").reason


def test_bytes_that_are_not_utf8_are_placed() -> None:
    problem = only_problem(b"version: 1\n# Gr\xfc\xdfe\n".decode(errors="surrogateescape"))

    assert (problem.line, problem.column) == (2, 5)
    assert (problem.reason, problem.remedy) == ("has a byte that is not UTF-8", "Save the file as UTF-8.")


def test_a_key_written_twice_is_refused_with_both_lines() -> None:
    problem = only_problem("version: 1\nlimits:\n  max_instances: 5\n  quota_reserve_pct: 10\n  max_instances: 6\n")

    assert (problem.path, problem.line) == ("limits.max_instances", 5)
    assert problem.reason == "is written twice, first on line 3"


def test_other_problems_are_told_beside_a_key_written_twice() -> None:
    assert set(problems_of("version: 1\nlimits: {max_instances: 99}\nlimits: {}\n")) == {
        "limits",
        "limits.max_instances",
    }


@pytest.mark.parametrize(
    ("text", "path", "reason"),
    [
        ("version: 1\nlimits: &l {}\ndefaults: *l\n", "defaults", "is the alias *l"),
        ("version: 1\nlimits: !!python/object:os.system {}\n", "limits", "has the YAML tag"),
        ("version: 1\nlimits: {max_instances: !!int '5'}\n", "limits.max_instances", "has the YAML tag"),
        ("version: 1\n---\nversion: 1\n", "document", "has a second document"),
        ("version: 1\n? [a, b]\n: c\n", "document", "has a key that is not plain text"),
        ("version: 1\nlimits: " + "[" * 30 + "]" * 30 + "\n", "limits" + "[0]" * 19, "is nested too deeply"),
    ],
)
def test_what_the_format_does_not_have(text: str, path: str, reason: str) -> None:
    assert problems_of(text)[path].startswith(reason)


def test_hostile_texts_end_quickly() -> None:
    bomb = "a: &a [x, x]\n" + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)}, *{chr(97 + i)}]\n" for i in range(20)
    )

    assert problems_of(bomb)
    for deep in ("x: " + "[" * 100_000, "? " + "[" * 100_000):
        # Told as such, and not as the missing brackets at the end: the rest has not been read.
        assert [words.split(".")[0] for words in problems_of(deep).values()][-1] == "is nested too deeply"
    assert problems_of("x: " + "9" * 10_000)
    assert problems_of("x: &x [*x]")


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("true", True),
        ("False", False),
        ("yes", "yes"),
        ("off", "off"),
        ("~", None),
        ("", None),
        ("null", None),
        ("12", 12),
        ("-3", -3),
        ("007", 7),
        ("0x1F", "0x1F"),
        ("12:30", "12:30"),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("1_000", "1_000"),
        (".inf", ".inf"),
        ("2026-01-02", "2026-01-02"),
        ("'12'", "12"),
        ('"true"', "true"),
        ("<<", "<<"),
    ],
)
def test_plain_values_are_those_of_yaml_1_2(written: str, value: object) -> None:
    parsed = parse(f"key: {written}\n").value

    assert parsed == {"key": value}
    assert isinstance(parsed, dict)
    assert type(parsed["key"]) is type(value)


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm() -> None:
    policy = load_policy("\ufeffversion: 1\r\nlimits:\r\n  max_instances: 7\r\n", "policy.yaml")

    assert policy.limits.max_instances == 7
