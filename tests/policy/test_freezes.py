"""Freeze windows in the document: every mistake named with what to write instead."""

from typing import Any

import pytest

from shared.policy import load_policy
from tests.policy.documents import as_yaml, document, problems_in, problems_of, warnings_in

WEEKLY = {"days": ["fri"], "from": "18:00", "until": "08:00"}


def freeze(**fields: Any) -> dict[str, Any]:
    return {"name": "quiet", "reason": "r", "zone": "Europe/Berlin"} | fields


def test_times_need_no_quotes() -> None:
    text = """\
version: 1
freezes:
  - name: year-end
    reason: Nobody is here.
    zone: W. Europe Standard Time
    once: {from: 2026-12-24 18:00, until: 2027-01-02 08:00}
  - name: nights
    reason: Nobody is here.
    zone: Europe/Berlin
    weekly: {days: [mon, tue], from: 18:00, until: 08:00}
  - name: fairs
    reason: Customers look at it.
    zone: UTC
    dates: [2026-11-27]
"""
    policy = load_policy(text, "policy.yaml")
    assert [one.name for one in policy.freezes] == ["year-end", "nights", "fairs"]
    assert load_policy(as_yaml(policy.model_dump(mode="json")), "again") == policy


@pytest.mark.parametrize(
    ("fields", "path", "words"),
    [
        ({"weekly": WEEKLY, "zone": "Europe/Berln"}, "zone", "Did you mean `Europe/Berlin`?"),
        ({"weekly": WEEKLY, "zone": "berlin"}, "zone", "Did you mean `Europe/Berlin`?"),
        ({"weekly": WEEKLY, "zone": "W Europe Standard Time"}, "zone", "Did you mean `W. Europe Standard Time`?"),
        ({"weekly": WEEKLY, "zone": "../etc/passwd"}, "zone", "names no time zone"),
        ({"weekly": WEEKLY, "zone": "localtime"}, "zone", "names no time zone"),
        ({"weekly": WEEKLY | {"days": ["fry"]}}, "weekly.days[0]", "Did you mean `fri`?"),
        ({"weekly": WEEKLY | {"days": []}}, "weekly.days", "is empty. Write at least one item"),
        ({"weekly": WEEKLY | {"from": "25:00"}}, "weekly.from", "Write it like 18:00."),
        ({"weekly": WEEKLY | {"from": 18.0}}, "weekly.from", "must be text"),
        ({"once": {"from": "2026-01-02 00:00", "until": "2026-01-01 00:00"}}, "once", "Write an until after from."),
        ({"once": {"from": "0001-01-01 00:00", "until": "2026-01-01 00:00"}}, "once.from", "2026-12-24 18:00"),
        ({"dates": ["2026-02-30"]}, "dates[0]", "Write it like 2026-12-24."),
        ({"holidays": {"country": "Germany"}}, "holidays", "Write a code of two letters"),
        ({"holidays": {"country": "DE", "subdivision": "ZZ"}}, "holidays", "Write one of: BB, BE"),
        ({}, "", "says not when. Give exactly one of once, weekly, dates, holidays."),
        ({"weekly": WEEKLY, "dates": ["2026-01-01"]}, "", "says when by weekly and dates."),
        ({"dates": ["2026-01-01"], "allow": ["grow"]}, "allow[0]", "Did you mean `growth`?"),
        ({"dates": ["2026-01-01"], "scopes": ["proj:x"]}, "scopes[0]", "which is no scope"),
    ],
)
def test_mistakes(fields: dict[str, Any], path: str, words: str) -> None:
    problems = problems_in(freezes=[freeze(**fields)])
    assert list(problems) == [f"freezes[0].{path}".removesuffix(".")]
    assert words in next(iter(problems.values()))


def test_a_mistake_hides_no_other() -> None:
    text = as_yaml(document(freezes=[freeze(zone="x"), freeze(name="No", dates=["y"])]))
    assert set(problems_of(text)) == {"freezes[0].zone", "freezes[1].name", "freezes[1].dates[0]"}


def test_a_scope_without_targets_is_odd() -> None:
    warnings = warnings_in(freezes=[freeze(weekly=WEEKLY, scopes=["target:chat", "project:nobody"])])
    assert list(warnings) == ["freezes[0].scopes[1]"]
    assert "which names no project" in warnings["freezes[0].scopes[1]"]
