"""The extension's rules: which function a name means, and what becomes of failures, limits and dying workers."""

import asyncio
import json
from typing import Any

import pytest
from azure.durable_functions.client import DurableFunctionsClient
from durabletask.client import OrchestrationStatus

from local.host.durable.options import DurableOptions, OptionsError
from local.host.functions import FunctionFailed, InvocationKilled, LoadedFunction
from tests.local.durable.app import LEDGER
from tests.local.durable.conftest import Launch, Running


async def test_activities_run_and_names_ignore_case(running: Running) -> None:
    assert (await running.run("CHAIN", 3)).get_output() == 12


async def test_an_unknown_orchestrator_is_an_instance_that_failed(running: Running) -> None:
    state = await running.run("no_such_thing")
    assert state.runtime_status is OrchestrationStatus.FAILED
    assert state.failure_details is not None
    assert "'no_such_thing' doesn't exist, is disabled, or is not an orchestrator" in state.failure_details.message
    assert "'chain'" in state.failure_details.message


@pytest.mark.parametrize("name", ["no_such_thing", "chain", "ledger"])
async def test_an_unknown_activity_is_a_task_that_failed(running: Running, name: str) -> None:
    error_type, message = (await running.run("call", name)).get_output()
    assert error_type == "ActivityFunctionNotFound"
    assert f"'{name}' doesn't exist, is disabled, or is not an activity function" in message


async def test_a_disabled_activity_is_unknown(launch: Launch) -> None:
    running = await launch(disabled=("double",))
    error_type, _ = (await running.run("call", "double")).get_output()
    assert error_type == "ActivityFunctionNotFound"
    assert "double" not in running.invoker.calls


async def test_a_failure_is_its_type_and_the_first_line_of_its_message(running: Running) -> None:
    assert (await running.run("call", "over_quota")).get_output() == ["OutOfQuotaError", "no cores: ask for more"]


async def test_a_failure_without_a_message_is_a_failure(running: Running) -> None:
    assert (await running.run("call", "silent_failure")).get_output() == ["TimeoutError", ""]


@pytest.mark.parametrize(
    ("text", "error_type", "message"),
    [
        ("ValueError: a: b\nc", "ValueError", "a: b"),
        ("TimeoutError: ", "TimeoutError", ""),
        ("no separator", "(unknown)", "no separator"),
    ],
)
def test_the_workers_text_is_split_as_the_extension_splits_it(text: str, error_type: str, message: str) -> None:
    failed = FunctionFailed.from_worker(text, "stack")
    assert (failed.type, failed.message, failed.stack) == (error_type, message, "stack")


async def test_an_orchestrator_that_raises_is_an_instance_that_failed(running: Running) -> None:
    state = await running.run("broken")
    assert state.runtime_status is OrchestrationStatus.FAILED
    assert state.failure_details is not None
    assert state.failure_details.message == "no cores left"


@pytest.mark.parametrize(("killed_activity", "calls"), [("fails", 1), ("redelivered", 3)])
async def test_an_activity_that_is_killed_fails_like_any_other_or_runs_again(
    launch: Launch, killed_activity: str, calls: int
) -> None:
    """Both values of the assumption durable.killed_activity."""
    running = await launch(redelivers_killed=lambda: killed_activity == "redelivered")

    async def kill(function: LoadedFunction, _: str) -> None:
        if function.name == "double" and running.invoker.calls.count("double") < 3:
            raise InvocationKilled("FunctionTimeoutException", "Timeout value of 00:05:00 exceeded")

    running.invoker.before = kill
    output = (await running.run("call", "double")).get_output()
    failed = ["FunctionTimeoutException", "Timeout value of 00:05:00 exceeded"]
    assert (list(output) == failed) == (killed_activity == "fails")
    assert running.invoker.calls.count("double") == calls


@pytest.mark.parametrize("name", ["chain", "ledger"])
async def test_an_orchestrator_or_entity_that_is_killed_runs_again(running: Running, name: str) -> None:
    killed = 0

    async def kill(function: LoadedFunction, _: str) -> None:
        nonlocal killed
        if function.name == name and killed < 3:
            killed += 1
            raise InvocationKilled("FunctionTimeoutException", "the worker died")

    running.invoker.before = kill
    await running.extension.client.signal_entity(LEDGER, "add", 7)
    assert (await running.run("chain", 3)).get_output() == 12
    entity = await running.extension.client.get_entity(LEDGER)
    assert entity is not None
    assert entity.get_state() == "7"
    assert killed == 3


