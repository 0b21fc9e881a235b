"""The local host in a process of its own, as in production: it can be killed at any moment and started again."""

import asyncio
import json
import os
import secrets
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

START_TIMEOUT_S = 60.0
# All that the app may take from here; everything else it knows from its settings. A setting of the surroundings (of
# another host in this process, of a developer) would otherwise lead it elsewhere, or switch a function off.
_INHERITED = ("HOME", "LANG", "LC_ALL", "LOCAL_HOST_LOG", "PATH", "PYTHONPATH", "TMPDIR")


class HostFailed(RuntimeError):
    """The host did not start; the message ends with the last lines of its log."""


class HostProcess:
    """`python -m local.host` over one folder, journal and key file: what outlives a kill is there at the next start."""

    def __init__(self, app_dir: Path, folder: Path, settings: Mapping[str, str], port: int = 0) -> None:
        self._app_dir, self._folder, self._settings = app_dir, folder, settings
        self.log_file = folder / "host.log"
        self.key = secrets.token_urlsafe(24)
        self.event_grid_key = secrets.token_urlsafe(24)
        self.url = ""
        self._port = port
        self._process: asyncio.subprocess.Process | None = None
        folder.mkdir(parents=True, exist_ok=True)
        keys = {"master": self.key, "system": {"eventgrid_extension": self.event_grid_key}}
        (folder / "keys.json").write_text(json.dumps(keys), encoding="utf-8")

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError("the host does not run")
        return self._process.pid

    async def start(self) -> str:
        """Start it, on the same port as before, and wait until it is ready; its URL.

        Raises:
            HostFailed: it ended, or was not ready in time.
        """
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        with self.log_file.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "local.host", str(self._app_dir), "--port", str(self._port)),
                *("--journal", str(self._folder / "journal.sqlite"), "--keys", str(self._folder / "keys.json")),
                cwd=Path(__file__).parents[1],
                env={"LOCAL_HOST_LOG": "INFO"} | inherited | dict(self._settings),
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                stdin=asyncio.subprocess.DEVNULL,
            )
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                line = (await self._process.stdout.readline()).decode()
        except TimeoutError as error:
            await self.kill()
            raise HostFailed(f"not ready after {START_TIMEOUT_S:.0f} s\n{self.log_tail()}") from error
        if not line.startswith("ready "):
            raise HostFailed(f"the host ended before it was ready\n{self.log_tail()}")
        self.url = line.split()[1]
        self._port = int(self.url.rsplit(":", 1)[1])
        return self.url

    async def kill(self) -> None:
        """As a crash: no signal that could be caught."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        await self._end(signal.SIGTERM)

    async def ended(self) -> int:
        """Wait until it has ended by itself or by somebody else's kill."""
        assert self._process is not None
        return await self._process.wait()

    def log_tail(self, lines: int = 30) -> str:
        if not self.log_file.exists():
            return ""
        return "\n".join(self.log_file.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])

    async def _end(self, how: signal.Signals) -> None:
        if self._process is None or self._process.returncode is not None:
            return
        self._process.send_signal(how)
        await self._process.wait()
