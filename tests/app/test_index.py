"""What the worker finds in the app: an import error or a forgotten decorator makes functions vanish silently.

The table is written by hand. Whoever adds a function adds a line, and thinks about who may call it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from local.host.app_index import AppIndex, index_app
from local.host.checks import App, anonymous_functions, check_app, sample_settings

ROOT = Path(__file__).parents[2]

DURABLE_CLIENT = {"type": "durableClient", "name": "client", "durableRequiresGrpc": True}
ANSWER = {"type": "http", "name": "$return", "direction": "OUT"}


def http(route: str, *methods: str, level: str = "FUNCTION") -> dict[str, Any]:
    return {"type": "httpTrigger", "name": "req", "route": route, "methods": list(methods), "authLevel": level}


def durable(kind: str, name: str, **more: Any) -> dict[str, Any]:
    return {"type": f"{kind}Trigger", "name": name, "durableRequiresGrpc": True, **more}


EXPECTED: Mapping[str, list[dict[str, Any]]] = {
    # actuation: what carries out an action
    "actuate": [durable("orchestration", "_durable_input")],
    "actuation_step": [durable("activity", "order")],
    # intake and sweep: what wakes the loops
    "intake_alert": [http("alerts", "POST"), ANSWER, DURABLE_CLIENT],
    "intake_event_grid": [{"type": "eventGridTrigger", "name": "event"}, DURABLE_CLIENT],
    "intake_service_bus": [
        {
            "type": "serviceBusTrigger",
            "name": "message",
            "queueName": "%WATCHKEEPER_SIGNALS_QUEUE%",
            "connection": "WATCHKEEPER_SIGNALS",
        },
        DURABLE_CLIENT,
    ],
    "sweep": [
        {
            "type": "timerTrigger",
            "name": "timer",
            "schedule": "%WATCHKEEPER_SWEEP_SCHEDULE%",
            "runOnStartup": False,
            "useMonitor": False,
        },
        DURABLE_CLIENT,
    ],
    # admin: operators
    "admin_targets": [http("targets", "GET"), ANSWER],
    "admin_target": [http("targets/{name}", "GET"), ANSWER],
    "admin_ledger": [http("ledger", "GET"), ANSWER],
    "admin_explain": [http("explain/{id}", "GET"), ANSWER],
    "admin_pause": [http("pause", "POST"), ANSWER],
    "admin_resume": [http("resume", "POST"), ANSWER],
    "admin_kill_switch": [http("kill-switch", "PUT", "DELETE"), ANSWER],
    "admin_evaluate": [http("evaluate", "POST"), ANSWER, DURABLE_CLIENT],
    "health": [http("health", "GET", level="ANONYMOUS"), ANSWER],
    "ready": [http("ready", "GET"), ANSWER],
    # brought by the Durable library itself
    "BuiltIn__HttpActivity": [durable("activity", "input", activity="BuiltIn__HttpActivity")],
    "BuiltIn__HttpPollOrchestrator": [
        durable("orchestration", "_durable_input", orchestration="BuiltIn__HttpPollOrchestrator")
    ],
}


@pytest.fixture(scope="module")
def index() -> AppIndex:
    return index_app(ROOT, sample_settings(ROOT))


def comparable(bindings: Any) -> list[dict[str, Any]]:
    """Without the default direction, in a fixed order."""
    plain = [{key: one[key] for key in one if (key, one[key]) != ("direction", "IN")} for one in bindings]
    return sorted(plain, key=lambda one: str(one["name"]))


def test_the_functions_are_the_expected_ones(index: AppIndex) -> None:
    assert sorted(one.name for one in index.functions) == sorted(EXPECTED)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_triggers_and_bindings(index: AppIndex, name: str) -> None:
    (function,) = (one for one in index.functions if one.name == name)
    assert comparable(function.bindings) == comparable(EXPECTED[name])
    assert function.retry is None


def test_health_alone_needs_no_key(index: AppIndex) -> None:
    assert anonymous_functions(App(index, {}, {})) == ["health"]


def test_no_check_of_the_real_host_s_rules_finds_anything() -> None:
    """facts/hostrules.md, checks 1 to 19, on the app, host.json and the sample settings."""
    assert [str(finding) for finding in check_app(ROOT)] == []
