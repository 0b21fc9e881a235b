"""Orchestrations in the whole host, over HTTP, in a process that can be killed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.local.host.process import APPS, Answer, HostProcess
from tests.local.host.rule import rule

SETTINGS = {"HUB": "Tested", "AzureWebJobs_switched_off_Disabled": "1"}
API = "/runtime/webhooks/durabletask/instances"
KEY = "of-durable"
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostProcess]:
    settings = {**SETTINGS, "AzureFunctionsJobHost__functionTimeout": "00:00:01"}
    with HostProcess(APPS / "durable", tmp_path_factory.mktemp("durable"), settings) as process:
        yield process.wait_ready()


def start(host: HostProcess, name: str, instance: str, given: Any = None) -> Any:
    answer = host.post(f"/api/start/{name}/{instance}", json_body=given)
    assert answer.status == 202, answer
    return answer.json()


def status(host: HostProcess, instance: str, query: str = "") -> Answer:
    return host.get(f"{API}/{instance}{query}", key=KEY)


def finished(host: HostProcess, instance: str) -> Any:
    host.wait_until(lambda: status(host, instance).status == 200)
    return status(host, instance).json()


@rule("durable.payload")
def test_the_client_gets_links_that_work(host: HostProcess) -> None:
    links = start(host, "greet", "links", ["you"])
    base = f"http://127.0.0.1:{host.port}"
    assert links["statusQueryGetUri"].startswith(f"{base}{API}/links?")
    assert f"code={KEY}" in links["statusQueryGetUri"]
    host.wait_until(lambda: host.get(links["statusQueryGetUri"].removeprefix(base)).status == 200)


@rule("durable.management")
def test_the_management_api(host: HostProcess) -> None:
    start(host, "wait_for_word", "waits")
    host.wait_until(lambda: status(host, "waits").json()["runtimeStatus"] == "Running")
    running = status(host, "waits")
    assert (running.status, running.headers["Retry-After"]) == (202, "5")
    assert f"{API}/waits" in running.headers["Location"]
    assert host.get(f"{API}/waits").status == host.get(f"{API}/waits", key="the-host").status == 401
    assert host.post(f"{API}/waits/raiseEvent/word", json_body="it", headers=JSON, key=KEY).status == 202
    assert finished(host, "waits")["output"] == "heard it"
    assert status(host, "nobody").status == 404


@rule("durable.failed_500")
def test_a_failed_instance_is_200_unless_asked(host: HostProcess) -> None:
    start(host, "fails", "failed")
    assert finished(host, "failed")["runtimeStatus"] == "Failed"
    assert status(host, "failed", "?returnInternalServerErrorOnFailure=true").status == 500


@rule("durable.unknown_functions", "metadata.disabled_activity")
@pytest.mark.parametrize("orchestrator", ["no_such_orchestrator", "calls_nobody", "calls_disabled"])
def test_unknown_functions_fail(host: HostProcess, orchestrator: str) -> None:
    start(host, orchestrator, f"unknown-{orchestrator}")
    assert finished(host, f"unknown-{orchestrator}")["runtimeStatus"] == "Failed"


@rule("durable.killed", "host_json.timeout_kills")
def test_an_activity_that_times_out_fails_and_its_orchestrator_goes_on(host: HostProcess) -> None:
    start(host, "calls_slow", "slow")
    ended = finished(host, "slow")
    assert (ended["runtimeStatus"], ended["output"][:7]) == ("Completed", "failed:")
    start(host, "greet", "after", ["you"])
    assert finished(host, "after")["output"] == ["hello you"]


@rule("durable.restart")
def test_what_was_in_flight_resumes_after_a_kill(tmp_path: Path) -> None:
    journal, released = tmp_path / "journal", tmp_path / "released"
    with HostProcess(APPS / "durable", tmp_path, SETTINGS, journal) as first:
        start(first.wait_ready(), "holds", "held", str(released))
        first.wait_until(Path(f"{released}.running").exists)
        first.kill()
    released.touch()
    with HostProcess(APPS / "durable", tmp_path, SETTINGS, journal) as second:
        assert finished(second.wait_ready(), "held")["output"] == "released, hello again"
        second.stop()
