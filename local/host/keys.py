"""Access keys: what opens what, in the order in which the real host looks (facts/hostrules.md §3)."""

import hmac
import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from local.host.errors import HostStartError

EVENT_GRID_KEY = "eventgrid_extension"
DURABLE_KEY = "durabletask_extension"
HEADER = "x-functions-key"
QUERY = "code"


def _new_key() -> str:
    return secrets.token_urlsafe(40)


@dataclass(frozen=True)
class Keys:
    """The master key, the host's keys (open every `function` route), keys of single functions, keys of webhooks."""

    master: str = field(default_factory=_new_key)
    host: Mapping[str, str] = field(default_factory=lambda: {"default": _new_key()})
    functions: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    system: Mapping[str, str] = field(default_factory=lambda: {EVENT_GRID_KEY: _new_key(), DURABLE_KEY: _new_key()})

    @classmethod
    def load(cls, path: Path) -> "Keys":
        """Read `{"master", "host": {name: key}, "functions": {function: {name: key}}, "system": {name: key}}`.

        What is absent is generated.

        Raises:
            HostStartError: the file is not that.
        """
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise HostStartError(f"The key file {path.name} cannot be read: {error}") from error
        return cls.from_document(document, path.name)

    @classmethod
    def from_document(cls, document: Any, source: str) -> "Keys":
        """See `load`."""
        known = {"master", "host", "functions", "system"}
        if not isinstance(document, dict) or not set(document) <= known:
            raise HostStartError(f"{source} must be a JSON object with keys among {', '.join(sorted(known))}.")
        fresh = cls()
        functions = document.get("functions", {})
        if not isinstance(functions, dict):
            raise HostStartError(f"{source}: functions must be an object.")
        return cls(
            master=_texts({"master": document.get("master", fresh.master)}, source, "master")["master"],
            host=_texts(document.get("host", fresh.host), source, "host"),
            functions={name: _texts(keys, source, f"functions.{name}") for name, keys in functions.items()},
            system={**fresh.system, **_texts(document.get("system", {}), source, "system")},
        )

    def opens(self, given: str | None, level: str, *, function: str | None = None, system: str | None = None) -> bool:
        """Whether `given` opens a door of `level` (anonymous, function, admin or system)."""
        if level == "anonymous":
            return True
        allowed = [self.master]
        if level == "function":
            own = next((keys for name, keys in self.functions.items() if name.lower() == (function or "").lower()), {})
            allowed += [*self.host.values(), *own.values()]
        if level == "system" and system is not None:
            allowed += [key for name, key in self.system.items() if name == system]
        return given is not None and _any_equal(given, allowed)

    def is_master(self, given: str | None) -> bool:
        return given is not None and _any_equal(given, [self.master])


def _any_equal(given: str, allowed: Iterable[str]) -> bool:
    return any(hmac.compare_digest(given.encode(), key.encode()) for key in allowed)


def _texts(keys: Any, source: str, path: str) -> dict[str, str]:
    if not isinstance(keys, Mapping) or not all(isinstance(key, str) and key for key in keys.values()):
        raise HostStartError(f"{source}: {path} must map names to non-empty strings.")
    return dict(keys)


class _Request(Protocol):
    @property
    def headers(self) -> Mapping[str, str]: ...

    @property
    def query(self) -> Mapping[str, str]: ...


def given_key(request: _Request) -> str | None:
    """The header if there is one; only else the query: a right query does not rescue a wrong header."""
    return request.headers.get(HEADER) or request.query.get(QUERY)
