"""The AMQP 1.0 type system (OASIS amqp-core-types-v1.0): bytes to values and back.

Decoding trusts nothing: every length is checked against the bytes that are there, so that work and memory are
bounded by the size of the frame. Whatever the broker need not understand is kept as its encoded bytes.
"""

import struct
import uuid
from collections.abc import Callable
from typing import Any

from local.servicebus.amqp_types import (
    Array,
    Byte,
    Described,
    Float32,
    Int,
    Opaque,
    Short,
    Symbol,
    Timestamp,
    UByte,
    UInt,
    ULong,
    UShort,
)

DESCRIBED = 0x00
EMPTY_LIST = 0x45
ARRAY_OF_LONGS = 0x81
ARRAY_OF_TIMESTAMPS = 0x83
ARRAY_OF_UUIDS = 0x98
ARRAY_OF_SYMBOLS = 0xB3
MAX_DEPTH = 64

_U32 = struct.Struct(">I")
_CONSTANTS: dict[int, Any] = {0x40: None, 0x41: True, 0x42: False, 0x43: UInt(0), 0x44: ULong(0)}
_FIXED: dict[int, tuple[struct.Struct, Callable[[Any], Any]]] = {
    0x50: (struct.Struct(">B"), UByte),
    0x51: (struct.Struct(">b"), Byte),
    0x52: (struct.Struct(">B"), UInt),
    0x53: (struct.Struct(">B"), ULong),
    0x54: (struct.Struct(">b"), Int),
    0x55: (struct.Struct(">b"), int),
    0x56: (struct.Struct(">B"), bool),
    0x60: (struct.Struct(">H"), UShort),
    0x61: (struct.Struct(">h"), Short),
    0x70: (struct.Struct(">I"), UInt),
    0x71: (struct.Struct(">i"), Int),
    0x72: (struct.Struct(">f"), Float32),
    0x80: (struct.Struct(">Q"), ULong),
    0x81: (struct.Struct(">q"), int),
    0x82: (struct.Struct(">d"), float),
    0x83: (struct.Struct(">q"), Timestamp),
    0x98: (struct.Struct(">16s"), lambda raw: uuid.UUID(bytes=raw)),
}
_VARIABLE: dict[int, Callable[[bytes], Any]] = {
    0xA0: bytes,
    0xB0: bytes,
    0xA1: lambda raw: raw.decode(),
    0xB1: lambda raw: raw.decode(),
    0xA3: lambda raw: Symbol(raw.decode("ascii")),
    0xB3: lambda raw: Symbol(raw.decode("ascii")),
}
_LISTS, _MAPS, _ARRAYS = (0xC0, 0xD0), (0xC1, 0xD1), (0xE0, 0xF0)
# The upper half of a constructor says how the value's length is found.
_FIXED_WIDTHS = {0x4: 0, 0x5: 1, 0x6: 2, 0x7: 4, 0x8: 8, 0x9: 16}
_ONE_BYTE_LENGTH, _FOUR_BYTE_LENGTH = (0xA, 0xC, 0xE), (0xB, 0xD, 0xF)


class DecodeError(ValueError):
    """The bytes are no AMQP 1.0 value; the message says what is wrong with them."""


def decode(buffer: bytes, position: int = 0) -> tuple[Any, int]:
    """The value that starts at `position`, and the position after it. Raises `DecodeError`."""
    try:
        return _decode(buffer, position, 0)
    except (IndexError, struct.error):
        raise DecodeError("the value ends too early") from None
    except UnicodeDecodeError as problem:
        raise DecodeError(f"text is not {problem.encoding}") from None


def skip(buffer: bytes, position: int = 0) -> int:
    """The position after the value that starts at `position`, without decoding it. Raises `DecodeError`."""
    try:
        return _skip(buffer, position, 0)
    except (IndexError, struct.error):
        raise DecodeError("the value ends too early") from None


