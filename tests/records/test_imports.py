"""Cold start: importing the records costs nothing of Azure."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def modules_after(program: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{program}\nprint(*sys.modules)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_importing_and_opening_imports_nothing_of_azure_until_the_first_table() -> None:
    settings = {"AzureWebJobsStorage": "UseDevelopmentStorage=true"}
    opened = f"from shared.records import open_tables\ntables = open_tables({settings})"
    assert not {name for name in modules_after(opened) if name.split(".")[0] in ("azure", "aiohttp")}
    assert "azure.data.tables" in modules_after(f"{opened}\ntables.table('WatchkeeperState')")
