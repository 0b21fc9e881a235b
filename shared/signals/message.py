"""One item of a delivery, out of its envelope; what the kinds recognise and read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from shared.signals.fields import text_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """An event or an alert, whatever envelope it came in.

    `type` is the event's type, or the letters and digits of the alert's monitoring service in lower case, such as
    `logalertsv2`; `named` is the same as it was written. `source` and `id` identify it. `subjects` are the resource ids
    that the envelope names, lower-cased. `content` is what the kinds read: `subject`, `data` (an object, if it is one)
    and `extensions` of an event; `essentials`, `context` and `custom` of an alert in the words of the common alert
    schema. `kept` is what is recorded of it as it was sent. `paths` says where a part of `content` was found, for
    errors.
    """

    form: Literal["event", "alert"]
    type: str
    named: str
    id: str
    source: str
    at: datetime
    subjects: tuple[str, ...]
    content: Mapping[str, Any]
    kept: Any
    paths: Mapping[str, str] = field(default_factory=dict)

    def shown(self, path: str) -> str:
        """The path as the sender knows it."""
        for inner, outer in sorted(self.paths.items(), reverse=True):  # the longer of two prefixes first
            if path == inner or path.startswith(f"{inner}."):
                return f"{outer}{path.removeprefix(inner)}".removeprefix(".")
        return path

    def says(self, path: str, *words: str) -> bool:
        """Whether the text at `path` is one of these words, compared by letters and digits."""
        return letters(lenient_text(self.content, path)) in words


class Form(Protocol):
    """An envelope: one module in `shared/signals/forms` with these two functions."""

    def recognises(self, item: Mapping[str, Any]) -> bool:
        """Whether the item is in this envelope."""
        ...

    def opened(self, item: Mapping[str, Any], received: datetime | None) -> Message:
        """What is in it.

        Raises:
            Malformed: a field that every such envelope has is missing or wrong.
        """
        ...


def letters(text: str) -> str:
    """Letters and digits in lower case: "Log Alerts V2" is spelled in several ways."""
    return "".join(each for each in text.lower() if each.isalnum())


def lenient_text(payload: Any, path: str) -> str:
    """The text at `path`, "" if it is missing or none: for recognising, where nothing is an error yet."""
    try:
        return text_at(payload, path)
    except ValueError:
        return ""


def resource_ids(names: Sequence[Any]) -> tuple[str, ...]:
    """Those of the names that are ids of Azure resources or scopes: lower-cased, with a slash before and none after."""
    found: list[str] = []
    for name in names:
        if isinstance(name, str):
            resource = f"/{name.strip().strip('/').lower()}"
            if resource.startswith(("/subscriptions/", "/providers/", "/tenants/")) and resource not in found:
                found.append(resource)
    return tuple(found)
