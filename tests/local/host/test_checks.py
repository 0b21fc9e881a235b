"""The checks of an app: each fails on what it is for, and only on that."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from local.host.app_index import AppIndex
from local.host.checks import SAMPLE, App, Finding, anonymous_functions, check, check_app
from local.host.worker import IndexedFunction, RetryPolicy
from tests.local.host.process import APPS

SETTINGS = {"PYTHON_THREADPOOL_THREAD_COUNT": "32", "FUNCTIONS_WORKER_RUNTIME": "python", "HUB": "Keeper"}
HOST_JSON: dict[str, Any] = {
    "version": "2.0",
    "extensions": {
        "durableTask": {"hubName": "%HUB%", "storageProvider": {"connectionStringName": "AzureWebJobsStorage"}}
    },
}


def function(name: str, *bindings: dict[str, Any], retry: RetryPolicy | None = None) -> IndexedFunction:
    return IndexedFunction(name, name, bindings, retry)


def binding(kind: str, name: str = "x", direction: str = "in", **more: Any) -> dict[str, Any]:
    return {"type": kind, "name": name, "direction": direction, **more}


def http(name: str, route: str, *methods: str, level: str | None = "function") -> IndexedFunction:
    return function(name, binding("httpTrigger", route=route, methods=list(methods), authLevel=level))


def timer(name: str = "tick", retry: RetryPolicy | None = None, **more: Any) -> IndexedFunction:
    return function(name, binding("timerTrigger", schedule="0 0 * * * *", **more), retry=retry)


def app(
    *functions: IndexedFunction,
    settings: dict[str, str] | None = None,
    host_json: dict[str, Any] | None = None,
    returns: str | None = "HttpResponse",
    files: tuple[Path, ...] = (),
) -> App:
    index = AppIndex(functions, {one.name: returns for one in functions}, files)
    return App(index, HOST_JSON if host_json is None else host_json, SETTINGS if settings is None else settings)


RETRY = RetryPolicy(False, 3, timedelta(seconds=1), timedelta(seconds=1))
ORCHESTRATOR = function("run", binding("orchestrationTrigger", durableRequiresGrpc=True))


BUS = function("f", binding("serviceBusTrigger", connection="C"))


def found(findings: list[Finding]) -> list[tuple[int, str]]:
    return [(finding.check, finding.subject) for finding in findings]


def test_a_good_app_has_no_findings() -> None:
    good = app(
        http("summary", "jobs/summary", "GET"),
        http("the_job", "jobs/{id}", "GET"),
        http("work", "jobs/{id}", "POST"),
        timer(retry=RETRY),
        ORCHESTRATOR,
        function("take", binding("serviceBusTrigger", queueName="%HUB%", connection="BUS")),
        settings={**SETTINGS, "BUS__fullyQualifiedNamespace": "n"},
    )
    assert check(good) == []


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        (app(timer("1st")), [(1, "1st")]),
        (app(timer("tick"), timer("Tick")), [(1, "Tick")]),
        (app(function("f", binding("timerTrigger", "a__b"))), [(1, "f")]),
        (app(function("f", binding("timerTrigger"), binding("queueTrigger", "y"))), [(2, "f")]),
        (app(function("f", binding("timerTrigger"), binding("queue", "$return", "in"))), [(2, "f")]),
        (app(http("f", "administer", "GET")), [(3, "f")]),
        (app(http("a", "jobs/{id}", "GET"), http("b", "jobs/summary", "GET")), [(3, "b")]),
        (app(http("a", "{*rest}", "GET"), http("b", "x/y", "GET", "POST")), [(3, "b")]),
        (app(http("f", "x")), [(4, "f")]),
        (app(http("f", "x", "GET", level=None)), [(4, "f")]),
        (app(http("f", "x", "GET"), returns="str"), [(5, "f")]),
        (app(http("f", "x", "GET"), returns=None), [(5, "f")]),
        (app(timer(), host_json={**HOST_JSON, "functionTimeuot": "00:05:00"}), [(7, "host.json")]),
        (app(ORCHESTRATOR, host_json={"version": "2.0"}), [(8, "host.json"), (8, "host.json")]),
        (app(ORCHESTRATOR, settings={**SETTINGS, "HUB": "not-valid"}), [(8, "host.json")]),
        (app(timer(schedule_from="%WHEN%")), [(9, "tick")]),
        (app(function("f", binding("queueTrigger", connection="NONE"))), [(9, "f")]),
        (app(BUS, settings={**SETTINGS, "C__accountName": "x"}), [(9, "f")]),
        (app(timer(), settings={**SETTINGS, "a.b": "x"}), [(10, "a.b")]),
        (app(timer(), settings={"HUB": "Keeper"}), [(11, name) for name in list(SETTINGS)[:2]]),
        (app(ORCHESTRATOR, function("act", binding("activityTrigger"))), [(12, "act")]),
        (app(function("f", binding("eventGridTrigger"), retry=RETRY)), [(14, "f")]),
        (app(timer(runOnStartup=True)), [(16, "tick")]),
    ],
)  # fmt: skip
def test_each_check_finds_what_it_is_for(broken: App, expected: list[tuple[int, str]]) -> None:
    assert found(check(broken)) == expected


def test_a_hub_name_that_is_the_same_in_every_slot() -> None:
    same: dict[str, Any] = json.loads(json.dumps(HOST_JSON).replace("%HUB%", "Keeper"))
    findings = check(app(ORCHESTRATOR, host_json=same))
    assert found(findings) == [(8, "host.json")]
    assert "every slot" in str(findings[0])


def test_calls_without_a_retry_policy(tmp_path: Path) -> None:
    source = tmp_path / "flows.py"
    source.write_text(
        "def run(context):\n"
        "    yield context.call_activity('a', input=1, retry_policy=POLICY)\n"
        "    yield context.call_activity('b')\n",
        encoding="utf-8",
    )
    assert found(check(app(timer(), files=(source,)))) == [(13, "flows.py:3")]


def test_anonymous_functions_are_listed() -> None:
    assert anonymous_functions(app(http("a", "x", "GET", level="ANONYMOUS"), http("b", "y", "GET"))) == ["a"]


def write(folder: Path, source: str, host_json: str = json.dumps(HOST_JSON)) -> Path:
    (folder / "function_app.py").write_text(source, encoding="utf-8")
    (folder / "host.json").write_text(host_json, encoding="utf-8")
    (folder / SAMPLE).write_text(json.dumps({"Values": SETTINGS}), encoding="utf-8")
    return folder


def test_an_app_that_cannot_be_imported(tmp_path: Path) -> None:
    findings = check_app(write(tmp_path, "import no_such_module_anywhere\n"))
    assert found(findings) == [(18, "function_app.py")]
    assert "no_such_module_anywhere" in str(findings[0])


def test_a_host_json_that_stops_the_host(tmp_path: Path) -> None:
    source = "import azure.functions as func\napp = func.FunctionApp()\n"
    findings = check_app(write(tmp_path, source, json.dumps({**HOST_JSON, "version": "1.0"})))
    assert found(findings) == [(7, "host.json")]


def test_a_real_app_is_indexed_and_checked() -> None:
    """The app of the triggers has no sample settings, runs a timer at startup and retries a Service Bus trigger."""
    findings = check_app(APPS / "triggers")
    numbers = {(finding.check, finding.subject) for finding in findings}
    assert {(9, "on_message"), (14, "on_lost_message"), (16, "hourly")} <= numbers
    assert (5, "send") not in numbers
    assert len(findings) == len({str(finding) for finding in findings})
