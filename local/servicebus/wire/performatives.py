"""The frame bodies of AMQP 1.0 (OASIS amqp-core-transport-v1.0 §2.7, security §5.3.3), with the types of their fields.

Fields are in the order of the specification. Decoding checks every field's type, so that the engine may rely on it.
Encoding writes every field, trailing nulls included: azure-servicebus before 7.15 reads them by position.
"""

import dataclasses
import types
import typing
from dataclasses import dataclass
from typing import Any

from local.servicebus import codec
from local.servicebus.amqp_types import Array, Described, Symbol, UByte, UInt, ULong, UShort


@dataclass(slots=True)
class Open:
    container_id: str
    hostname: str | None = None
    max_frame_size: UInt | None = None
    channel_max: UShort | None = None
    idle_timeout_ms: UInt | None = None
    outgoing_locales: Any = None
    incoming_locales: Any = None
    offered_capabilities: Any = None
    desired_capabilities: Any = None
    properties: dict[Any, Any] | None = None


@dataclass(slots=True)
class Begin:
    remote_channel: UShort | None
    next_outgoing_id: UInt
    incoming_window: UInt
    outgoing_window: UInt
    handle_max: UInt | None = None
    offered_capabilities: Any = None
    desired_capabilities: Any = None
    properties: dict[Any, Any] | None = None


@dataclass(slots=True)
class Attach:
    """`role` is True for the receiving end."""

    name: str
    handle: UInt
    role: bool
    snd_settle_mode: UByte | None = None
    rcv_settle_mode: UByte | None = None
    source: Described | None = None
    target: Described | None = None
    unsettled: Any = None
    incomplete_unsettled: bool | None = None
    initial_delivery_count: UInt | None = None
    max_message_size: ULong | None = None
    offered_capabilities: Any = None
    desired_capabilities: Any = None
    properties: dict[Any, Any] | None = None


@dataclass(slots=True)
class Flow:
    next_incoming_id: UInt | None
    incoming_window: UInt
    next_outgoing_id: UInt
    outgoing_window: UInt
    handle: UInt | None = None
    delivery_count: UInt | None = None
    link_credit: UInt | None = None
    available: UInt | None = None
    drain: bool | None = None
    echo: bool | None = None
    properties: dict[Any, Any] | None = None


@dataclass(slots=True)
class Transfer:
    handle: UInt
    delivery_id: UInt | None = None
    delivery_tag: bytes | None = None
    message_format: UInt | None = None
    settled: bool | None = None
    more: bool | None = None
    rcv_settle_mode: UByte | None = None
    state: Described | None = None
    resume: bool | None = None
    aborted: bool | None = None
    batchable: bool | None = None


@dataclass(slots=True)
class Disposition:
    role: bool
    first: UInt
    last: UInt | None = None
    settled: bool | None = None
    state: Described | None = None
    batchable: bool | None = None


@dataclass(slots=True)
class Detach:
    handle: UInt
    closed: bool | None = None
    error: Described | None = None


@dataclass(slots=True)
class End:
    error: Described | None = None


@dataclass(slots=True)
class Close:
    error: Described | None = None


@dataclass(slots=True)
class SaslMechanisms:
    mechanisms: Array


@dataclass(slots=True)
class SaslInit:
    mechanism: Symbol
    initial_response: bytes | None = None
    hostname: str | None = None


@dataclass(slots=True)
class SaslOutcome:
    code: UByte
    additional_data: bytes | None = None


type Performative = (
    Open
    | Begin
    | Attach
    | Flow
    | Transfer
    | Disposition
    | Detach
    | End
    | Close
    | SaslMechanisms
    | SaslInit
    | SaslOutcome
)

_CODES: dict[type, int] = {
    Open: 0x10,
    Begin: 0x11,
    Attach: 0x12,
    Flow: 0x13,
    Transfer: 0x14,
    Disposition: 0x15,
    Detach: 0x16,
    End: 0x17,
    Close: 0x18,
    SaslMechanisms: 0x40,
    SaslInit: 0x41,
    SaslOutcome: 0x44,
}
_KINDS: dict[int, type] = {code: kind for kind, code in _CODES.items()}


def _allowed(hint: Any) -> tuple[type, ...]:
    """The classes that a field may have."""
    if hint is Any:
        return (object,)
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    return tuple(typing.get_origin(option) or option for option in options)


_FIELDS: dict[type, list[tuple[str, tuple[type, ...]]]] = {
    kind: [(field.name, _allowed(typing.get_type_hints(kind)[field.name])) for field in dataclasses.fields(kind)]
    for kind in _CODES
}


def encode(performative: Performative) -> bytes:
    kind = type(performative)
    values = [getattr(performative, name) for name, _ in _FIELDS[kind]]
    return bytes((0x00, 0x53, _CODES[kind])) + codec.encode(values)


def decode(body: bytes) -> tuple[Performative, bytes]:
    """The performative of a frame and the payload behind it. Raises `codec.DecodeError`."""
    value, end = codec.decode(body)
    if not isinstance(value, Described) or not isinstance(value.value, list):
        raise codec.DecodeError("a frame starts with no performative")
    descriptor = value.descriptor
    kind = _KINDS.get(descriptor) if isinstance(descriptor, ULong) else None
    if kind is None:
        raise codec.DecodeError(f"unknown performative {descriptor!r}")
    fields = _FIELDS[kind]
    values = value.value + [None] * (len(fields) - len(value.value))
    if len(values) > len(fields):
        raise codec.DecodeError(f"{kind.__name__} has more than {len(fields)} fields")
    for (name, allowed), found in zip(fields, values, strict=True):
        if not isinstance(found, allowed):
            raise codec.DecodeError(f"{kind.__name__}.{name} cannot be {type(found).__name__}")
    return kind(*values), body[end:]
