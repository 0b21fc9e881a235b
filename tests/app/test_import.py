"""Importing the app is fast and offline: no Azure client is imported before its first use."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Costs of a cold start that only some invocations need.
LATER = (
    "aiohttp",
    "azure.ai",
    "azure.core",
    "azure.data",
    "azure.eventgrid",
    "azure.identity",
    "azure.mgmt",
    "azure.monitor",
    "azure.servicebus",
    "azure.storage",
    "pydantic",
    "yaml",
)
NEVER = ("azure.ai.ml",)
NOT_DEPLOYED = ("local", "bench", "tests")


def modules_after(source: str) -> set[str]:
    """What a fresh interpreter has imported after running `source` in the app's folder."""
    command = [sys.executable, "-c", f"{source}\nimport sys\nprint(*sys.modules)"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    return set(done.stdout.split())


def among(modules: set[str], packages: tuple[str, ...]) -> list[str]:
    return sorted(one for one in modules if any(one == name or one.startswith(f"{name}.") for name in packages))


def test_importing_the_app_imports_no_azure_client() -> None:
    modules = modules_after("import function_app")
    assert "handlers.admin" in modules
    assert among(modules, LATER) == []


def test_the_whole_app_in_use_imports_neither_the_ml_sdk_nor_what_is_not_deployed() -> None:
    source = """
import function_app
from handlers.actuation import _actuator
from shared import services
from shared.settings import Settings
made = services.build(Settings(storage={"AzureWebJobsStorage": "UseDevelopmentStorage=true"}, policy_file="x"),
                      services.utc_now)
services.install(made)
_actuator()
"""
    modules = modules_after(source)
    assert "shared.changes.actuator" in modules
    assert among(modules, NEVER + NOT_DEPLOYED) == []
