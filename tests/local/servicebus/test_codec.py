"""AMQP values survive the wire with their types, and no bytes make the decoder hang or break."""

import math
import struct
import time
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.servicebus import codec
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
from local.servicebus.wire import performatives
from local.servicebus.wire.performatives import Attach, Transfer


def integers(bits: int, *, signed: bool) -> st.SearchStrategy[int]:
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return st.integers(low, high)


symbols = st.text(st.characters(max_codepoint=127), max_size=300).map(Symbol)
texts = st.text(max_size=300)
scalars: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    integers(64, signed=True),
    st.floats(),
    st.floats(width=32).map(Float32),
    texts,
    symbols,
    st.binary(max_size=300),
    st.uuids(),
    integers(8, signed=False).map(UByte),
    integers(16, signed=False).map(UShort),
    integers(32, signed=False).map(UInt),
    integers(64, signed=False).map(ULong),
    integers(8, signed=True).map(Byte),
    integers(16, signed=True).map(Short),
    integers(32, signed=True).map(Int),
    integers(64, signed=True).map(Timestamp),
)
arrays = st.one_of(
    st.lists(integers(64, signed=True)).map(lambda v: Array(codec.ARRAY_OF_LONGS, tuple(v))),
    st.lists(integers(64, signed=True).map(Timestamp)).map(lambda v: Array(codec.ARRAY_OF_TIMESTAMPS, tuple(v))),
    st.lists(st.uuids()).map(lambda v: Array(codec.ARRAY_OF_UUIDS, tuple(v))),
    st.lists(symbols).map(lambda v: Array(codec.ARRAY_OF_SYMBOLS, tuple(v))),
)
values: st.SearchStrategy[Any] = st.recursive(
    scalars | arrays,
    lambda inner: st.one_of(
        st.lists(inner),
        st.dictionaries(texts, inner),
        st.builds(Described, integers(64, signed=False).map(ULong) | symbols, inner),
    ),
)


def with_types(value: Any) -> Any:
    """The value with each part's type beside it, so that a uint is not equal to a long, and NaN equals NaN."""
    if isinstance(value, list | tuple):
        return [with_types(item) for item in value]
    if isinstance(value, dict):
        return {key: with_types(item) for key, item in value.items()}
    if isinstance(value, Described):
        return Described, with_types(value.descriptor), with_types(value.value)
    if isinstance(value, Array):
        return Array, value.element_code, with_types(value.values)
    return type(value), "nan" if isinstance(value, float) and math.isnan(value) else value


@given(values)
def test_every_value_comes_back_as_it_was_with_its_type(value: Any) -> None:
    encoded = codec.encode(value)
    decoded, end = codec.decode(encoded)
    assert with_types(decoded) == with_types(value)
    assert end == codec.skip(encoded, 0) == len(encoded)


@given(values, st.binary(max_size=20))
def test_decoding_stops_where_the_value_ends(value: Any, behind: bytes) -> None:
    encoded = codec.encode(value)
    assert codec.decode(b"?" + encoded + behind, 1)[1] == 1 + len(encoded) == codec.skip(b"?" + encoded + behind, 1)


@given(values, st.data())
def test_a_truncated_value_is_refused(value: Any, data: st.DataObject) -> None:
    encoded = codec.encode(value)
    with pytest.raises(codec.DecodeError):
        codec.decode(encoded[: data.draw(st.integers(0, len(encoded) - 1))])


@given(st.binary(max_size=200))
def test_any_bytes_are_decoded_or_refused(noise: bytes) -> None:
    for read in (codec.decode, codec.skip):
        try:
            read(noise)
        except codec.DecodeError as problem:
            assert str(problem)


@given(values, st.integers(0), st.integers(0, 255))
def test_one_wrong_byte_is_decoded_or_refused(value: Any, position: int, wrong: int) -> None:
    damaged = bytearray(codec.encode(value))
    damaged[position % len(damaged)] = wrong
    try:
        again, _ = codec.decode(bytes(damaged))
        codec.encode(again)  # whatever was let in can be written again
    except codec.DecodeError as problem:
        assert str(problem)


