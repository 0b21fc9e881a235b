"""JSON of the stored types: exact, canonical, and readable by later releases."""

import json
import math
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.domain import (
    Action,
    ApprovalRequest,
    ChannelState,
    Decision,
    Delivery,
    Fresh,
    Intent,
    Missing,
    Notice,
    Outcome,
    ScalingMemory,
    ScalingSnapshot,
    Stale,
    TargetRecord,
)
from shared.records import CorruptRow, NotStorable, SchemaTooNew, codec, decode, encode, from_plain, to_plain
from tests.records.builders import NOW, decision, intent, values_of

STORED = (
    Decision,
    Action,
    ApprovalRequest,
    Outcome,
    Intent,
    TargetRecord,
    ScalingSnapshot,
    ScalingMemory,
    Notice,
    Delivery,
    ChannelState,
)
VERSIONS = {Decision: 2, Intent: 3, ScalingSnapshot: 2, TargetRecord: 4, ScalingMemory: 2}
"""1 where none is named."""


@given(st.data())
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@pytest.mark.parametrize("stored_type", STORED, ids=lambda stored: stored.__name__)
def test_every_value_is_read_back_equal_and_its_text_is_stable(stored_type: type[Any], data: st.DataObject) -> None:
    value = data.draw(values_of(stored_type))
    text = encode(value)
    assert decode(stored_type, text) == value
    assert encode(decode(stored_type, text)) == text
    assert from_plain(stored_type, json.loads(json.dumps(to_plain(value)))) == value
    assert json.loads(text)["schema"] == VERSIONS.get(stored_type, 1)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_are_exact_to_the_bit(number: float) -> None:
    read = decode(Intent, encode(intent(numbers={"x": number}))).numbers["x"]
    assert read.hex() == number.hex()


def test_the_text_is_canonical() -> None:
    east = timezone(timedelta(hours=2))
    as_utc = intent(numbers={"b": 1.0, "a": 2.5}, at=NOW)
    otherwise = intent(numbers={"a": 2.5, "b": 1}, at=NOW.astimezone(east))
    assert encode(as_utc) == encode(otherwise)
    assert '"at":"2026-01-05T12:30:00Z"' in encode(as_utc)
    assert list(json.loads(encode(as_utc))) == sorted(json.loads(encode(as_utc)))


def test_fresh_stale_and_missing_stay_what_they_were() -> None:
    fresh = Fresh(value=0.0, at=NOW, source="arm")
    stale = Stale(value=0.0, at=NOW, source="arm")
    missing = Missing(reason="429", source="arm")
    snapshot = ScalingSnapshot(
        target="t",
        taken_at=NOW,
        depth=fresh,
        arrivals_per_s=stale,
        completions_per_s=missing,
        capacity=fresh,
        ready=fresh,
        quota_headroom=missing,
        dead_letters=stale,
    )
    read = decode(ScalingSnapshot, encode(snapshot))
    assert (read.depth, read.arrivals_per_s, read.completions_per_s) == (fresh, stale, missing)


PLACE_OF_TREND = 3


@pytest.mark.parametrize("damaged", ['{"made":null}', '{"made":3}', '{"made":[4]}', '{"forecasters":{"a":1}}', "7"])
def test_a_memory_that_is_damaged_is_told_and_not_stumbled_over(damaged: str) -> None:
    memory = f'{{"schema":1,"arrivals":{damaged}}}'
    with pytest.raises(CorruptRow, match="arrivals"):
        decode(ScalingMemory, memory)
    with pytest.raises(CorruptRow, match="arrivals"):
        decode(TargetRecord, f'{{"schema":3,"scaling":{memory}}}')


def test_a_memory_of_before_the_trend_gets_a_place_for_it() -> None:
    text = (Path(__file__).parent / "written" / "ScalingMemory.1.json").read_text("utf-8")
    arrivals = decode(ScalingMemory, text).arrivals
    before = json.loads(text)["arrivals"]
    errors = [one.error_per_s for one in arrivals.forecasters]
    assert errors.pop(PLACE_OF_TREND) == 0
    assert errors == [one["error_per_s"] for one in before["forecasters"]]
    made = [list(said) for said in arrivals.made]
    assert [said.pop(PLACE_OF_TREND) for said in made] == [-1.0] * len(made)
    assert made == before["made"]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (intent(numbers={"x": math.nan}), "nan"),
        (intent(numbers={"x": math.inf}), "inf"),
        (intent(at=datetime(2026, 1, 5)), "no time zone"),  # noqa: DTZ001 - the point of the test
        (intent(value="4"), "value"),
        (intent(kind="demand"), "kind"),
        (decision(to=None), "to: "),
        (TargetRecord(schema=5), "schema"),
    ],
)
def test_what_could_not_be_read_back_is_not_written(value: Any, words: str) -> None:
    with pytest.raises(NotStorable, match=words):
        encode(value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"to": "four"}, "to: "),
        ({"surprise": 1}, "surprise: "),
        ({"at": "yesterday"}, "at: "),
        ({"schema": "1"}, "schema"),
        ({"schema": 0}, "schema"),
    ],
)
def test_a_changed_text_is_refused_with_the_place(change: dict[str, Any], words: str) -> None:
    text = json.dumps(to_plain(decision()) | change)
    with pytest.raises(CorruptRow, match=f"Decision.*{words}"):
        decode(Decision, text)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}"])
def test_what_is_no_text_of_ours_is_refused(text: str) -> None:
    with pytest.raises(CorruptRow, match="Decision"):
        decode(Decision, text)


def test_a_newer_text_is_refused_with_what_to_do() -> None:
    text = json.dumps(to_plain(decision()) | {"schema": 3, "mood": "good"})
    with pytest.raises(SchemaTooNew, match=r"Decision has schema 3.*deploy the release"):
        decode(Decision, text)


def test_a_type_that_is_not_stored_is_refused() -> None:
    with pytest.raises(TypeError, match="Fresh is not stored"):
        encode(Fresh(value=1.0, at=NOW, source="arm"))


@dataclass(frozen=True)
class Temperature:
    """A stored type in its third version: version 1 had `fahrenheit`, version 2 `celsius`, now it has a place."""

    celsius: float
    place: str


def _to_celsius(plain: codec.Plain) -> codec.Plain:
    fahrenheit = plain.pop("fahrenheit")
    assert isinstance(fahrenheit, int | float)
    return {**plain, "celsius": (fahrenheit - 32) / 1.8}


TEMPERATURE = codec.Codec(
    Temperature, version=3, upgrades={1: _to_celsius, 2: lambda plain: {**plain, "place": "unknown"}}
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"schema":1,"fahrenheit":212}', Temperature(100.0, "unknown")),
        ('{"schema":2,"celsius":20}', Temperature(20.0, "unknown")),
        ('{"schema":3,"celsius":20,"place":"Delft"}', Temperature(20.0, "Delft")),
    ],
)
def test_a_text_of_every_version_is_read(text: str, value: Temperature) -> None:
    assert TEMPERATURE.decode(text) == value
    assert TEMPERATURE.decode(TEMPERATURE.encode(value)) == value


def test_a_new_version_without_its_upgrade_cannot_be_declared() -> None:
    with pytest.raises(ValueError, match="upgrade from each version"):
        codec.Codec(Temperature, version=2)
