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
    # upkeep: chores
    "upkeep": [
        {
            "type": "timerTrigger",
            "name": "timer",
            "schedule": "%WATCHKEEPER_UPKEEP_SCHEDULE%",
            "runOnStartup": False,
            "useMonitor": False,
        },
        DURABLE_CLIENT,
    ],
    # people: telling them
    "notices": [
        {
            "type": "timerTrigger",
            "name": "timer",
            "schedule": "%WATCHKEEPER_NOTICES_SCHEDULE%",
            "runOnStartup": False,
            "useMonitor": False,
        },
    ],
    "admin_notices": [http("notices", "GET"), ANSWER],
    "admin_notice": [http("notices/{id}", "GET"), ANSWER],
    "admin_notice_resend": [http("notices/{id}/resend", "POST"), ANSWER],
    "admin_notices_test": [http("notices/test", "POST"), ANSWER],
    "admin_upkeep": [http("upkeep", "GET"), ANSWER],
    "admin_upkeep_run": [http("upkeep/run", "POST"), ANSWER, DURABLE_CLIENT],
    # admin_dead_letters: what nobody could take
    "admin_dead_letters": [http("dead-letters", "GET"), ANSWER],
    "admin_dead_letters_of": [http("dead-letters/{name}", "GET"), ANSWER],
    "admin_dead_letters_resubmit": [http("dead-letters/{name}/resubmit", "POST"), ANSWER],
    "admin_dead_letters_discard": [http("dead-letters/{name}/discard", "POST"), ANSWER],
    # admin_ledger: auditors
    "admin_ledger_days": [http("ledger/days", "GET"), ANSWER],
    "admin_ledger_verify": [http("ledger/days/{day}/verify", "GET"), ANSWER],
    "admin_activity": [http("explain/{id}/activity", "GET"), ANSWER],
    # admin_state, admin: operators
    "admin_state": [http("state", "GET"), ANSWER],
    "admin_targets": [http("targets", "GET"), ANSWER],
    "admin_target": [http("targets/{name}", "GET"), ANSWER],
    "admin_readiness": [http("targets/{name}/readiness", "GET"), ANSWER],
    "admin_ledger": [http("ledger", "GET"), ANSWER],
    "admin_explain": [http("explain/{id}", "GET"), ANSWER],
    "admin_policy": [http("policy", "GET"), ANSWER],
    "admin_policy_target": [http("policy/targets/{name}", "GET"), ANSWER],
    "admin_policy_unwatched": [http("policy/unwatched", "GET"), ANSWER],
    "admin_pause": [http("pause", "POST"), ANSWER],
    "admin_resume": [http("resume", "POST"), ANSWER],
    "admin_kill_switch": [http("kill-switch", "PUT", "DELETE"), ANSWER],
    "admin_undo": [http("undo/{id}", "POST"), ANSWER, DURABLE_CLIENT],
    "admin_undo_withdraw": [http("undo/{id}", "DELETE"), ANSWER, DURABLE_CLIENT],
    # admin_exemptions, admin_breakers: what people except, and what stopped by itself
    "admin_exemptions": [http("exemptions", "GET"), ANSWER],
    "admin_exempt": [http("exemptions", "PUT", "DELETE"), ANSWER],
    "admin_breakers": [http("breaker", "GET"), ANSWER],
    "admin_breaker_reset": [http("breaker/reset", "POST"), ANSWER],
    "admin_whatif": [http("whatif", "POST"), ANSWER],
    "admin_evaluate": [http("evaluate", "POST"), ANSWER, DURABLE_CLIENT],
    "admin_secrets": [http("secrets", "GET"), ANSWER],
    "admin_caches": [http("caches", "GET"), ANSWER],
    "admin_caches_drop": [http("caches/drop", "POST"), ANSWER],
    "health": [http("health", "GET", level="ANONYMOUS"), ANSWER],
    "ready": [http("ready", "GET"), ANSWER],
    # admin_signals: what came in, and what could not be read
    "admin_signals": [http("signals", "GET"), ANSWER],
    "admin_signal_kinds": [http("signals/kinds", "GET"), ANSWER],
    "admin_quarantine": [http("quarantine", "GET"), ANSWER],
    "admin_quarantine_entry": [http("quarantine/{id}", "GET"), ANSWER],
    "admin_quarantine_resubmit": [http("quarantine/{id}/resubmit", "POST"), ANSWER, DURABLE_CLIENT],
    "admin_quarantine_discard": [http("quarantine/{id}/discard", "POST"), ANSWER],
    # approvals: the links' credential is their signature
    "admin_approvals": [http("approvals", "GET"), ANSWER],
    "admin_answer_by_link": [http("approvals/link", "GET", "POST", level="ANONYMOUS"), ANSWER, DURABLE_CLIENT],
    "admin_approval": [http("approvals/{id:minlength(16)}", "GET"), ANSWER],
    "admin_approve": [http("approvals/{id:minlength(16)}/approve", "POST"), ANSWER, DURABLE_CLIENT],
    "admin_deny": [http("approvals/{id:minlength(16)}/deny", "POST"), ANSWER, DURABLE_CLIENT],
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


def test_health_and_signed_links_alone_need_no_key(index: AppIndex) -> None:
    assert anonymous_functions(App(index, {}, {})) == ["admin_answer_by_link", "health"]


def test_no_check_of_the_real_host_s_rules_finds_anything() -> None:
    """facts/hostrules.md, checks 1 to 19, on the app, host.json and the sample settings."""
    assert [str(finding) for finding in check_app(ROOT)] == []
