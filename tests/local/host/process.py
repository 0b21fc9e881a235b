"""A host in a process of its own, because the worker library holds one app per process."""

import contextlib
import http.client
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

REPOSITORY = Path(__file__).resolve().parents[3]
APPS = REPOSITORY / "tests" / "local" / "apps"
KEYS = {
    "master": "the-master",
    "host": {"default": "the-host"},
    "functions": {"keyed": {"own": "of-keyed"}, "switched_off": {"own": "of-off"}},
    "system": {"eventgrid_extension": "of-eventgrid", "durabletask_extension": "of-durable"},
}
START_WITHIN_S = 60


@dataclass(frozen=True)
class Answer:
    """An HTTP response."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class HostProcess:
    """`python -m local.host` with an app; a context manager."""

    def __init__(
        self,
        app_dir: Path,
        folder: Path,
        settings: Mapping[str, str] | None = None,
        journal: Path | None = None,
    ) -> None:
        keys = folder / "keys.json"
        keys.write_text(json.dumps(KEYS), encoding="utf-8")
        self._log = folder / "host.log"
        command = [sys.executable, "-m", "local.host", str(app_dir), "--port", "0", "--keys", str(keys)]
        command += ["--journal", str(journal)] if journal else []
        given = {"FUNCTIONS_WORKER_RUNTIME": "python", **(settings or {})}
        environment = {name: value for name, value in {**os.environ, **given}.items() if value}
        with self._log.open("a", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, stderr=log, text=True
            )
        self.ready_line = ""

    @property
    def log(self) -> str:
        """What the host wrote to its standard error so far."""
        return self._log.read_text(encoding="utf-8")

    @property
    def port(self) -> int:
        return int(self.ready_line.split()[1].rsplit(":", 1)[1])

    def wait_ready(self) -> Self:
        """Wait for the ready line."""
        assert self.process.stdout is not None
        reader = threading.Thread(target=self._read_ready_line, daemon=True)
        reader.start()
        reader.join(START_WITHIN_S)
        if not self.ready_line.startswith("ready "):
            self.kill()
            raise AssertionError(f"the host did not start: {self.ready_line!r}\n{self.log}")
        return self

    def _read_ready_line(self) -> None:
        assert self.process.stdout is not None
        self.ready_line = self.process.stdout.readline()

    def wait_refused(self) -> str:
        """Wait until the host has refused to start; what it said."""
        assert self.process.wait(START_WITHIN_S) == 1, self.log
        return self.log

    def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        json_body: Any = None,
        key: str | None = None,
    ) -> Answer:
        """One request on a connection of its own."""
        content = json.dumps(json_body).encode() if json_body is not None else body
        sent = {**(headers or {}), **({"x-functions-key": key} if key else {})}
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.request(method, path, content, sent)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())

    def get(self, path: str, **options: Any) -> Answer:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> Answer:
        return self.request("POST", path, **options)

    def seen(self, function: str) -> list[dict[str, Any]]:
        """What a function of the `triggers` app wrote down."""
        return [one for one in self.get("/api/seen").json() if one["function"] == function]

    def wait_until(self, condition: Callable[[], bool], within_s: float = 20) -> None:
        """Poll until `condition()`."""
        deadline = time.monotonic() + within_s
        while not condition():
            assert time.monotonic() < deadline, self.log[-3000:]
            time.sleep(0.02)

    def wait_seen(self, function: str, count: int) -> list[dict[str, Any]]:
        """Wait until a function has written down `count` things."""
        self.wait_until(lambda: len(self.seen(function)) >= count)
        return self.seen(function)

    def stop(self) -> float:
        """SIGTERM; the seconds until the end."""
        started = time.monotonic()
        self.process.terminate()
        self.process.wait(30)
        return time.monotonic() - started

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.kill()
