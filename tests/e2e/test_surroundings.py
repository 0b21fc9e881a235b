"""A host process takes nothing from its surroundings but what a program needs to run."""

from pathlib import Path

import pytest

from local.host_process import HostProcess

APP = Path(__file__).parents[1] / "local" / "apps" / "http"
SETTINGS = {"FUNCTIONS_WORKER_RUNTIME": "python", "AzureWebJobsStorage": "UseDevelopmentStorage=true"}


async def test_a_setting_of_the_surroundings_does_not_reach_the_app(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AzureFunctionsJobHost__version", "1.0")  # would keep any host from starting
    host = HostProcess(APP, tmp_path, SETTINGS)
    try:
        assert (await host.start()).startswith("http://127.0.0.1:")
    finally:
        await host.stop()
