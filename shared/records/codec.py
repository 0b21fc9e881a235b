"""Frozen dataclasses as JSON text, readable by every later release.

The text is canonical (sorted keys, UTC datetimes ending in Z, floats exact), so that equal values give equal texts and
a hash over the text means something. It carries its version as `schema` beside the fields. Readers upgrade old texts
step by step, and refuse newer ones instead of dropping fields that they do not know.

Whoever changes a stored type raises its version here and adds the upgrade from the version before; texts of every
version are kept in the tests.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue, TypeAdapter, ValidationError

from shared.domain import (
    Action,
    ApprovalRequest,
    ChannelState,
    Decision,
    Delivery,
    Intent,
    Notice,
    Outcome,
    ScalingMemory,
    ScalingSnapshot,
    TargetRecord,
)
from shared.records.errors import CorruptRow, NotStorable, SchemaTooNew

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

type Plain = dict[str, JsonValue]
"""A value as JSON knows it, with its `schema`."""

type Upgrade = Callable[[Plain], Plain]
"""From one version to the next."""


class Codec[T: DataclassInstance]:
    """Reads and writes one stored dataclass.

    `upgrades[n]` makes version n + 1 of version n, for every n below `version`.
    """

    def __init__(self, stored_type: type[T], version: int = 1, upgrades: Mapping[int, Upgrade] | None = None) -> None:
        self._type = stored_type
        self._version = version
        self._upgrades = dict(upgrades or {})
        self._has_schema_field = "schema" in {field.name for field in fields(stored_type)}
        if sorted(self._upgrades) != list(range(1, version)):
            raise ValueError(f"{stored_type.__name__} version {version} needs an upgrade from each version below it")

    @property
    def name(self) -> str:
        """The stored type's."""
        return self._type.__name__

    @property
    def version(self) -> int:
        """Of what this release writes."""
        return self._version

    def encode(self, value: T) -> str:
        """The canonical text of `value`.

        Raises:
            NotStorable: it holds something that could not be read back (nan, a naive datetime, a wrong type).
        """
        return canonical_json(self.to_plain(value))

    def decode(self, text: str) -> T:
        """The value of a text of this or any older version.

        Raises:
            SchemaTooNew: a newer release wrote it.
            CorruptRow: it is not a text of this type.
        """
        try:
            plain = json.loads(text)
        except ValueError as error:
            raise CorruptRow(f"a stored {self._type.__name__} is not JSON: {error}") from error
        return self.from_plain(plain)

    def to_plain(self, value: T) -> Plain:
        """Like `encode`, as JSON values: the form in which values go into the body of a ledger entry."""
        try:
            # Through the reader and back: what cannot be read is never written, and 3 and 3.0 become the same text.
            read_back = self.from_plain(self._dump(value))
        except (CorruptRow, TypeError, ValueError) as error:
            raise NotStorable(f"cannot store this {self._type.__name__}: {error}") from error
        return self._dump(read_back)

    def from_plain(self, plain: JsonValue) -> T:
        """Like `decode`, from JSON values."""
        name = self._type.__name__
        try:
            current = self._upgraded(plain)
            return self._adapter.validate_json(json.dumps(current, allow_nan=False), strict=True, extra="forbid")
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            path = ".".join(str(step) for step in first["loc"]) or "the value"
            raise CorruptRow(f"a stored {name} cannot be read: {path}: {first['msg']}") from error
        except ValueError as error:
            raise CorruptRow(f"a stored {name} cannot be read: {error}") from error

    @cached_property
    def _adapter(self) -> TypeAdapter[T]:
        return TypeAdapter(self._type)

    def _dump(self, value: T) -> Plain:
        # No warnings: the reader judges types, with an error.
        python = self._adapter.dump_python(value, warnings=False)
        plain: Plain = json.loads(json.dumps(python, default=_utc_text, allow_nan=False))
        if plain.setdefault("schema", self._version) != self._version:
            raise ValueError(f"its schema is {plain['schema']!r}, this release writes {self._version}")
        return plain

    def _upgraded(self, stored: JsonValue) -> Plain:
        if not isinstance(stored, dict) or type(version := stored.get("schema")) is not int or version < 1:
            raise ValueError("it is not an object with a `schema` of 1 or more")
        if version > self._version:
            raise SchemaTooNew(
                f"a stored {self._type.__name__} has schema {version}, this release knows {self._version}: "
                "deploy the release that wrote it, or a newer one"
            )
        plain = dict(stored)
        for step in range(version, self._version):
            plain = self._upgrades[step](plain)
        plain.pop("schema")
        return {**plain, "schema": self._version} if self._has_schema_field else plain