async def test_no_more_activities_run_at_once_than_host_json_allows(launch: Launch) -> None:
    running = await launch({"MaxConcurrentActivityFunctions": 3})
    at_once, most = 0, 0

    async def count(function: LoadedFunction, _: str) -> None:
        nonlocal at_once, most
        if function.name == "gated":
            at_once += 1
            most = max(most, at_once)
            await asyncio.sleep(0.01)
            at_once -= 1

    running.invoker.before = count
    assert (await running.run("fan", 12)).get_output() == list(range(12))
    assert most == 3


async def test_a_rewound_orchestration_still_has_its_timers(running: Running) -> None:
    async def fail_once(function: LoadedFunction, _: str) -> None:
        if function.name == "double" and running.invoker.calls.count("double") == 1:
            raise FunctionFailed("OutOfQuotaError", "later")

    running.invoker.before = fail_once
    state = await running.run("timer_and_activity")
    assert state.runtime_status is OrchestrationStatus.FAILED
    await running.extension.client.rewind_orchestration(state.instance_id, reason="quota granted")
    await running.clock.advance(3600)
    assert (await running.state(state.instance_id)).get_output() == 2


async def test_a_resume_that_arrives_during_the_suspending_turn_is_not_forgotten(running: Running) -> None:
    instance_id = (await running.run("wait")).instance_id
    client = running.extension.client
    suspending = asyncio.Event()

    async def slow_turn(function: LoadedFunction, _: str) -> None:
        if not suspending.is_set():
            suspending.set()
            await client.resume_orchestration(instance_id)
            await client.raise_orchestration_event(instance_id, "go", data="went")

    running.invoker.before = slow_turn
    await client.suspend_orchestration(instance_id)
    await running.clock.settle()
    assert (await running.state(instance_id)).get_output() == "went"


async def test_busy_means_work_and_not_waiting(running: Running) -> None:
    release = asyncio.Event()

    async def hold(function: LoadedFunction, _: str) -> None:
        if function.name == "double":
            await release.wait()

    running.invoker.before = hold
    assert not running.extension.busy()
    await running.start("nap", 12)
    await running.start("wait")
    await running.clock.settle()
    assert not running.extension.busy()
    instance_id = await running.start("chain", 3)
    while "double" not in running.invoker.calls:
        assert running.extension.busy()
        await asyncio.sleep(0.001)
    assert running.extension.busy()
    release.set()
    await running.clock.settle()
    assert (await running.state(instance_id)).get_output() == 12


async def test_the_sdks_client_works_with_the_binding_that_the_extension_gives(running: Running) -> None:
    payload = running.extension.client_payload("http://127.0.0.1:7071", "se/cret")
    assert set(payload) == {
        "taskHubName",
        "connectionName",
        "rpcBaseUrl",
        "requiredQueryStringParameters",
        "httpBaseUrl",
        "maxGrpcMessageSizeInBytes",
    }
    client = DurableFunctionsClient(json.dumps(payload))
    instance_id = await client.schedule_new_orchestration("chain", input=1)
    await running.clock.settle()
    state = await client.get_orchestration_state(instance_id)
    links = client.create_http_management_payload(instance_id)
    await client.close()
    assert state is not None
    assert state.get_output() == 4
    base = f"http://127.0.0.1:7071/runtime/webhooks/durabletask/instances/{instance_id}"
    assert links["statusQueryGetUri"] == f"{base}?code=se%2Fcret"
    assert client.maxGrpcMessageSizeInBytes == 4_194_304


async def test_an_entity_that_raises_tells_its_caller_and_keeps_its_state(running: Running) -> None:
    client = running.extension.client
    await client.signal_entity(LEDGER, "add", 7)
    await client.signal_entity(LEDGER, "fail")
    await running.clock.settle()
    entity = await client.get_entity(LEDGER)
    assert entity is not None
    assert entity.get_state() == "7"


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"hubName": "9lives"}, "hubName '9lives'"),
        ({"hubname": "no_underscore"}, "hubName 'no_underscore'"),
        ({"maxConcurrentActivityFunctions": 0}, "maxConcurrentActivityFunctions is 0"),
        ({"maxConcurrentEntityFunctions": "ten"}, "maxConcurrentEntityFunctions is 'ten'"),
    ],
)
def test_options_at_which_the_real_host_stops(section: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionsError, match=words):
        DurableOptions.parse(section, cores=2)


def test_limits_default_to_ten_a_core_and_keys_ignore_case() -> None:
    options = DurableOptions.parse({"HUBNAME": "Watch", "storageProvider": {"ConnectionStringName": "Hub"}}, cores=4)
    assert (options.max_activities, options.max_orchestrators, options.max_entities) == (40, 40, 40)
    assert (options.hub_name, options.connection_name) == ("Watch", "Hub")
