"""`python -m tests.local.host.refusals APP_DIR...`: starts a host for each in a fork; what they said, as JSON.

A fork, because one process can load one app, and a new interpreter for each would import the Azure SDKs every time.
"""

import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path

from local.clock import RealClock
from local.host.errors import HostStartError
from local.host.host import Host


async def _start(app_dir: str) -> str:
    try:
        await Host(Path(app_dir), RealClock()).start()
    except HostStartError as error:
        return str(error)
    return "it started"


def _in_fork(app_dir: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder) / "said"
        child = os.fork()
        if child == 0:
            said.write_text(asyncio.run(_start(app_dir)), encoding="utf-8")
            os._exit(0)
        os.waitpid(child, 0)
        return said.read_text(encoding="utf-8")


if __name__ == "__main__":
    print(json.dumps({app_dir: _in_fork(app_dir) for app_dir in sys.argv[1:]}))
