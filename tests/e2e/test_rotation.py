"""Two processes share no memory: a rotated secret reaches both, though only one of them hears of it."""

import asyncio
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp

from local.host_process import HostProcess
from local.world import LINK_KEY, ROOT, VAULT
from shared.records import open_tables
from shared.records.secret_uses import SecretUses
from tests.e2e.stage import HOURLY, Stage, stage

CHECK_S = 1.0
PATIENCE_S = 15.0


class Process:
    """One app process, as an operator sees it."""

    def __init__(self, host: HostProcess, http: aiohttp.ClientSession) -> None:
        self._host, self._http = host, http

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"x-functions-key": self._host.key}
        async with self._http.request(method, f"{self._host.url}/api/{path}", json=body, headers=headers) as answer:
            assert answer.status < 300, await answer.text()
            return await answer.json()

    async def version(self) -> str:
        """Of the link key, as this process has it."""
        (secret,) = (await self.call("GET", "secrets"))["secrets"]
        assert secret["usable"], secret
        return str(secret["version"])


def announced(on: Stage, version: str) -> dict[str, Any]:
    """The vault's event of a new version."""
    return {
        "id": uuid4().hex,
        "topic": VAULT,
        "subject": LINK_KEY,
        "eventType": "Microsoft.KeyVault.SecretNewVersionCreated",
        "eventTime": on.world.clock.now().isoformat(),
        "dataVersion": "1",
        "data": {"VaultName": "demo-kv", "ObjectType": "Secret", "ObjectName": LINK_KEY, "Version": version},
    }


async def test_a_rotation_reaches_both_processes_though_one_hears_of_it(azurite: str, tmp_path: Path) -> None:
    prefix = f"r{uuid4().hex[:12]}"
    async with stage(
        azurite,
        tmp_path,
        sweep=HOURLY,
        WATCHKEEPER_TABLE_PREFIX=prefix,
        WATCHKEEPER_GENERATION_CHECK_S=str(CHECK_S),
    ) as on:
        async with open_tables({"AzureWebJobsStorage": azurite}, prefix=prefix) as tables:
            await SecretUses(tables).note("demo-kv", LINK_KEY, on.world.clock.now())
        other = HostProcess(ROOT, tmp_path / "other", on.host._settings)
        try:
            await other.start()
            hears, hears_not = Process(on.host, on.http), Process(other, on.http)
            (first,) = on.world.vault.secrets[LINK_KEY]
            assert [await one.version() for one in (hears, hears_not)] == [first.id] * 2
            second = on.world.vault.set(LINK_KEY, "a new key, long enough to sign with", on.world.clock.now())
            await asyncio.sleep(2 * CHECK_S)
            assert [await one.version() for one in (hears, hears_not)] == [first.id] * 2, "both keep what they have"
            await hears.call("POST", "alerts", announced(on, second.id))
            assert await hears.version() == second.id

            async def reached() -> bool:
                return await hears_not.version() == second.id

            await on.until("the rotation reached the process that did not hear of it", reached, PATIENCE_S)
        finally:
            await other.stop()
