"""Loads function_app.py and runs its functions with azure-functions-runtime, as the Python worker does in Azure.

Indexing rules, typed inputs, output encoding, the thread pool and the invocation context are therefore Microsoft's. Its
state is global to the module: one app per process.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import azure_functions_runtime as untyped_runtime

from local.host.errors import HostStartError
from local.host.functions import FunctionFailed
from local.host.protos import ParameterBinding, Protos, StatusResult, TypedData

_APP_MODULE = "function_app"
_library: Any = untyped_runtime  # carries no types


@dataclass(frozen=True)
class RetryPolicy:
    """Retry metadata. `max_count` -1: for ever."""

    exponential: bool
    max_count: int
    delay: timedelta
    longest: timedelta

    def pause_s(self, attempt: int) -> float:
        """Seconds to wait after the failed attempt number `attempt`, which counts from 0."""
        if not self.exponential:
            return self.delay.total_seconds()
        return min(self.delay.total_seconds() * 2.0 ** min(attempt, 60), self.longest.total_seconds())


@dataclass(frozen=True)
class IndexedFunction:
    """One function as the worker reports it: bindings before %SETTING% resolution."""

    name: str
    id: str
    bindings: tuple[Mapping[str, Any], ...]
    retry: RetryPolicy | None


@dataclass(frozen=True)
class Call:
    """One invocation's data for the worker."""

    invocation_id: str
    function_id: str
    inputs: Mapping[str, TypedData]
    metadata: Mapping[str, TypedData]
    trace_parent: str = ""
    retry_count: int = 0
    max_retry_count: int = 0


@dataclass(frozen=True)
class Returned:
    """What a function returned, and what it put in its output bindings."""

    value: TypedData | None
    outputs: Mapping[str, TypedData]


class Worker:
    """One loaded app."""

    _loaded: tuple[Path, tuple[IndexedFunction, ...]] | None = None

    def __init__(self, app_dir: Path) -> None:
        self._app_dir = app_dir
        self._properties = {"host": "127.0.0.1", "protos": Protos()}

    async def load(self) -> tuple[IndexedFunction, ...]:
        """Import and index the app. A second load of the same app in this process finds it as it is.

        Raises:
            HostStartError: an import or decorator error (in Azure: zero functions), or another app is loaded already.
        """
        self.restart()
        loaded = Worker._loaded
        if loaded is None:
            Worker._loaded = loaded = (self._app_dir, await self._index())
        elif loaded[0] != self._app_dir:
            raise HostStartError(
                f"{loaded[0]} is loaded in this process: the worker library holds one app per process."
            )
        return loaded[1]

    def restart(self) -> None:
        """A fresh thread pool, as a new worker process has. What still runs in the old one is on its own."""
        _library.start_threadpool_executor()

    async def _index(self) -> tuple[IndexedFunction, ...]:
        if not (self._app_dir / f"{_APP_MODULE}.py").is_file():
            raise HostStartError(f"{self._app_dir} has no {_APP_MODULE}.py: give the folder of a Functions app.")
        self._check_not_imported(sys.modules.get(_APP_MODULE))
        if str(self._app_dir) not in sys.path:
            sys.path.insert(0, str(self._app_dir))
        init = SimpleNamespace(capabilities={}, function_app_directory=str(self._app_dir))
        reply = await _library.worker_init_request(self._request(worker_init_request=init))
        if reply.result.status != StatusResult.Success:
            error = reply.result.exception
            raise HostStartError(
                f"{_APP_MODULE}.py cannot be indexed, so no function would run: {error.message}\n{error.stack_trace}"
            )
        reply = await _library.functions_metadata_request(self._request())
        return tuple(_indexed(metadata) for metadata in reply.function_metadata_results or ())

    def _check_not_imported(self, module: ModuleType | None) -> None:
        path = getattr(module, "__file__", None)
        if path is not None and Path(path).resolve().parent != self._app_dir:
            raise HostStartError(f"{path} is imported in this process already: start this app in a process of its own.")

    def _request(self, **request: Any) -> SimpleNamespace:
        return SimpleNamespace(request=SimpleNamespace(**request), properties=self._properties)

    async def invoke(self, call: Call) -> Returned:
        """Run a function to its end.

        Raises:
            FunctionFailed: it raised, or its data could not be converted.
        """
        request = SimpleNamespace(
            invocation_id=call.invocation_id,
            function_id=call.function_id,
            input_data=[ParameterBinding(name=name, data=data) for name, data in call.inputs.items()],
            trigger_metadata=call.metadata,
            trace_context=SimpleNamespace(trace_parent=call.trace_parent, trace_state="", attributes={}),
            retry_context=SimpleNamespace(
                retry_count=call.retry_count, max_retry_count=call.max_retry_count, exception=None
            ),
        )
        reply = await _library.invocation_request(self._request(invocation_request=request))
        if reply.result.status != StatusResult.Success:
            error = reply.result.exception
            raise FunctionFailed.from_worker(error.message, error.stack_trace)
        return Returned(reply.return_value, {output.name: output.data for output in reply.output_data})


def _indexed(metadata: Any) -> IndexedFunction:
    bindings: Sequence[str] = metadata.raw_bindings
    return IndexedFunction(
        name=metadata.name,
        id=metadata.function_id,
        bindings=tuple(json.loads(binding) for binding in bindings),
        retry=_retry(metadata.retry_options),
    )


def _retry(options: Any) -> RetryPolicy | None:
    if options is None:
        return None
    exponential = options.retry_strategy != "fixed_delay"
    delay = options.minimum_interval if exponential else options.delay_interval
    longest = options.maximum_interval if exponential else delay
    return RetryPolicy(exponential, options.max_retry_count, delay, longest)
