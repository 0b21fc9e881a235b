"""Plain objects in the place of the worker's protobuf messages.

azure_functions_runtime gets its protobuf module handed in and only builds messages and reads their fields, so keyword
construction and `WhichOneof` are all that it needs.
"""

import json
from types import SimpleNamespace
from typing import Any, ClassVar

from azure.functions.decorators.core import BindingDirection, DataType


class Message(SimpleNamespace):
    """Any message: its fields are what it was built with."""

    def WhichOneof(self, _group: str) -> str | None:  # noqa: N802 - protobuf's spelling
        return next(iter(vars(self)), None)


class TypedData(Message):
    """One value: exactly one of string, bytes, json, http, collection_string, collection_bytes, int, double."""


class ParameterBinding(Message):
    """A named argument or output."""

    def WhichOneof(self, _group: str) -> str | None:  # noqa: N802 - protobuf's spelling
        return "data"


class BindingInfo(Message):
    """The direction and type of one binding."""

    inout = BindingDirection.INOUT.value
    out = BindingDirection.OUT.value
    undefined = DataType.UNDEFINED.value


class StatusResult(Message):
    """How a request to the worker ended."""

    Failure: ClassVar[int] = 0
    Success: ClassVar[int] = 1


class _SameSite:
    Lax = "Lax"
    Strict = "Strict"
    ExplicitNone = "None"


setattr(_SameSite, "None", None)  # protobuf's name for "not given" is no identifier


class RpcHttpCookie(Message):
    """One cookie of an HTTP response."""

    SameSite = _SameSite


class Protos:
    """Stands in for the protobuf module."""

    BindingInfo = BindingInfo
    ParameterBinding = ParameterBinding
    RpcHttpCookie = RpcHttpCookie
    StatusResult = StatusResult
    TypedData = TypedData

    def __getattr__(self, _name: str) -> type[Message]:
        return Message


def typed_json(value: Any) -> TypedData:
    """`value` as the host sends anything that is neither text nor bytes."""
    return TypedData(json=json.dumps(value))


def typed_text(value: str | bytes) -> TypedData:
    """Text or bytes; bytes that are UTF-8 are sent as text, as the host does where a binding asks for no data type."""
    if isinstance(value, str):
        return TypedData(string=value)
    try:
        return TypedData(string=value.decode())
    except UnicodeDecodeError:
        return TypedData(bytes=value)


def plain(data: TypedData | None) -> Any:
    """The one value in `data`, whatever its field; None when there is none."""
    return None if data is None else next(iter(vars(data).values()), None)