def _skip(buffer: bytes, position: int, depth: int) -> int:
    if depth > MAX_DEPTH:
        raise DecodeError(f"values nested more than {MAX_DEPTH} deep")
    code = buffer[position]
    if code == DESCRIBED:
        return _skip(buffer, _skip(buffer, position + 1, depth + 1), depth + 1)
    family = code >> 4
    if family in _FIXED_WIDTHS:
        end = position + 1 + _FIXED_WIDTHS[family]
    elif family in _ONE_BYTE_LENGTH:
        end = position + 2 + buffer[position + 1]
    elif family in _FOUR_BYTE_LENGTH:
        end = position + 5 + int(_U32.unpack_from(buffer, position + 1)[0])
    else:
        raise DecodeError(f"unknown constructor 0x{code:02x}")
    return _within(buffer, end)


def _within(buffer: bytes, end: int) -> int:
    if end > len(buffer):
        raise DecodeError("the value ends too early")
    return end


def _decode(buffer: bytes, position: int, depth: int) -> tuple[Any, int]:
    code = buffer[position]
    if code in _FIXED or code in _VARIABLE:
        return _decode_scalar(code, buffer, position + 1)
    if code in _CONSTANTS:
        return _CONSTANTS[code], position + 1
    if depth > MAX_DEPTH:
        raise DecodeError(f"values nested more than {MAX_DEPTH} deep")
    if code == DESCRIBED:
        descriptor, position = _decode(buffer, position + 1, depth + 1)
        value, position = _decode(buffer, position, depth + 1)
        return Described(descriptor, value), position
    if code == EMPTY_LIST:
        return [], position + 1
    if code in _LISTS:
        return _decode_items(buffer, position, depth)
    if code in _MAPS:
        items, end = _decode_items(buffer, position, depth)
        return _paired(items), end
    if code in _ARRAYS:
        return _decode_array(buffer, position)
    end = _skip(buffer, position, depth)
    return Opaque(buffer[position:end]), end


def _decode_scalar(code: int, buffer: bytes, position: int) -> tuple[Any, int]:
    if code in _FIXED:
        layout, kind = _FIXED[code]
        return kind(layout.unpack_from(buffer, position)[0]), position + layout.size
    if code < 0xB0:
        start, size = position + 1, buffer[position]
    else:
        start, size = position + 4, _U32.unpack_from(buffer, position)[0]
    end = _within(buffer, start + size)
    return _VARIABLE[code](buffer[start:end]), end


def _compound_header(buffer: bytes, position: int) -> tuple[int, int, int]:
    """(count, position of the first item, end) of the list, map or array whose constructor is at `position`."""
    end = _skip(buffer, position, 0)
    if buffer[position] in (0xC0, 0xC1, 0xE0):
        return buffer[position + 2], position + 3, end
    return _U32.unpack_from(buffer, position + 5)[0], position + 9, end


def _decode_items(buffer: bytes, position: int, depth: int) -> tuple[list[Any], int]:
    count, position, end = _compound_header(buffer, position)
    if count > end - position:  # every item takes a byte
        raise DecodeError("more elements than bytes")
    items = []
    for _ in range(count):
        item, position = _decode(buffer, position, depth + 1)
        items.append(item)
    if position != end:
        raise DecodeError("the size of a compound value does not match its elements")
    return items, end


def _paired(items: list[Any]) -> dict[Any, Any]:
    if len(items) % 2:
        raise DecodeError("a map has a key without a value")
    try:
        return dict(zip(items[::2], items[1::2], strict=True))
    except TypeError:
        raise DecodeError("a map has a compound key") from None


def _decode_array(buffer: bytes, start: int) -> tuple[Any, int]:
    """Arrays of scalars are decoded; any other (of compounds, of zero-width nulls) is kept as it is."""
    count, position, end = _compound_header(buffer, start)
    element_code = buffer[position] if position < end else None
    if element_code not in _FIXED and element_code not in _VARIABLE:
        return Opaque(buffer[start:end]), end
    position += 1
    if count > end - position:
        raise DecodeError("more elements than bytes")
    values = []
    for _ in range(count):
        value, position = _decode_scalar(element_code, buffer, position)
        values.append(value)
    if position != end:
        raise DecodeError("the size of an array does not match its elements")
    return Array(element_code, tuple(values)), end


