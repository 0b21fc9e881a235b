"""Events in Event Grid's own schema."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from shared.signals.fields import field, moment, required, text_or_empty, unpacked
from shared.signals.message import Message, resource_ids

_SCHEMA = frozenset({"id", "topic", "subject", "eventtype", "eventtime", "data", "dataversion", "metadataversion"})


def recognises(item: Mapping[str, Any]) -> bool:
    return field(item, "eventType") is not None and field(item, "specversion") is None


def opened(item: Mapping[str, Any], _received: datetime | None) -> Message:
    named, topic = required(item, "eventType"), text_or_empty(item, "topic")
    return event(
        named=named,
        id_=required(item, "id"),
        source=topic,
        at=moment(item, "eventTime"),
        subject=text_or_empty(item, "subject"),
        data=field(item, "data"),
        extensions={key: value for key, value in item.items() if key.strip().lower() not in _SCHEMA},
    )


def event(
    *, named: str, id_: str, source: str, at: datetime, subject: str, data: Any, extensions: Mapping[str, Any]
) -> Message:
    """The message of an event, in whichever schema. It is about the resource that its data or its subject names, else
    about the one that published it."""
    data = unpacked(data)
    about = (field(data, "resourceUri"), field(data, "resourceInfo.properties.targetResourceId"), subject, source)
    return Message(
        form="event",
        type=named.lower(),
        named=named,
        id=id_,
        source=source,
        at=at,
        subjects=resource_ids(about)[:1],
        content={"subject": subject, "data": data, "extensions": extensions},
        kept=data,
    )
