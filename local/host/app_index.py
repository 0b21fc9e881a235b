"""`python -m local.host.app_index APP_DIR`: what the worker finds in an app, as JSON.

A process of its own, because the worker library holds one app per process and importing an app changes the importer.
"""

import asyncio
import dataclasses
import json
import os
import subprocess
import sys
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from azure_functions_runtime import handle_event

from local.host.errors import HostStartError
from local.host.worker import IndexedFunction, RetryPolicy, Worker

_INDEX_WITHIN_S = 120


@dataclass(frozen=True)
class AppIndex:
    """An app's functions; for each the name of its return annotation (None without one); the app's own source files."""

    functions: tuple[IndexedFunction, ...]
    returns: Mapping[str, str | None]
    files: tuple[Path, ...]


def index_app(app_dir: Path, settings: Mapping[str, str]) -> AppIndex:
    """Import and index `app_dir` in a process of its own, with `settings` in its environment.

    Raises:
        HostStartError: it cannot be imported or indexed.
    """
    command = [sys.executable, "-m", "local.host.app_index", str(app_dir.resolve())]
    repository = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        command,
        cwd=repository,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=_INDEX_WITHIN_S,
        check=False,
    )
    if done.returncode != 0:
        raise HostStartError(done.stderr.strip())
    return _parse(json.loads(done.stdout.splitlines()[-1]))


def _parse(document: dict[str, Any]) -> AppIndex:
    functions = tuple(
        IndexedFunction(one["name"], one["id"], tuple(one["bindings"]), _retry(one["retry"]))
        for one in document["functions"]
    )
    return AppIndex(functions, document["returns"], tuple(Path(name) for name in document["files"]))


def _retry(document: dict[str, Any] | None) -> RetryPolicy | None:
    if document is None:
        return None
    delay, longest = (timedelta(seconds=document[name]) for name in ("delay", "longest"))
    return RetryPolicy(document["exponential"], document["max_count"], delay, longest)


async def _describe(app_dir: Path) -> dict[str, Any]:
    before = set(sys.modules)
    functions = await Worker(app_dir).load()
    return {
        "functions": [dataclasses.asdict(one) for one in functions],
        "returns": {one.name: _return_annotation(one.id) for one in functions},
        "files": _own_files(app_dir, set(sys.modules) - before),
    }


def _own_files(app_dir: Path, modules: set[str]) -> list[str]:
    paths = (getattr(sys.modules[name], "__file__", None) for name in modules)
    files = {Path(path).resolve() for path in paths if path}
    return sorted(str(one) for one in files if one.is_relative_to(app_dir) and "site-packages" not in one.parts)


def _return_annotation(function_id: str) -> str | None:
    registry: Any = handle_event._functions  # the only place that has the functions themselves
    annotation = typing.get_type_hints(registry.get_function(function_id).func).get("return")
    return None if annotation is None else str(getattr(annotation, "__name__", annotation))


def _seconds(value: Any) -> float:
    if isinstance(value, timedelta):
        return value.total_seconds()
    raise TypeError(f"{value!r} has no JSON form")


if __name__ == "__main__":
    try:
        print(json.dumps(asyncio.run(_describe(Path(sys.argv[1]))), default=_seconds))
    except HostStartError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