FOUR_BILLION = struct.pack(">I", 0xFFFFFFFF)


@pytest.mark.parametrize(
    "bomb",
    [
        pytest.param(b"\xf0" + struct.pack(">I", 5) + FOUR_BILLION + b"\x40", id="array of zero-width nulls"),
        pytest.param(b"\xf0" + struct.pack(">I", 5) + FOUR_BILLION + b"\x45", id="array of empty lists"),
        pytest.param(b"\xf0" + struct.pack(">I", 5) + FOUR_BILLION + b"\x50", id="array of bytes that are not there"),
        pytest.param(b"\xd0" + struct.pack(">I", 4) + FOUR_BILLION, id="list"),
        pytest.param(b"\xd1" + struct.pack(">I", 4) + FOUR_BILLION, id="map"),
        pytest.param(b"\xb0" + FOUR_BILLION, id="binary"),
        pytest.param(b"\x00" * 100_000, id="descriptors of descriptors"),
        pytest.param(b"\xc0\xff\x01" * 50_000, id="lists of lists"),
    ],
)
def test_sizes_that_lie_cost_nothing(bomb: bytes) -> None:
    began = time.perf_counter()
    try:
        value, _ = codec.decode(bomb)
    except codec.DecodeError:
        value = Opaque(bomb)  # refused is as good as left alone
    assert value == Opaque(bomb)
    assert time.perf_counter() - began < 1.0


@pytest.mark.parametrize(
    ("encoded", "problem"),
    [
        (b"\xc1\x03\x01\x40\x40", "does not match"),
        (b"\xc1\x02\x01\x40", "key without a value"),
        (b"\xc1\x03\x02\x45\x40", "compound key"),
        (b"\xc0\x03\x01\x40\x40", "does not match"),
        (b"\xa1\x01\xff", "text is not utf-8"),
        (b"\xa3\x01\xff", "text is not ascii"),
        (b"\x10", "unknown constructor 0x10"),
        (b"", "ends too early"),
    ],
)
def test_the_refusal_says_what_is_wrong(encoded: bytes, problem: str) -> None:
    with pytest.raises(codec.DecodeError, match=problem):
        codec.decode(encoded)


def test_what_the_broker_does_not_look_into_is_kept_as_it_is() -> None:
    decimal = b"\x84" + b"\x01" * 8
    maps = b"\xe0\x04\x01\xc1\x01\x00"
    encoded = codec.encode([Opaque(decimal), "x", Opaque(maps)])
    assert codec.decode(encoded)[0] == [Opaque(decimal), "x", Opaque(maps)]


def test_a_type_unknown_to_amqp_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match="cannot encode complex as AMQP"):
        codec.encode({"x": 1j})


@given(st.lists(scalars, max_size=16), st.sampled_from(sorted({*range(0x10, 0x19), 0x40, 0x41, 0x44})))
def test_a_performative_has_the_types_of_the_specification_or_is_refused(fields: list[Any], code: int) -> None:
    try:
        performative, payload = performatives.decode(b"\x00\x53" + bytes((code,)) + codec.encode(fields) + b"rest")
    except codec.DecodeError as problem:
        assert "cannot be" in str(problem) or "more than" in str(problem)
        return
    assert payload == b"rest"
    assert performatives.decode(performatives.encode(performative))[0] == performative


def test_performatives_write_their_trailing_nulls() -> None:
    """azure-servicebus up to 7.14 reads the fields by position."""
    encoded = performatives.encode(Attach("name", UInt(1), True))
    assert len(codec.decode(encoded)[0].value) == 14


def test_a_wrong_field_is_named() -> None:
    encoded = b"\x00\x53\x14" + codec.encode(["one", UInt(1)])
    with pytest.raises(codec.DecodeError, match=r"Transfer\.handle cannot be str"):
        performatives.decode(encoded)
    assert performatives.decode(b"\x00\x53\x14" + codec.encode([UInt(1)]))[0] == Transfer(UInt(1))


def test_uuid_and_empty_compounds() -> None:
    value = [{}, [], uuid.UUID(int=7), b"", ""]
    assert codec.decode(codec.encode(value))[0] == value
