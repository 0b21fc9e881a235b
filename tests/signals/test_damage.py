"""Whatever is done to a payload, it is a signal or refused with a reason; letter case of names changes nothing."""

import json
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain import Signal
from shared.signals import Parsed, parse
from tests.signals.test_kinds import SAMPLES

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
PAYLOADS = st.sampled_from([payload for _, payload in SAMPLES])


def copied(payload: Any) -> Any:
    return json.loads(json.dumps(payload))


def places(payload: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = payload.items() if isinstance(payload, dict) else enumerate(payload) if isinstance(payload, list) else ()
    return [each for key, value in inner for each in [(*path, key), *places(value, (*path, key))]]


def at(payload: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        payload = payload[key]
    return payload


def recased(value: Any, draw: Callable[..., Any]) -> Any:
    if isinstance(value, dict):
        case = draw(st.sampled_from((str.upper, str.lower, str.swapcase)))
        return {case(key): recased(inner, draw) for key, inner in value.items()}
    return [recased(inner, draw) for inner in value] if isinstance(value, list) else value


@st.composite
def damaged(draw: st.DrawFn) -> Any:
    """A sample with a field gone, renamed, or holding anything else."""
    payload = copied(draw(PAYLOADS))
    for _ in range(draw(st.integers(1, 3))):
        *outer, key = draw(st.sampled_from(places(payload)))
        place = at(payload, tuple(outer))
        if draw(st.booleans()):
            place[key] = draw(JSON)
        elif isinstance(place, dict):
            del place[key]
        if not places(payload):
            break
    return payload


def checked(parsed: Parsed) -> None:
    for signal in parsed.signals:
        texts = (signal.id, signal.source, signal.kind, *signal.subjects, *signal.fields, *signal.fields.values())
        assert all(isinstance(text, str) for text in texts)
        assert signal.id
        assert signal.kind
        assert signal.at.tzinfo is not None
        json.dumps(texts).encode()
        "".join(texts).encode()  # no half of a surrogate pair
        assert all(len(value) <= 8_100 for value in signal.fields.values())
        json.loads(signal.fields.get("data", "0"))
    for refused in parsed.refused:
        assert refused.reason
        json.loads(refused.body)


@settings(max_examples=300, deadline=None)
@given(damaged())
def test_a_damaged_payload_is_a_signal_or_is_refused(payload: Any) -> None:
    parsed = parse(json.dumps([payload, payload]).encode())
    assert len(parsed.signals) + len(parsed.refused) == 2
    checked(parsed)


def test_every_sample_without_any_one_field_and_with_null_there() -> None:
    for _, payload in SAMPLES:
        for path in places(payload):
            if isinstance(path[-1], int) or len(path) > 6:
                continue
            without, null = copied(payload), copied(payload)
            del at(without, path[:-1])[path[-1]]
            at(null, path[:-1])[path[-1]] = None
            checked(parse(json.dumps([without, null]).encode()))


@settings(max_examples=100, deadline=None)
@given(JSON | st.lists(JSON, max_size=3))
def test_any_json_is_refused_or_read(payload: Any) -> None:
    checked(parse(json.dumps(payload).encode()))


def told(signal: Signal) -> Any:
    """All of it, but for the case of names in JSON that is kept as it was sent."""
    fields = {name: value.lower() if value.startswith(("{", "[")) else value for name, value in signal.fields.items()}
    in_order = {name: sorted(value) if value.startswith(("{", "[")) else value for name, value in fields.items()}
    return signal.id, signal.source, signal.kind, signal.at, signal.subjects, in_order


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_letter_case_of_names_changes_nothing(data: st.DataObject) -> None:
    payload = data.draw(PAYLOADS)
    other = recased(payload, data.draw)
    (before,), (after,) = (parse(json.dumps(each).encode()).signals for each in (payload, other))
    assert told(before) == told(after)
