"""CloudEvents 1.0 in structured JSON. The same event in Event Grid's schema is the same signal."""

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from shared.signals.fields import Malformed, field, moment, required, text_or_empty, wrong
from shared.signals.forms.event_grid import event
from shared.signals.message import Message

_SCHEMA = frozenset(
    {"specversion", "id", "source", "type", "time", "subject", "data", "data_base64", "datacontenttype", "dataschema"}
)


def recognises(item: Mapping[str, Any]) -> bool:
    return field(item, "specversion") is not None


def opened(item: Mapping[str, Any], received: datetime | None) -> Message:
    if required(item, "specversion") != "1.0":
        raise wrong("specversion", field(item, "specversion"), "'1.0'")
    # `time` is optional in CloudEvents
    untimed = field(item, "time") is None and received is not None
    return event(
        named=required(item, "type"),
        id_=required(item, "id"),
        source=required(item, "source"),
        at=received if untimed and received else moment(item, "time"),
        subject=text_or_empty(item, "subject"),
        data=_data(item),
        extensions={key: value for key, value in item.items() if key.strip().lower() not in _SCHEMA},
    )


def _data(item: Mapping[str, Any]) -> Any:
    """The event's data; bytes are decoded, and read if they are JSON.

    Raises:
        Malformed: both forms of data are there, or what calls itself Base64 or JSON is not.
    """
    data, encoded = field(item, "data"), field(item, "data_base64")
    if encoded is None:
        return data
    if data is not None:
        raise Malformed("data and data_base64 are both there, expected one of them")
    try:
        content = base64.b64decode(required(item, "data_base64"), validate=True).decode()
    except (binascii.Error, UnicodeError, ValueError) as error:
        if isinstance(error, Malformed):
            raise
        raise wrong("data_base64", encoded, "the Base64 of a text") from error
    media = text_or_empty(item, "datacontenttype").partition(";")[0].strip().lower() or "application/json"
    if media != "application/json" and not media.endswith("+json"):
        return content
    try:
        return json.loads(content, parse_constant=str, parse_float=str)
    except ValueError as error:
        raise Malformed(f"data_base64 is no JSON ({error}), expected what datacontenttype says: {media}") from error
