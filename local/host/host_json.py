"""host.json as the Functions host reads it (facts/hostrules.md §2): what it accepts, warns of, and stops for."""

import json
import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from local.host.errors import HostStartError
from local.host.host_json_keys import NOT_APPLIED, canonical, key_paths
from local.host.settings import UnresolvedSettingError, resolve
from local.host.timespans import parse_time_span

log = logging.getLogger(__name__)

OVERRIDE_PREFIX = "AzureFunctionsJobHost__"
HUB_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]{2,44}")
_BUNDLE_ID = re.compile(r"\w+([.-]\w+)*", re.ASCII)
_VERSION = r"\d+(?:\.(?:\d+|\*)){0,3}"
_BUNDLE_RANGE = re.compile(rf"{_VERSION}|\[{_VERSION}\]|[\[(](?:{_VERSION})?\s*,\s*(?:{_VERSION})?[\])]")
_MAX_BATCH_WAIT = timedelta(minutes=2, seconds=30)
_DEFAULT_HUB = "TestHubName"


@dataclass(frozen=True)
class HttpOptions:
    """`extensions.http`; -1 means no limit."""

    route_prefix: str = "api"
    max_outstanding_requests: int = -1
    max_concurrent_requests: int = -1


@dataclass(frozen=True)
class ServiceBusOptions:
    """`extensions.serviceBus`."""

    max_concurrent_calls: int = 16
    max_message_batch_size: int = 1000
    auto_complete: bool = True
    max_lock_renewal_s: float = 300.0
    prefetch_count: int = 0


@dataclass(frozen=True)
class QueueOptions:
    """`extensions.queues`."""

    batch_size: int = 16
    new_batch_threshold: int = 8
    max_dequeue_count: int = 5
    visibility_timeout_s: float = 0.0
    base64: bool = True
    max_polling_interval_s: float = 60.0


@dataclass(frozen=True)
class HostOptions:
    """What host.json decides. `function_timeout_s` None: no limit. `allowed` None: every function runs."""

    function_timeout_s: float | None = 1800.0
    allowed: frozenset[str] | None = None
    http: HttpOptions = field(default_factory=HttpOptions)
    service_bus: ServiceBusOptions = field(default_factory=ServiceBusOptions)
    queues: QueueOptions = field(default_factory=QueueOptions)
    hub_name: str = _DEFAULT_HUB
    durable: Mapping[str, Any] = field(default_factory=dict)


def load_host_json(app_dir: Path, settings: Mapping[str, str]) -> HostOptions:
    """Read host.json, apply `AzureFunctionsJobHost__a__b` settings, check everything.

    Unknown keys are ignored as Azure ignores them, but said.

    Raises:
        HostStartError: what would stop the real host.
    """
    document = with_overrides(read_host_json(app_dir / "host.json"), settings)
    for warning in key_warnings(document):
        log.warning("%s", warning)
    return _options(_Reader(canonical(document)), settings)


def read_host_json(path: Path) -> dict[str, Any]:
    """The document, checked for being a JSON object of version 2.0."""
    if not path.exists():
        raise HostStartError(f'{path.name} is missing in {path.parent}. Create one with at least {{"version": "2.0"}}.')
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise HostStartError(f"{path.name} is not valid JSON: {error}") from error
    if not isinstance(document, dict):
        raise HostStartError(f"{path.name} must be a JSON object, not {type(document).__name__}.")
    if canonical(document).get("version") != "2.0":
        raise HostStartError(f'{path.name}: "version" must be "2.0", not {document.get("version")!r}.')
    return document


def key_warnings(document: Mapping[str, Any]) -> list[str]:
    """In words: keys that Azure ignores, and keys that only this host ignores."""
    unknown = [path for path, known in key_paths(document) if not known]
    ignored_here = [path for path, _ in key_paths(document) if path.lower() in NOT_APPLIED]
    return [f"host.json: {path!r} is not a known key; Azure ignores it silently" for path in unknown] + [
        f"host.json: {path!r} is not applied by the local host" for path in ignored_here
    ]


