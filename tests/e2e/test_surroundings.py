"""A host process takes nothing from its surroundings but what a program needs to run."""

from pathlib import Path

import pytest

from local.host_process import HostProcess

APP = Path(__file__).parents[1] / "local" / "apps" / "http"
SETTINGS = {"FUNCTIONS_WORKER_RUNTIME": "python", "AzureWebJobsStorage": "UseDevelopmentStorage=true"}


def environment_of(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/environ").read_text(encoding="utf-8").split("\0")


async def test_a_setting_of_the_surroundings_does_not_reach_the_app(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AzureWebJobs_echo_Disabled", "1")
    host = HostProcess(APP, tmp_path, SETTINGS)
    await host.start()
    try:
        environment = environment_of(host.pid)
    finally:
        await host.stop()
    assert "FUNCTIONS_WORKER_RUNTIME=python" in environment
    assert not [setting for setting in environment if setting.startswith("AzureWebJobs_")]
