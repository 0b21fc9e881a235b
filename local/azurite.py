"""Starts Azurite, Microsoft's Storage emulator, so that the local Azure has blobs, queues and tables.

Every start gets its own free ports and its own folder, so that tests and demos can run side by side. Azurite is asked
to choose the ports itself (port 0) and says which it got: no other process can take them in between.
"""

import asyncio
import collections
import fcntl
import json
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from local.leftovers import temporary_folder

# The account and key that Microsoft publishes for the emulator: no secret.
_ACCOUNT = "devstoreaccount1"
_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_LISTENING = re.compile(r"Azurite (Blob|Queue|Table) service is successfully listening at (http://127\.0\.0\.1:\d+)")
_SERVICES = ("Blob", "Queue", "Table")
# Node ends with us, even after a kill -9: the pipe to its standard input closes, and it shuts down as on SIGTERM.
_END_WITH_PARENT = (
    "process.stdin.resume().on('end', () => process.kill(process.pid, 'SIGTERM')); require(process.argv[1])"
)
# Newer SDKs send API versions that 3.37.0 does not know; without the check it serves them all the same.
_FLAGS = ("--silent", "--disableTelemetry", "--skipApiVersionCheck")


class AzuriteError(RuntimeError):
    """Azurite could not be installed or started; the message says why and what to do."""


class Azurite:
    """One Azurite process, as a context manager (`with` or `async with`) or by `start()` and `stop()`.

    `folder` keeps the data after `stop()`; without it the data lives in a temporary folder and goes with the process.
    """

    def __init__(self, folder: Path | None = None, start_timeout_s: float = 60.0) -> None:
        self._folder = folder
        self._start_timeout_s = start_timeout_s
        self._temporary: Path | None = None
        self._process: subprocess.Popen[str] | None = None
        self._output: collections.deque[str] = collections.deque(maxlen=30)
        self._output_ended = False
        self._endpoints: dict[str, str] = {}
        self._changed = threading.Condition()

    @property
    def connection_string(self) -> str:
        """For AzureWebJobsStorage and every Storage client. Raises `AzuriteError` before `start()`."""
        if len(self._endpoints) < len(_SERVICES):
            raise AzuriteError("Azurite is not running: call start() first")
        endpoints = (f"{name}Endpoint={self._endpoints[name]}/{_ACCOUNT}" for name in _SERVICES)
        return ";".join(
            ["DefaultEndpointsProtocol=http", f"AccountName={_ACCOUNT}", f"AccountKey={_KEY}", *endpoints, ""]
        )

    def start(self) -> str:
        """Install if needed, start, wait until the three services listen; returns the connection string."""
        node = _find("node")
        script = installed_script()
        folder = self._folder or self._temporary_folder()
        folder.mkdir(parents=True, exist_ok=True)
        ports = [argument for name in ("blob", "queue", "table") for argument in (f"--{name}Port", "0")]
        self._output.clear()
        self._output_ended = False
        self._process = subprocess.Popen(
            [node, "-e", _END_WITH_PARENT, "--", str(script), *_FLAGS, *ports, "--location", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        threading.Thread(target=self._read_output, args=(self._process,), daemon=True, name="azurite-output").start()
        try:
            self._wait_until_listening(self._process)
        except BaseException:
            self.stop()
            raise
        return self.connection_string

    def stop(self) -> None:
        """End the process and remove its temporary folder. Harmless when it does not run."""
        process, self._process = self._process, None
        if process is not None:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._endpoints.clear()
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
            self._temporary = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self.start)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.stop)

    def _temporary_folder(self) -> Path:
        self._temporary = temporary_folder("azurite")
        return self._temporary

    def _read_output(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                with self._changed:
                    self._output.append(line.rstrip())
                    if found := _LISTENING.search(line):
                        self._endpoints[found[1]] = found[2]
                    self._changed.notify_all()
        with self._changed:
            self._output_ended = True
            self._changed.notify_all()

    def _wait_until_listening(self, process: subprocess.Popen[str]) -> None:
        deadline = time.monotonic() + self._start_timeout_s
        with self._changed:
            while len(self._endpoints) < len(_SERVICES):
                left_s = deadline - time.monotonic()
                if self._output_ended or left_s <= 0:
                    raise AzuriteError(self._failure(process))
                self._changed.wait(left_s)

    def _failure(self, process: subprocess.Popen[str]) -> str:
        if self._output_ended:
            what = f"ended with code {process.wait()}"
        else:
            what = f"did not listen within {self._start_timeout_s:g} s"
        return f"Azurite {what}. Its last words:\n" + "\n".join(self._output)


def installed_script(folder: Path = Path(__file__).parent) -> Path:
    """The path of Azurite's start script under `folder`/node_modules, installed by `npm ci` first if it is missing.

    Raises `AzuriteError` with npm's last words if that fails.
    """
    with (folder / "package-lock.json").open() as lock_file:
        # Several test workers may find it missing at once: one installs, the others wait.
        fcntl.flock(lock_file, fcntl.LOCK_EX)
        if _installed_version(folder) != _wanted_version(folder):
            _install(folder)
    return folder / "node_modules" / "azurite" / "dist" / "src" / "azurite.js"


def _wanted_version(folder: Path) -> str:
    return str(json.loads((folder / "package.json").read_text())["dependencies"]["azurite"])


def _installed_version(folder: Path) -> str | None:
    # npm writes this file last: an interrupted installation does not have it.
    inventory = folder / "node_modules" / ".package-lock.json"
    if not inventory.exists():
        return None
    packages = json.loads(inventory.read_text())["packages"]
    return str(packages.get("node_modules/azurite", {}).get("version"))


def _install(folder: Path) -> None:
    npm = _find("npm")
    print(
        f"Installing Azurite {_wanted_version(folder)} with npm (once, about half a minute) ...",
        file=sys.stderr,
        flush=True,
    )
    started = time.monotonic()
    done = subprocess.run(
        [npm, "ci", "--no-audit", "--no-fund"], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        words = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise AzuriteError(
            f"`npm ci` in {folder} failed with code {done.returncode}; run it by hand to see why:\n{words}"
        )
    print(f"Azurite is installed ({time.monotonic() - started:.0f} s).", file=sys.stderr, flush=True)


def _find(program: str) -> str:
    path = shutil.which(program)
    if path is None:
        raise AzuriteError(
            f"`{program}` is not on the PATH. Azurite, which plays Azure Storage, needs Node.js 20 or newer with npm: "
            "install it (https://nodejs.org, or your system's packages `nodejs` and `npm`) and try again."
        )
    return path
