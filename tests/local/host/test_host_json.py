"""host.json: what is accepted, warned of, and refused."""

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from local.host.errors import HostStartError
from local.host.host_json import HostOptions, key_warnings, load_host_json
from tests.local.host.rule import rule


def load(folder: Path, document: Any, settings: Mapping[str, str] | None = None) -> HostOptions:
    text = document if isinstance(document, str) else json.dumps(document)
    (folder / "host.json").write_text(text, encoding="utf-8")
    return load_host_json(folder, settings or {})


def with_extension(name: str, **options: Any) -> dict[str, Any]:
    return {"version": "2.0", "extensions": {name: options}}


def refused(folder: Path, document: Any, *words: str, settings: Mapping[str, str] | None = None) -> None:
    with pytest.raises(HostStartError) as error:
        load(folder, document, settings)
    assert all(word in str(error.value) for word in ("host.json", *words)), str(error.value)


def test_defaults(tmp_path: Path) -> None:
    options = load(tmp_path, {"version": "2.0"})
    assert (options.http.route_prefix, options.http.max_outstanding_requests) == ("api", -1)
    assert options.service_bus.max_concurrent_calls == 16 * (os.cpu_count() or 1)
    assert (options.service_bus.max_lock_renewal_s, options.service_bus.auto_complete) == (300, True)
    assert (options.queues.batch_size, options.queues.max_dequeue_count, options.queues.base64) == (16, 5, True)
    assert options.allowed is None


@rule("host_json.version")
@pytest.mark.parametrize("version", ["1.0", "2", 2.0, None])
def test_the_version_must_be_2_0(tmp_path: Path, version: Any) -> None:
    refused(tmp_path, {"version": version}, "version", "2.0")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"version": "2.0",}'])
def test_a_document_that_is_no_json_object_is_refused(tmp_path: Path, text: str) -> None:
    refused(tmp_path, text, "JSON")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HostStartError, match=r"host\.json is missing"):
        load_host_json(tmp_path, {})


@rule("host_json.unknown_keys")
def test_unknown_keys_are_ignored_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    document = {"Version": "2.0", "funtionTimeout": "1", "extensions": {"HTTP": {"routePrefix": "v1", "prefix": 1}}}
    with caplog.at_level(logging.WARNING):
        options = load(tmp_path, document)
    assert options.http.route_prefix == "v1"
    assert "'funtionTimeout' is not a known key" in caplog.text
    assert "'extensions.HTTP.prefix' is not a known key" in caplog.text
    assert "'Version'" not in caplog.text


def test_known_keys_that_are_not_applied_are_said() -> None:
    warnings = key_warnings({"version": "2.0", "healthMonitor": {"enabled": True}})
    assert warnings == ["host.json: 'healthMonitor' is not applied by the local host"]


@rule("host_json.overrides")
def test_settings_override(tmp_path: Path) -> None:
    settings = {
        "AzureFunctionsJobHost__extensions__http__RoutePrefix": "",
        "AzureFunctionsJobHost__functionTimeout": "00:00:07",
        "azurefunctionsjobhost__extensions__queues__maxDequeueCount": "2",
        "AzureFunctionsJobHost__functions__0": "other",
    }
    document = {**with_extension("http", routePrefix="api"), "functions": ["one", "two"]}
    options = load(tmp_path, document, settings)
    assert (options.http.route_prefix, options.function_timeout_s) == ("", 7)
    assert options.queues.max_dequeue_count == 2
    assert options.allowed == frozenset({"other", "two"})


@rule("host_json.timeout_range")
@pytest.mark.parametrize(
    ("sku", "text", "expected"),
    [
        ("", None, 1800.0),
        ("", "-1", None),
        ("", "12:00:00", 43200.0),
        ("", "00:00:01", 1.0),
        ("Dynamic", None, 300.0),
        ("Dynamic", "00:10:00", 600.0),
    ],
)
def test_function_timeouts(tmp_path: Path, sku: str, text: str | None, expected: float | None) -> None:
    document = {"version": "2.0", **({"functionTimeout": text} if text else {})}
    assert load(tmp_path, document, {"WEBSITE_SKU": sku}).function_timeout_s == expected


@rule("host_json.timeout_range")
@pytest.mark.parametrize(
    ("sku", "text"), [("", "00:00:00.5"), ("", "soon"), ("", "-00:05:00"), ("Dynamic", "00:10:01"), ("Dynamic", "-1")]
)
def test_function_timeouts_out_of_range_are_refused(tmp_path: Path, sku: str, text: str) -> None:
    refused(tmp_path, {"version": "2.0", "functionTimeout": text}, "functionTimeout", settings={"WEBSITE_SKU": sku})


@rule("host_json.bundle")
@pytest.mark.parametrize("version", ["[4.*, 5.0.0)", "4.0.0", "[4.1.2]", "(,5.0)", "[4.*,)"])
def test_bundle_ranges(tmp_path: Path, version: str) -> None:
    load(
        tmp_path,
        {"version": "2.0", "extensionBundle": {"id": "Microsoft.Azure.Functions.ExtensionBundle", "version": version}},
    )


@rule("host_json.bundle")
@pytest.mark.parametrize(
    "bundle",
    [
        {"id": "", "version": "4.0.0"},
        {"id": "a b", "version": "4.0.0"},
        {"id": "A.B", "version": "[4.*, 5.0.0"},
        {"id": "A.B"},
    ],
)
def test_bad_bundles_are_refused(tmp_path: Path, bundle: dict[str, str]) -> None:
    refused(tmp_path, {"version": "2.0", "extensionBundle": bundle}, "extensionBundle")


@rule("host_json.batch_wait")
def test_a_long_batch_wait_is_refused(tmp_path: Path) -> None:
    load(tmp_path, with_extension("serviceBus", maxBatchWaitTime="00:02:30"))
    refused(tmp_path, with_extension("serviceBus", maxBatchWaitTime="00:02:31"), "maxBatchWaitTime")


@rule("host_json.queue_batch")
def test_a_large_queue_batch_is_refused(tmp_path: Path) -> None:
    assert load(tmp_path, with_extension("queues", batchSize=32)).queues.batch_size == 32
    refused(tmp_path, with_extension("queues", batchSize=33), "batchSize", "1 to 32")


@rule("host_json.durable_limits")
@pytest.mark.parametrize(
    "options",
    [
        {"maxConcurrentActivityFunctions": 0},
        {"maxConcurrentEntityFunctions": -1},
        {"maxConcurrentOrchestratorFunctions": "many"},
        {"storageProvider": {"partitionCount": 17}},
    ],
)
def test_bad_durable_limits_are_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    refused(tmp_path, with_extension("durableTask", **options), "durableTask")


@rule("durable.hub_name")
def test_hub_names(tmp_path: Path) -> None:
    assert load(tmp_path, with_extension("durableTask", hubName="%HUB%"), {"HUB": "Keeper1"}).hub_name == "Keeper1"
    for name in ("1abc", "ab", "a-b-c", "a" * 46, "%NO_SUCH%"):
        refused(tmp_path, with_extension("durableTask", hubName=name), "hubName")


@pytest.mark.parametrize(
    "document",
    [
        with_extension("queues", maxDequeueCount=0),
        with_extension("queues", messageEncoding="utf8"),
        with_extension("queues", visibilityTimeout="soon"),
        with_extension("serviceBus", autoCompleteMessages="maybe"),
        {"version": "2.0", "functions": "one"},
    ],
)
def test_values_of_a_wrong_type_are_refused(tmp_path: Path, document: Any) -> None:
    refused(tmp_path, document)
