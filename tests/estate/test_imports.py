"""Azure's clients cost more than all the rest of a cold start: they are imported on first use."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "module",
    [
        "shared.estate",
        "shared.estate.arm",
        "shared.estate.autoscale",
        "shared.estate.deployments",
        "shared.estate.identity",
        "shared.estate.metrics",
        "shared.estate.queues",
        "shared.estate.quota",
        "shared.estate.reader",
        "shared.estate.secrets",
        "shared.estate.vault",
        "shared.changes.capacity",
        "shared.probe",
    ],
)
def test_importing_does_not_import_azures_clients(module: str) -> None:
    code = (
        f"import sys, {module}\n"
        "heavy = sorted(m for m in sys.modules if m.split('.')[0] in ('azure', 'aiohttp', 'msal', 'cryptography'))\n"
        "sys.exit(', '.join(heavy[:5]) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
