"""One small Azure and one app in a process of its own, in real time, with what a test needs to see and to do."""

import asyncio
import textwrap
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Set
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp

from local.clock import RealClock
from local.cloud.request_log import RequestRecord
from local.host_process import HostProcess
from local.world import DEPLOYMENT, QUEUE, ROOT, Shape, World
from tests.e2e.table_gate import TableGate

SMALL = Shape(cold_start_s=1.0, over_the_wire=False)
EVERY_SECOND, HOURLY = "* * * * * *", "0 0 * * * *"
PATIENCE_S = 60.0
GLANCE_S = 0.1


def policy_text(least: int, mode: str = "enforce") -> str:
    """A policy with one target, `chat`, that wants at least so many instances and nothing else while nobody writes."""
    return textwrap.dedent(f"""\
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
              min: {least}
              max: 40
              drain_within_s: 20
              service_rate: {{per_instance_per_s: 2}}
              cold_start_s: 1
              scale_out_cooldown_s: 0
              scale_in_cooldown_s: 600
              scale_in_hold_s: 600
              respect_manual_s: 60
              stale_after_s: 30
        """)


@dataclass(slots=True)
class Stage:
    """`tables` stands between the app and Azurite; `policy_file` is what the app reads, if it reads a file."""

    world: World
    host: HostProcess
    tables: TableGate
    policy_file: Path
    http: aiohttp.ClientSession

    def set_least(self, instances: int, mode: str = "enforce") -> None:
        """The policy asks for at least so many instances from now on."""
        self.policy_file.write_text(policy_text(instances, mode), encoding="utf-8")

    def capacity(self) -> int:
        """sku.capacity, as Azure holds it."""
        return int(self.world.cloud.estate.deployment(DEPLOYMENT).body["sku"]["capacity"])

    def accepted(self) -> list[RequestRecord]:
        """Changes that Azure took, whatever the caller was told."""
        return [record for record in self.world.cloud.mutations() if record.accepted and record.method == "PATCH"]

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"x-functions-key": self.host.key}
        async with self.http.request(method, f"{self.host.url}/api/{path}", json=body, headers=headers) as answer:
            return await answer.json(content_type=None)

    async def entries(self, kind: str) -> list[Mapping[str, Any]]:
        """The ledger, oldest first."""
        body = await self.call("GET", f"ledger?limit=500&kind={kind}")
        return list(reversed(body["entries"]))

    async def decisions_after(self, known: Set[str]) -> list[Mapping[str, Any]]:
        """The decisions whose ids are not among the known ones."""
        return [entry for entry in await self.entries("decision") if entry["id"] not in known]

    async def outcome_of(self, decision: Mapping[str, Any]) -> Mapping[str, Any]:
        """The one outcome of a decision, once it is there."""
        outcomes: list[Mapping[str, Any]] = []

        async def there() -> bool:
            nonlocal outcomes
            outcomes = (await self.call("GET", f"explain/{decision['id']}"))["outcomes"]
            return bool(outcomes)

        await self.until(f"decision {decision['id']} has an outcome", there)
        (outcome,) = outcomes
        return outcome

    async def orchestration_status(self, instance: str) -> str:
        url = f"{self.host.url}/runtime/webhooks/durabletask/instances/{instance}"
        async with self.http.get(url, params={"code": self.host.key}) as answer:
            return str((await answer.json())["runtimeStatus"])

    async def until_orchestration_ends(self, instance: str) -> None:
        """Wait until this orchestration does not run; it must not have failed."""

        async def over() -> bool:
            status = await self.orchestration_status(instance)
            assert status not in ("Failed", "Terminated")
            return status == "Completed"

        await self.until(f"orchestration {instance} is over", over)

    async def until(
        self, what: str, holds: Callable[[], bool | Awaitable[bool]], patience_s: float = PATIENCE_S
    ) -> float:
        """Wait until it holds; the seconds it took.

        Raises:
            AssertionError: it did not come true; ends with the host's last words.
        """
        started = time.monotonic()
        while True:
            held = holds()
            if await held if isinstance(held, Awaitable) else held:
                return time.monotonic() - started
            if time.monotonic() - started > patience_s:
                raise AssertionError(f"not within {patience_s:.0f} s: {what}\n{self.host.log_tail()}")
            await asyncio.sleep(GLANCE_S)


@asynccontextmanager
async def stage(
    azurite: str,
    folder: Path,
    *,
    shape: Shape = SMALL,
    assumptions: Mapping[str, str] | None = None,
    sweep: str = EVERY_SECOND,
    least: int = 1,
    **settings: str,
) -> AsyncIterator[Stage]:
    """Everything started, the app included, with tables of its own; nothing runs on afterwards."""
    policy_file = folder / "policy.yaml"
    policy_file.write_text(policy_text(least), encoding="utf-8")
    world = World(RealClock(), shape, assumptions=assumptions)
    await world.start()
    async with TableGate(azurite) as tables, aiohttp.ClientSession() as http:
        chosen = {
            "WATCHKEEPER_SWEEP_SCHEDULE": sweep,
            "WATCHKEEPER_POLICY_MAX_AGE_S": "0.2",
            "WATCHKEEPER_TABLE_PREFIX": f"e{uuid4().hex[:12]}",
        }
        host = HostProcess(
            ROOT, folder / "host", world.app_settings(tables.connection_string, policy_file, **chosen | settings)
        )
        try:
            await host.start()
            yield Stage(world, host, tables, policy_file, http)
        finally:
            await host.stop()
            await world.stop()