def with_overrides(document: Mapping[str, Any], settings: Mapping[str, str]) -> dict[str, Any]:
    """host.json with every `AzureFunctionsJobHost__a__b` setting in its place; keys ignore case."""
    result = json.loads(json.dumps(document))
    for name, value in sorted(settings.items()):
        if name.lower().startswith(OVERRIDE_PREFIX.lower()):
            _put(result, name[len(OVERRIDE_PREFIX) :].split("__"), value)
    return dict(result)


def _put(target: dict[str, Any], path: list[str], value: str) -> None:
    name = next((key for key in target if key.lower() == path[0].lower()), path[0])
    if len(path) == 1:
        target[name] = _typed(value)
    elif isinstance(target.get(name), list) and path[1].isdecimal():
        _put_item(target[name], int(path[1]), value)
    else:
        if not isinstance(target.get(name), dict):
            target[name] = {}
        _put(target[name], path[1:], value)


def _put_item(items: list[Any], index: int, value: str) -> None:
    if index < len(items):
        items[index] = value
    else:
        items.append(value)


def _typed(value: str) -> str | int | bool:
    """A setting is text; host.json has numbers and booleans."""
    if re.fullmatch(r"-?\d+", value):
        return int(value)
    return {"true": True, "false": False}.get(value.lower(), value)


