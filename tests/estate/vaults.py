"""A reader of secrets with the real client over the local vault, and tables of its own in Azurite."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from local.cloud.estate import Vault as LocalVault
from shared.estate.identity import make_credential
from shared.estate.secrets import SecretReader
from shared.estate.vault import Vault
from shared.records import open_tables
from shared.records.generations import Generations, GenerationWatch
from shared.records.secret_uses import SecretUses
from tests.estate.azure import Azure, running_azure, small_estate

VAULT_URL = "https://watch-kv.vault.azure.net"
TTL_S, STALE_S, CHECK_S = 600.0, 1800.0, 5.0


def estate_with_vault(**secrets: str) -> dict[str, Any]:
    estate = small_estate()
    vault = {"name": "watch-kv", "group": "rg-ml", "region": "westeurope", "secrets": secrets}
    estate["subscriptions"][0]["vaults"] = [vault]
    return estate


@dataclass
class Keeping:
    """One reader, its vault, and the local Azure behind it."""

    azure: Azure
    reader: SecretReader
    watch: GenerationWatch
    uses: SecretUses
    vault: LocalVault

    def asked(self) -> int:
        """Requests that reached the vault with a token."""
        return sum(r.host.endswith("vault.azure.net") and r.status != 401 for r in self.azure.cloud.requests)

    def rotate(self, name: str, value: str, **options: Any) -> str:
        """A person makes a new version; its id."""
        return self.vault.set(name, value, self.azure.now(), **options).id


@asynccontextmanager
async def keeping(azurite: str, *, prefix: str = "", url: str = VAULT_URL, **options: Any) -> AsyncIterator[Keeping]:
    """A local Azure with `link-key`, and a reader; `options` are those of `Cloud`."""
    prefix = prefix or f"S{uuid.uuid4().hex[:12]}"
    async with (
        running_azure(estate_with_vault(**{"link-key": "first-value"}), **options) as azure,
        another_reader(azure, azurite, prefix, url) as kept,
    ):
        yield kept


@asynccontextmanager
async def another_reader(azure: Azure, azurite: str, prefix: str, url: str = VAULT_URL) -> AsyncIterator[Keeping]:
    """As another process would have: its own credential, client, caches; only Azure and the tables are shared."""
    credential = make_credential(identity_endpoint=azure.cloud.environment()["IDENTITY_ENDPOINT"], client_id="")
    async with open_tables({"AzureWebJobsStorage": azurite}, prefix=prefix) as tables:
        watch = GenerationWatch(Generations(tables), azure.now, CHECK_S)
        vault = Vault(url, credential, azure.now, sleep=azure.pauses)
        reader = SecretReader(vault, watch, SecretUses(tables), azure.now, ttl_s=TTL_S, stale_s=STALE_S)
        try:
            yield Keeping(azure, reader, watch, SecretUses(tables), azure.cloud.estate.vault("watch-kv"))
        finally:
            await reader.close()
            await credential.close()