def _encode_variable(code: int, data: bytes) -> bytes:
    if len(data) < 256:
        return bytes((code, len(data))) + data
    return bytes((code + 0x10,)) + _U32.pack(len(data)) + data


def _encode_compound(code: int, count: int, body: bytes) -> bytes:
    if len(body) < 255 and count < 256:
        return bytes((code, len(body) + 1, count)) + body
    return bytes((code + 0x10,)) + _U32.pack(len(body) + 4) + _U32.pack(count) + body


def _encode_uint(value: int) -> bytes:
    if value == 0:
        return b"\x43"
    return bytes((0x52, value)) if value < 256 else b"\x70" + _U32.pack(value)


def _encode_ulong(value: int) -> bytes:
    if value == 0:
        return b"\x44"
    return bytes((0x53, value)) if value < 256 else b"\x80" + struct.pack(">Q", value)


def _encode_long(value: int) -> bytes:
    return struct.pack(">Bb", 0x55, value) if -128 <= value < 128 else struct.pack(">Bq", 0x81, value)


def _encode_list(items: list[Any]) -> bytes:
    return _encode_compound(0xC0, len(items), b"".join(map(encode, items))) if items else bytes((EMPTY_LIST,))


def _encode_map(items: dict[Any, Any]) -> bytes:
    return _encode_compound(0xC1, 2 * len(items), b"".join(encode(k) + encode(v) for k, v in items.items()))


def _encode_array(array: Array) -> bytes:
    body = bytes((array.element_code,)) + b"".join(_array_element(array.element_code, v) for v in array.values)
    return b"\xf0" + _U32.pack(len(body) + 4) + _U32.pack(len(array.values)) + body


def _array_element(code: int, value: Any) -> bytes:
    if code in _FIXED:
        return _FIXED[code][0].pack(value.bytes if isinstance(value, uuid.UUID) else value)
    data = value if isinstance(value, bytes) else value.encode()
    return (bytes((len(data),)) if code < 0xB0 else _U32.pack(len(data))) + data


_ENCODERS: dict[type, Callable[[Any], bytes]] = {
    type(None): lambda _: b"\x40",
    bool: lambda value: b"\x41" if value else b"\x42",
    int: _encode_long,
    float: lambda value: struct.pack(">Bd", 0x82, value),
    str: lambda value: _encode_variable(0xA1, value.encode()),
    bytes: lambda value: _encode_variable(0xA0, value),
    uuid.UUID: lambda value: b"\x98" + value.bytes,
    Symbol: lambda value: _encode_variable(0xA3, value.encode("ascii")),
    UByte: lambda value: bytes((0x50, value)),
    UShort: lambda value: struct.pack(">BH", 0x60, value),
    UInt: _encode_uint,
    ULong: _encode_ulong,
    Byte: lambda value: struct.pack(">Bb", 0x51, value),
    Short: lambda value: struct.pack(">Bh", 0x61, value),
    Int: lambda value: struct.pack(">Bi", 0x71, value),
    Timestamp: lambda value: struct.pack(">Bq", 0x83, value),
    Float32: lambda value: struct.pack(">Bf", 0x72, value),
    Opaque: bytes,
    list: _encode_list,
    dict: _encode_map,
    Described: lambda value: b"\x00" + encode(value.descriptor) + encode(value.value),
    Array: _encode_array,
}


def encode(value: Any) -> bytes:
    """The AMQP encoding of a value, by its exact Python type. Raises `TypeError` for a type unknown to AMQP."""
    encoder = _ENCODERS.get(type(value))
    if encoder is None:
        known = ", ".join(sorted(kind.__name__ for kind in _ENCODERS))
        raise TypeError(f"cannot encode {type(value).__name__} as AMQP: use one of {known}")
    return encoder(value)
