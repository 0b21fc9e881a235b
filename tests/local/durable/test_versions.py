"""Versions of orchestrations, as host.json sets them: new instances get the app's, newer ones wait or fail."""

import pytest
from durabletask.client import OrchestrationStatus

from local.host.durable.options import DurableOptions
from local.host.durable.versions import Versioning
from local.host.errors import HostStartError
from tests.local.durable.conftest import Launch


async def test_a_new_instance_gets_the_version_of_the_app(launch: Launch) -> None:
    running = await launch({"defaultVersion": "2.0"})
    assert (await running.run("which_version")).get_output() == "2.0"
    assert (await running.run("which_version", version="1.5")).get_output() == "1.5"


async def test_without_a_default_there_is_no_version(launch: Launch) -> None:
    running = await launch()
    assert (await running.run("which_version")).get_output() == "none"


async def test_a_newer_instance_waits_for_a_newer_app(launch: Launch) -> None:
    running = await launch({"defaultVersion": "2.0"})
    assert (await running.run("which_version", version="2.0.1")).runtime_status is OrchestrationStatus.PENDING
    assert "which_version" not in running.invoker.calls


async def test_or_fails_if_that_is_asked_for(launch: Launch) -> None:
    running = await launch({"defaultVersion": "2.0", "versionFailureStrategy": "Fail"})
    state = await running.run("which_version", version="10.0")
    assert state.runtime_status is OrchestrationStatus.FAILED
    assert state.failure_details is not None
    assert "greater than the worker version '2.0'" in state.failure_details.message


@pytest.mark.parametrize(
    ("match", "instance", "runs"),
    [
        ("CurrentOrOlder", "", True),
        ("CurrentOrOlder", "1.9", True),
        ("CurrentOrOlder", "2.0", True),
        ("CurrentOrOlder", "10.0", False),
        ("Strict", "1.9", False),
        ("Strict", "2.0", True),
        ("None", "10.0", True),
    ],
)
def test_what_may_run(match: str, instance: str, runs: bool) -> None:
    assert (Versioning("2.0", match).mismatch(instance) == "") is runs


def test_an_unknown_strategy_stops_the_host() -> None:
    with pytest.raises(HostStartError, match="versionFailureStrategy is 'Ignore'; possible: Reject, Fail"):
        DurableOptions.parse({"versionFailureStrategy": "Ignore"}, cores=2)
