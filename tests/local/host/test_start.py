"""What stops the host at start."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from local.clock import RealClock
from local.host.errors import HostStartError
from local.host.host import Host
from tests.local.host.process import APPS, REPOSITORY, HostProcess
from tests.local.host.rule import rule

HEAD = """
import azure.functions as func
app = func.FunctionApp()
"""
TIMER = """
@app.timer_trigger(arg_name="timer", schedule="0 0 * * * *")
def tick(timer: func.TimerRequest) -> None: pass
"""
BLOB = """
@app.blob_trigger(arg_name="blob", path="x/{name}", connection="AzureWebJobsStorage")
def on_blob(blob: func.InputStream) -> None: pass
"""
BAD_ROUTE = """
@app.route(route="a/{b:colour}")
def coloured(req: func.HttpRequest) -> str: return ""
"""
WRONG_ARGUMENT = """
@app.timer_trigger(arg_name="timer", schedule="0 0 * * * *")
def tick(clock: func.TimerRequest) -> None: pass
"""
APP_SOURCES = {
    "no_module": "import no_such_module_anywhere\n",
    "wrong_argument": HEAD + TIMER.replace("tick", "fine") + WRONG_ARGUMENT,
    "no_functions": HEAD,
    "all_in_error": HEAD + TIMER.replace("0 0 * * * *", "%NOT_SET%"),
    "blob_trigger": HEAD + TIMER + BLOB,
    "bad_route": HEAD + TIMER + BAD_ROUTE,
}


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the host said of each broken app, by name."""
    folders = {}
    for name, source in APP_SOURCES.items():
        folder = folders[name] = tmp_path_factory.mktemp(name)
        (folder / "function_app.py").write_text(source, encoding="utf-8")
        (folder / "host.json").write_text('{"version": "2.0"}', encoding="utf-8")
    command = [sys.executable, "-m", "tests.local.host.refusals", *map(str, folders.values())]
    environment = {**os.environ, "FUNCTIONS_WORKER_RUNTIME": "python"}
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=100, check=True
    )
    answers = json.loads(done.stdout)
    return {name: answers[str(folder)] for name, folder in folders.items()}


@rule("life.import_error")
def test_an_import_error_stops_the_host(said: dict[str, str]) -> None:
    assert "no_such_module_anywhere" in said["no_module"]
    assert "no function would run" in said["no_module"]


@rule("life.import_error")
def test_a_decorator_error_of_one_function_stops_all(said: dict[str, str]) -> None:
    assert "cannot load the tick function" in said["wrong_argument"]


@rule("life.zero_functions")
def test_zero_functions_stop_the_host(said: dict[str, str]) -> None:
    assert "No functions found" in said["no_functions"]
    assert "No functions found" in said["all_in_error"]
    assert "NOT_SET" in said["all_in_error"]


@rule("life.runtime_missing", "metadata.language")
@pytest.mark.parametrize("language", ["", "node"])
async def test_the_worker_runtime_must_be_python(language: str) -> None:
    with pytest.raises(HostStartError, match=f"FUNCTIONS_WORKER_RUNTIME is '{language}'"):
        await Host(APPS / "http", RealClock(), settings={"FUNCTIONS_WORKER_RUNTIME": language}).start()


def test_a_trigger_that_is_not_implemented_stops_the_host(said: dict[str, str]) -> None:
    assert all(
        word in said["blob_trigger"]
        for word in ("on_blob", "'blob'", "blobTrigger", "Implemented as trigger: httpTrigger")
    )


@rule("metadata.bad_template_stops")
def test_a_bad_route_stops_the_host(said: dict[str, str]) -> None:
    assert "unknown constraint 'colour'" in said["bad_route"]


@rule("durable.hub_name")
async def test_an_unresolved_hub_name_stops_the_host() -> None:
    with pytest.raises(HostStartError, match="hubName '%HUB%'"):
        await Host(APPS / "durable", RealClock()).start()


async def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(HostStartError, match="cannot be used"):
        await Host(APPS / "http", RealClock(), port=taken.getsockname()[1]).start()


def test_the_command_ends_with_status_1(tmp_path: Path) -> None:
    with HostProcess(tmp_path / "nowhere", tmp_path) as process:
        assert "is not a folder" in process.wait_refused()
