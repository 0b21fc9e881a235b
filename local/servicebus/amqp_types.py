"""The AMQP 1.0 types that Python has no type of its own for.

A value keeps its AMQP type through decode and encode, because a client may insist on it: a `uint` is not a `long`.
"""

from dataclasses import dataclass
from typing import Any


class Symbol(str):
    """An ASCII name from a fixed vocabulary, distinct from a string on the wire."""

    __slots__ = ()


class UByte(int):
    """0 to 255."""


class UShort(int):
    """0 to 2**16 - 1."""


class UInt(int):
    """0 to 2**32 - 1."""


class ULong(int):
    """0 to 2**64 - 1."""


class Byte(int):
    """-128 to 127."""


class Short(int):
    """Signed, 16 bits."""


class Int(int):
    """Signed, 32 bits. A plain Python int is AMQP's 64-bit long."""


class Timestamp(int):
    """Milliseconds since 1970-01-01 UTC, signed."""


class Float32(float):
    """AMQP `float`. A plain Python float is AMQP's `double`."""


class Opaque(bytes):
    """A whole encoded value of a type that the broker never looks into (char, decimals, arrays of compounds)."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Described:
    """A value with a descriptor that says what it means."""

    descriptor: Any
    value: Any


@dataclass(frozen=True, slots=True)
class Array:
    """A homogeneous array; `element_code` is the AMQP constructor that all elements share (see `codec`)."""

    element_code: int
    values: tuple[Any, ...]
