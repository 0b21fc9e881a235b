"""Small domain values for tests, and hypothesis strategies for all stored types."""

import builtins
import types
import typing
from collections import abc
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

from shared.domain import Action, Decision, Intent
from shared.records import LedgerEntry

NOW = datetime(2026, 1, 5, 12, 30, tzinfo=UTC)
ENDPOINT = (
    "/subscriptions/00000000-0000-0000-0000-000000000001/resourcegroups/vision/providers"
    "/microsoft.machinelearningservices/workspaces/ws/onlineendpoints/ocr"
)
BLUE = f"{ENDPOINT}/deployments/blue"
GREEN = f"{ENDPOINT}/deployments/green"


def decision(**changes: Any) -> Decision:
    fields: dict[str, Any] = {
        "id": "20260105T123000-1",
        "target": BLUE,
        "dimension": "capacity",
        "current": 2,
        "to": 4,
        "rule": "scaling.drain",
        "reason": "1200 messages wait and must be done in 300 s",
        "winner": "scaling",
        "policy_version": "7",
        "at": NOW,
    }
    return Decision(**fields | changes)


def action(**changes: Any) -> Action:
    fields: dict[str, Any] = {
        "key": "20260105T123000-1",
        "target": BLUE,
        "dimension": "capacity",
        "current": 2,
        "to": 4,
        "request_id": "11111111-1111-1111-1111-111111111111",
        "state": "claimed",
        "claimed_at": NOW,
    }
    return Action(**fields | changes)


def intent(**changes: Any) -> Intent:
    fields: dict[str, Any] = {
        "target": BLUE,
        "dimension": "capacity",
        "kind": "wish",
        "source": "scaling",
        "rule": "scaling.drain",
        "reason": "1200 messages wait",
        "at": NOW,
        "value": 4,
    }
    return Intent(**fields | changes)


def entry(number: int = 1, **changes: Any) -> LedgerEntry:
    at: datetime = changes.get("at", NOW + timedelta(seconds=number))
    fields: dict[str, Any] = {
        "id": f"{at:%Y%m%d}T{number:06}",
        "kind": "decision",
        "at": at,
        "endpoint_key": ENDPOINT,
        "target": BLUE,
        "loop": "scaling",
        "summary": f"entry {number}",
        "body": {"number": number},
    }
    return LedgerEntry(**fields | changes)


_SCALARS: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(max_size=20),
    int: st.integers(),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    type(None): st.none(),
    datetime: st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
}


def values_of(hint: Any) -> st.SearchStrategy[Any]:
    """Any value of a type annotation, with every field of a dataclass given, so that no new field goes untested."""
    if hint in _SCALARS:
        return _SCALARS[hint]
    if isinstance(hint, type) and is_dataclass(hint):
        schema = {field.name: Literal[field.default] for field in fields(hint) if field.name == "schema"}
        hints = get_type_hints(hint) | schema
        return st.builds(hint, **{field.name: values_of(hints[field.name]) for field in fields(hint)})
    arguments = get_args(hint)
    match get_origin(hint):
        case typing.Literal:
            return st.sampled_from(arguments)
        case typing.Union | types.UnionType:
            return st.one_of(*map(values_of, arguments))
        case builtins.tuple:
            return st.lists(values_of(arguments[0]), max_size=3).map(tuple)
        case abc.Mapping:
            return st.dictionaries(values_of(arguments[0]), values_of(arguments[1]), max_size=3)
    raise TypeError(f"teach values_of about {hint!r}")