class _Reader:
    """Typed access by dotted path; a wrong type is an error that names the path."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document

    def value(self, path: str, default: Any = None) -> Any:
        found: Any = self._document
        for name in path.split("."):
            if not isinstance(found, Mapping) or name not in found:
                return default
            found = found[name]
        return default if found is None else found

    def number(self, path: str, default: int, minimum: int, maximum: int | None = None) -> int:
        value = self.value(path, default)
        try:
            number = int(str(value))
        except ValueError:
            raise HostStartError(f"host.json: {path} must be a whole number, not {value!r}.") from None
        if number < minimum or (maximum is not None and number > maximum):
            limits = f"at least {minimum}" if maximum is None else f"from {minimum} to {maximum}"
            raise HostStartError(f"host.json: {path} must be {limits}, not {number}.")
        return number

    def boolean(self, path: str, default: bool) -> bool:
        value = self.value(path, default)
        if str(value).lower() not in ("true", "false"):
            raise HostStartError(f"host.json: {path} must be true or false, not {value!r}.")
        return str(value).lower() == "true"

    def span(self, path: str, default: timedelta) -> timedelta:
        value = self.value(path)
        if value is None:
            return default
        span = parse_time_span(str(value))
        if span is None:
            raise HostStartError(f'host.json: {path} must be a TimeSpan such as "00:05:00", not {value!r}.')
        return span


def _options(reader: _Reader, settings: Mapping[str, str]) -> HostOptions:
    _check_bundle(reader)
    allowed = reader.value("functions")
    if allowed is not None and not isinstance(allowed, list):
        raise HostStartError(f"host.json: functions must be a list of function names, not {allowed!r}.")
    return HostOptions(
        function_timeout_s=_function_timeout_s(reader, settings),
        allowed=None if allowed is None else frozenset(str(name).lower() for name in allowed),
        http=_http(reader),
        service_bus=_service_bus(reader),
        queues=_queues(reader),
        hub_name=_hub_name(reader, settings),
        durable=_durable(reader),
    )


def _function_timeout_s(reader: _Reader, settings: Mapping[str, str]) -> float | None:
    consumption = settings.get("WEBSITE_SKU", "").lower() == "dynamic"
    raw = str(reader.value("functionTimeout", "00:05:00" if consumption else "00:30:00"))
    if raw in ("-1", "-00:00:01") and not consumption:
        return None
    span = parse_time_span(raw)
    longest = timedelta(minutes=10) if consumption else timedelta.max
    if span is None or not timedelta(seconds=1) <= span <= longest:
        allowed = "from 00:00:01 to 00:10:00 on the Consumption plan" if consumption else 'at least 00:00:01, or "-1"'
        raise HostStartError(f"host.json: functionTimeout must be {allowed}, not {raw!r}.")
    return span.total_seconds()


def _check_bundle(reader: _Reader) -> None:
    bundle = reader.value("extensionBundle")
    if bundle is None:
        return
    name, version = str(reader.value("extensionBundle.id", "")), str(reader.value("extensionBundle.version", ""))
    if not _BUNDLE_ID.fullmatch(name):
        raise HostStartError(
            f'host.json: extensionBundle.id {name!r} is not valid: use "Microsoft.Azure.Functions.ExtensionBundle".'
        )
    if not _BUNDLE_RANGE.fullmatch(version.strip()):
        raise HostStartError(
            f'host.json: extensionBundle.version {version!r} is not a NuGet range: use for example "[4.*, 5.0.0)".'
        )


def _http(reader: _Reader) -> HttpOptions:
    base = "extensions.http."
    return HttpOptions(
        route_prefix=str(reader.value(base + "routePrefix", "api")).strip("/"),
        max_outstanding_requests=reader.number(base + "maxOutstandingRequests", -1, -1),
        max_concurrent_requests=reader.number(base + "maxConcurrentRequests", -1, -1),
    )


def _service_bus(reader: _Reader) -> ServiceBusOptions:
    base = "extensions.serviceBus."
    wait = reader.span(base + "maxBatchWaitTime", timedelta(seconds=30))
    if wait > _MAX_BATCH_WAIT:
        raise HostStartError(f"host.json: {base}maxBatchWaitTime must be at most 00:02:30, not {wait}.")
    renewal = reader.span(base + "maxAutoLockRenewalDuration", timedelta(minutes=5))
    return ServiceBusOptions(
        max_concurrent_calls=reader.number(base + "maxConcurrentCalls", 16 * (os.cpu_count() or 1), 1),
        max_message_batch_size=reader.number(base + "maxMessageBatchSize", 1000, 1),
        auto_complete=reader.boolean(base + "autoCompleteMessages", True),
        max_lock_renewal_s=renewal.total_seconds(),
        prefetch_count=reader.number(base + "prefetchCount", 0, 0),
    )


def _queues(reader: _Reader) -> QueueOptions:
    base = "extensions.queues."
    batch_size = reader.number(base + "batchSize", 16, 1, 32)
    encoding = str(reader.value(base + "messageEncoding", "base64")).lower()
    if encoding not in ("base64", "none"):
        raise HostStartError(f'host.json: {base}messageEncoding must be "base64" or "none", not {encoding!r}.')
    return QueueOptions(
        batch_size=batch_size,
        new_batch_threshold=reader.number(base + "newBatchThreshold", batch_size * (os.cpu_count() or 1) // 2, 0),
        max_dequeue_count=reader.number(base + "maxDequeueCount", 5, 1),
        visibility_timeout_s=reader.span(base + "visibilityTimeout", timedelta(0)).total_seconds(),
        base64=encoding == "base64",
        max_polling_interval_s=reader.span(base + "maxPollingInterval", timedelta(minutes=1)).total_seconds(),
    )


def _hub_name(reader: _Reader, settings: Mapping[str, str]) -> str:
    configured = reader.value("extensions.durableTask.hubName")
    if configured is None:
        return _DEFAULT_HUB
    try:
        name = str(resolve(str(configured), settings))
    except UnresolvedSettingError as error:
        raise HostStartError(f"host.json: extensions.durableTask.hubName {configured!r}: {error}.") from error
    if not HUB_NAME.fullmatch(name):
        raise HostStartError(
            f"host.json: extensions.durableTask.hubName {name!r} is not valid: a letter, then letters and digits, "
            "3 to 45 in all."
        )
    return name


def _durable(reader: _Reader) -> dict[str, Any]:
    base = "extensions.durableTask."
    for kind in ("Activity", "Orchestrator", "Entity"):
        reader.number(f"{base}maxConcurrent{kind}Functions", 1, 1)
    reader.number(base + "storageProvider.partitionCount", 4, 1, 16)
    return dict(reader.value("extensions.durableTask", {}))