def canonical_json(plain: JsonValue) -> str:
    """The one text of these JSON values: sorted keys, no spaces, floats exact, no nan or infinity (ValueError)."""
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _utc_text(value: object) -> str:
    if not isinstance(value, datetime):
        raise TypeError(f"{value!r} has no JSON form")
    if value.tzinfo is None:
        raise ValueError(f"{value.isoformat()} has no time zone")
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _with_defaults(plain: Plain) -> Plain:
    """The version before lacks only fields that have a default."""
    return plain


# Where the trend stood among the forecasters in the version that brought it, whatever their order is today.
_TREND = 3


def _with_trend(memory: Plain) -> Plain:
    """A scaling memory that knows of a trend, of which nothing was said or judged yet."""
    arrivals: Any = memory.get("arrivals")
    if not isinstance(arrivals, dict):
        return memory
    made, forecasters = arrivals.get("made"), arrivals.get("forecasters")
    if isinstance(made, list):
        said = [[*one[:_TREND], -1.0, *one[_TREND:]] if isinstance(one, list) else one for one in made]
        arrivals = arrivals | {"made": said}
    if isinstance(forecasters, list) and forecasters:
        arrivals = arrivals | {"forecasters": [*forecasters[:_TREND], {}, *forecasters[_TREND:]]}
    return memory | {"arrivals": arrivals}


def _target_with_trend(plain: Plain) -> Plain:
    memory = plain.get("scaling")
    return plain | {"scaling": _with_trend(memory) | {"schema": 2}} if isinstance(memory, dict) else plain


DECISION = Codec(Decision, 2, {1: _with_defaults})  # 2: traffic, leases
ACTION = Codec(Action)
OUTCOME = Codec(Outcome)
INTENT = Codec(Intent, 3, {1: _with_defaults, 2: _with_defaults})  # 2: traffic, leases; 3: what it undoes
# 2: what the decisions would have come to; 3: how often people were told; 4: the trend is forecast
TARGET_RECORD = Codec(TargetRecord, 4, {1: _with_defaults, 2: _with_defaults, 3: _target_with_trend})
SCALING_SNAPSHOT = Codec(ScalingSnapshot, 2, {1: _with_defaults})  # 2: the freeze ahead, no queue
SCALING_MEMORY = Codec(ScalingMemory, 2, {1: _with_trend})  # 2: the trend is forecast
NOTICE = Codec(Notice)
DELIVERY = Codec(Delivery)
CHANNEL_STATE = Codec(ChannelState)
APPROVAL_REQUEST = Codec(ApprovalRequest)

_CODECS: dict[type, Codec[Any]] = {
    Decision: DECISION,
    Action: ACTION,
    Outcome: OUTCOME,
    Intent: INTENT,
    TargetRecord: TARGET_RECORD,
    ScalingSnapshot: SCALING_SNAPSHOT,
    ScalingMemory: SCALING_MEMORY,
    Notice: NOTICE,
    Delivery: DELIVERY,
    ChannelState: CHANNEL_STATE,
    ApprovalRequest: APPROVAL_REQUEST,
}


def encode(value: "DataclassInstance") -> str:
    """`Codec.encode` for a stored type of the domain; TypeError for any other."""
    return _codec(type(value)).encode(value)


def decode[T: DataclassInstance](stored_type: type[T], text: str) -> T:
    """`Codec.decode` for a stored type of the domain; TypeError for any other."""
    return _codec(stored_type).decode(text)


def to_plain(value: "DataclassInstance") -> Plain:
    """`Codec.to_plain` for a stored type of the domain; TypeError for any other."""
    return _codec(type(value)).to_plain(value)


def from_plain[T: DataclassInstance](stored_type: type[T], plain: JsonValue) -> T:
    """`Codec.from_plain` for a stored type of the domain; TypeError for any other."""
    return _codec(stored_type).from_plain(plain)


def _codec[T: DataclassInstance](stored_type: type[T]) -> Codec[T]:
    if stored_type not in _CODECS:
        raise TypeError(f"{stored_type.__name__} is not stored: give it a Codec in {__name__}")
    return _CODECS[stored_type]
