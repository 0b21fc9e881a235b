"""Which envelopes and kinds there are: every module of `forms` and of `known`. Nothing lists them."""

import importlib
import json
import pkgutil
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from importlib import resources
from types import ModuleType
from typing import Any, cast

import shared.signals.forms
import shared.signals.known
from shared.domain import Signal
from shared.signals.fields import Malformed
from shared.signals.kind import Kind, signal_of, unknown_signal
from shared.signals.message import Form, Message
from shared.signals.redaction import clipped


def _modules(package: ModuleType) -> list[ModuleType]:
    names = sorted(each.name for each in pkgutil.iter_modules(package.__path__))
    return [importlib.import_module(f"{package.__name__}.{name}") for name in names]


@cache
def forms() -> tuple[Form, ...]:
    """The envelopes."""
    return tuple(cast("Form", module) for module in _modules(shared.signals.forms))


@cache
def kinds() -> Mapping[str, Kind]:
    """The kinds by name, each with its description and fields."""
    found: dict[str, Kind] = {}
    for module in _modules(shared.signals.known):
        for kind in module.KINDS:
            if kind.name in found:
                raise RuntimeError(f"two kinds of signals are named {kind.name}, one of them in {module.__name__}")
            found[kind.name] = kind
    return dict(sorted(found.items()))


def is_known(kind: str) -> bool:
    """Whether a kind of signal is registered; any other is an event or alert of which only the envelope was read."""
    return kind in kinds()


def samples() -> list[tuple[str, Any]]:
    """Payloads with the kind that each must become: what every module brings along, for tests and demonstrations."""
    found: list[tuple[str, Any]] = []
    for module in _modules(shared.signals.known):
        name = module.__name__.rpartition(".")[2]
        written = resources.files(shared.signals.known).joinpath(f"{name}.json").read_text(encoding="utf-8")
        found += [(each["kind"], each["payload"]) for each in json.loads(written)]
    return found


def read(item: Any, received: datetime | None) -> Signal:
    """The signal of one item.

    Raises:
        Malformed: it is in no envelope that is known, or a field is missing or wrong.
    """
    if not isinstance(item, dict):
        raise Malformed(f"it is {_called(item)}, expected an object")
    form = next((each for each in forms() if each.recognises(item)), None)
    if form is None:
        names = clipped(", ".join(sorted(item)[:20]))
        raise Malformed(
            "it is neither an Event Grid event (eventType), nor a CloudEvent (specversion), nor an Azure Monitor alert "
            f"(schemaId, of the common or an older schema); its fields: {names or 'none'}"
        )
    message = form.opened(item, received)
    kind = _kind(message)
    return signal_of(message, kind) if kind else unknown_signal(message, _own_name(message))


def _kind(message: Message) -> Kind | None:
    everyone = kinds().values()
    found = next((kind for kind in everyone if kind.recognises(message)), None)
    return found or next((kind for kind in everyone if kind.or_else and kind.or_else(message)), None)


def _own_name(message: Message) -> str:
    """The name that an unknown kind has where it comes from; never one that is registered here."""
    name = clipped(message.named)[:200]
    if message.form == "alert":
        return f"alert:{name}" if name else "alert:unnamed"
    return f"event:{name}" if is_known(name) else name


def _called(item: Any) -> str:
    words = {type(None): "null", bool: "a truth value", int: "a number", float: "a number", str: "a text"}
    return words.get(type(item), "a list")
