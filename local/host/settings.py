"""App settings as the Functions host sees them: environment, local.settings.json, %NAME% and connections.

Settings are environment variables for the app, so the host puts what it was given there while it runs.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from local.host.errors import HostStartError

SETTING_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_REFERENCE = re.compile(r"%([^%]+)%")
_TRUE = ("1", "true")


class UnresolvedSettingError(ValueError):
    """A %NAME% or a connection names a setting that does not exist."""


def load_settings(app_dir: Path, given: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment, completed by `Values` of local.settings.json as `func start` does; `given` wins over both.

    Raises:
        HostStartError: the file is not what it must be, or a name is one that Azure on Linux refuses.
    """
    from_file = _local_settings(app_dir / "local.settings.json")
    for source, names in (("local.settings.json", from_file), ("the given settings", given or {})):
        _check_names(source, names)
    return {**from_file, **os.environ, **(given or {})}


def _local_settings(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
        values = document.get("Values", {})
    except (ValueError, AttributeError) as error:
        raise HostStartError(f"{path.name} is not a JSON object: {error}. Correct it or remove it.") from error
    if document.get("IsEncrypted"):
        raise HostStartError(f"{path.name} is encrypted: only Core Tools can read it. Run `func settings decrypt`.")
    wrong = [name for name, value in values.items() if not isinstance(value, str)]
    if wrong:
        raise HostStartError(f"{path.name}: Values.{wrong[0]} is not a string. App settings are strings: quote it.")
    return dict(values)


def _check_names(source: str, settings: Mapping[str, str]) -> None:
    for name in settings:
        if not SETTING_NAME.fullmatch(name):
            raise HostStartError(
                f"{source}: the setting name {name!r} has a character that Azure on Linux does not accept. "
                "Use letters, digits and '_' ('__' nests)."
            )


@contextmanager
def in_environment(settings: Mapping[str, str]) -> Iterator[None]:
    """Make `settings` the process's environment, as they are the worker's in Azure; put the old one back at the end."""
    before = dict(os.environ)
    os.environ.update(settings)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def is_true(value: str | None) -> bool:
    """Only `1` and `true` (in any case) are true, as for `AzureWebJobs_<name>_Disabled`."""
    return value is not None and value.strip().lower() in _TRUE


def resolve(value: Any, settings: Mapping[str, str]) -> Any:
    """Replace every %NAME% in the strings of `value` (a binding, or a part of one).

    Raises:
        UnresolvedSettingError: no such setting.
    """
    if isinstance(value, str):
        return _REFERENCE.sub(lambda match: _setting(match.group(1), settings), value)
    if isinstance(value, Mapping):
        return {name: resolve(part, settings) for name, part in value.items()}
    if isinstance(value, list):
        return [resolve(part, settings) for part in value]
    return value


def references(value: Any) -> set[str]:
    """The names of all %NAME% in the strings of `value`."""
    if isinstance(value, str):
        return set(_REFERENCE.findall(value))
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return {name for part in parts for name in references(part)}


def _setting(name: str, settings: Mapping[str, str]) -> str:
    if name not in settings:
        raise UnresolvedSettingError(f"'%{name}%' does not resolve to a value: add the app setting {name}")
    return settings[name]


def connection_names(connection: str) -> tuple[str, str]:
    """The names under which the host looks for a connection, first one first."""
    return f"AzureWebJobs{connection}", connection


def find_connection(connection: str, settings: Mapping[str, str]) -> str | dict[str, str]:
    """A connection string, or the `__` suffixes of an identity-based connection. A plain value beats suffixes.

    Raises:
        UnresolvedSettingError: neither is there.
    """
    for name in connection_names(connection):
        if settings.get(name):
            return settings[name]
        suffixes = {key[len(name) + 2 :]: value for key, value in settings.items() if key.startswith(f"{name}__")}
        if suffixes:
            return suffixes
    raise UnresolvedSettingError(
        f"the connection {connection!r} does not exist: set the app setting {connection} "
        f"(or {connection}__fullyQualifiedNamespace and the like)"
    )
