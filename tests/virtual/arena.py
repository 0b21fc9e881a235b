"""The app and the whole local Azure in one process on one virtual clock: hours in seconds, in a fixed order.

The host runs the real function_app.py once a test process (Microsoft's runtime holds one app); each test has its own
world, its own tables and its own services.
"""

import itertools
import textwrap
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from local.clock import VirtualClock
from local.host.host import Host
from local.host.keys import Keys
from local.world import DEPLOYMENT, QUEUE, ROOT, Shape, World
from shared import services
from shared.records.chain import StoredEntry
from shared.settings import read_settings

MASTER = "master-key-of-the-tests"
_prefixes = itertools.count(1)

# Minutes and hours as they are in production; work in few and long messages, because each costs the test some time.
SCALING: Mapping[str, Any] = {
    "min": 1,
    "max": 10,
    "drain_within_s": 600,
    "service_rate": {"per_instance_per_s": 0.05},
    "cold_start_s": 900,
    "scale_out_cooldown_s": 60,
    "scale_in_cooldown_s": 900,
    "scale_in_hold_s": 600,
    "respect_manual_s": 3600,
    "stale_after_s": 300,
    "not_capacity_bound_after_s": 300,
}
PRODUCTION = Shape(
    capacity=1,
    cold_start_s=900,
    service_s=20.0,
    dispatcher_concurrency=12,
    busy_retry_s=10.0,
    metric_grain_s=60,
    metric_delay_s=None,
    over_the_wire=False,
)


def policy_text(mode: str = "enforce", extra: str = "", **scaling: Any) -> str:
    """A policy with the one target of the world, named `chat`."""
    fields = "\n".join(f"      {name}: {_yaml(value)}" for name, value in (SCALING | scaling).items())
    return (
        textwrap.dedent(f"""\
        version: 1
        loops:
          scaling:
            mode: {mode}
        targets:
          - name: chat
            deployment: {DEPLOYMENT}
            queue: {QUEUE}
            mode: {mode}
            scaling:
        """)
        + fields
        + "\n"
        + textwrap.dedent(extra)
    )


def _yaml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {_yaml(item)}" for name, item in value.items()) + "}"
    return str(value).lower() if isinstance(value, bool) else str(value)


class VirtualApp:
    """The host, once a process. Outside of a test its clock stands still, so nothing runs."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.world: World | None = None
        self.host = Host(
            ROOT,
            self.clock,
            settings={
                "FUNCTIONS_WORKER_RUNTIME": "python",
                "PYTHON_THREADPOOL_THREAD_COUNT": "16",
                "AzureWebJobsStorage": "UseDevelopmentStorage=true",
                "WATCHKEEPER_TASK_HUB": "WatchkeeperTests",
                "WATCHKEEPER_SWEEP_SCHEDULE": "*/30 * * * * *",
                "WATCHKEEPER_SIGNALS_QUEUE": "signals",
                "WATCHKEEPER_SIGNALS": "Endpoint=sb://127.0.0.1:1;SharedAccessKeyName=n;SharedAccessKey=k;",
                # The real client would wait in real time; the wire is tested in tests/e2e.
                "AzureWebJobs_intake_service_bus_Disabled": "1",
            },
            keys=Keys(master=MASTER),
        )
        self.url = ""

    async def start(self) -> None:
        self.clock.add_busy_probe(self.host.busy)
        self.clock.add_busy_probe(lambda: self.world is not None and self.world.busy())
        self.url = await self.host.start()


@dataclass(slots=True)
class Arena:
    """One test's world, services and eyes."""

    app: VirtualApp
    world: World
    made: services.Services
    policy_file: Path
    http: aiohttp.ClientSession
    background: list[Any] = field(default_factory=list)

    @property
    def clock(self) -> VirtualClock:
        return self.app.clock

    def set_policy(self, text: str) -> None:
        self.policy_file.write_text(text, encoding="utf-8")

    async def pass_time(self, seconds: float) -> None:
        await self.clock.advance(seconds)

    def capacity(self) -> int:
        """sku.capacity, as Azure holds it."""
        return int(self.world.cloud.estate.deployment(DEPLOYMENT).body["sku"]["capacity"])

    def patches(self) -> list[Any]:
        """Accepted changes of capacity."""
        return [record for record in self.world.cloud.mutations() if record.accepted]

    async def entries(self, kind: str | None = None) -> list[StoredEntry]:
        """The ledger, oldest first."""
        now = self.made.now()
        page = await self.made.stores.ledger.query(now - timedelta(days=300), now + timedelta(days=1), limit=500)
        return [entry for entry in reversed(page.entries) if kind in (None, entry.kind)]

    async def call(self, method: str, path: str, body: Any = None, *, status: int | None = None) -> Any:
        """An operator's request, answered while the clock stands still."""
        async with self.http.request(method, f"{self.app.url}/api/{path}", json=body) as answer:
            got = await answer.json(content_type=None)
            if status is not None:
                assert answer.status == status, got
            return got


@asynccontextmanager
async def arena(
    app: VirtualApp,
    azurite: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    shape: Shape = PRODUCTION,
    policy: str | None = None,
    assumptions: Mapping[str, str] | None = None,
) -> AsyncIterator[Arena]:
    """A world on the app's clock, with services of its own; everything is gone afterwards."""
    world = World(app.clock, shape, assumptions=assumptions)
    policy_file = folder / "policy.yaml"
    policy_file.write_text(policy or policy_text(), encoding="utf-8")
    await world.start()
    world.cloud.trust_in_this_process()
    prefix = f"t{next(_prefixes)}x{id(world) % 100000}"
    settings = world.app_settings(azurite, policy_file, WATCHKEEPER_TABLE_PREFIX=prefix)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    made = services.build(read_settings(), app.clock.now)
    services.install(made)
    app.world = world
    try:
        async with aiohttp.ClientSession(headers={"x-functions-key": MASTER}) as http:
            yield Arena(app, world, made, policy_file, http)
    finally:
        await app.clock.settle()
        app.world = None
        services.install(None)
        await made.close()
        await world.stop()
