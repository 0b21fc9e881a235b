"""The composition root: every part of this process made once, from the settings and a clock, on first use.

Imports are inside the functions on purpose: a function app is imported at every cold start, and the Azure clients cost
more than all the rest.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from shared.settings import STORAGE, Settings, read_settings

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential

    from shared.estate.arm import Arm
    from shared.estate.reader import EstateReader
    from shared.loops.engine import Engine
    from shared.loops.rounds import Stores
    from shared.policy import PolicyCache
    from shared.policy.sources import PolicySource
    from shared.records.tables import Tables

Now = Callable[[], datetime]
Sleep = Callable[[float], Awaitable[object]]

ARM_SCOPE = "https://management.azure.com/.default"


@dataclass(slots=True)
class Services:
    """What the handlers work with."""

    settings: Settings
    now: Now
    credential: "AsyncTokenCredential"
    arm: "Arm"
    reader: "EstateReader"
    tables: "Tables"
    stores: "Stores"
    policies: "PolicyCache"
    engine: "Engine"

    async def close(self) -> None:
        await self.reader.close()
        await self.arm.close()
        await self.tables.close()
        await self.credential.close()


def build(settings: Settings, now: Now, sleep: Sleep = asyncio.sleep) -> Services:
    """All parts, wired. Opens no connection: each client connects on its first request.

    `sleep` is what a read of Azure waits with before it tries again (seconds).
    """
    logging.getLogger("azure").setLevel(logging.WARNING)  # the SDKs log every request's headers at INFO
    from shared.estate.arm import Arm
    from shared.estate.identity import make_credential
    from shared.estate.reader import make_reader
    from shared.loops.engine import Engine, discover_loops
    from shared.loops.rounds import Stores
    from shared.policy import PolicyCache
    from shared.records.controls import ControlStore
    from shared.records.ledger import Ledger
    from shared.records.state import StateStore
    from shared.records.tables import open_tables

    credential = make_credential(identity_endpoint=settings.identity_endpoint, client_id=settings.identity_client_id)
    arm = Arm(credential, sleep=sleep)
    reader = make_reader(arm, credential, now)
    tables = open_tables(settings.storage, credential, prefix=settings.table_prefix)
    stores = Stores(state=StateStore(tables), controls=ControlStore(tables), ledger=Ledger(tables))
    policies = PolicyCache(_policy_source(settings, credential), now, settings.policy_max_age_s)
    engine = Engine(policies=policies, loops=discover_loops(reader), stores=stores, now=now)
    return Services(settings, now, credential, arm, reader, tables, stores, policies, engine)


def _policy_source(settings: Settings, credential: "AsyncTokenCredential") -> "PolicySource":
    from shared.policy import BlobPolicySource, FilePolicySource

    if settings.policy_file:
        return FilePolicySource(Path(settings.policy_file))
    from azure.storage.blob.aio import BlobClient

    container, _, path = settings.policy_blob.partition("/")
    if connection_string := settings.storage.get(STORAGE):
        return BlobPolicySource(BlobClient.from_connection_string(connection_string, container, path))
    return BlobPolicySource(BlobClient(_blob_endpoint(settings), container, path, credential=credential))


def _blob_endpoint(settings: Settings) -> str:
    account = settings.storage.get(f"{STORAGE}__accountName", "")
    return settings.storage.get(f"{STORAGE}__blobServiceUri") or f"https://{account}.blob.core.windows.net"


def utc_now() -> datetime:
    return datetime.now(UTC)


_services: Services | None = None


def services() -> Services:
    """This process's services.

    Raises:
        SettingsInvalid: listing everything that is wrong with the app settings.
    """
    global _services  # noqa: PLW0603  # one set of clients a process is the point
    if _services is None:
        _services = build(read_settings(), utc_now)
    return _services


def install(made: Services | None) -> None:
    """Use these services from now on, or make new ones (None): for whoever runs the app on a clock of his own."""
    global _services  # noqa: PLW0603
    _services = made


async def readiness(made: Services) -> dict[str, str]:
    """What the app needs, each "ok" or why not: policy, tables, the right to ask Azure."""

    async def word(check: Callable[[], Awaitable[object]]) -> str:
        try:
            await check()
        except Exception as error:  # whatever it is, the operator must read it
            return f"{type(error).__name__}: {error}"
        return "ok"

    return {
        "policy": await word(made.policies.current),
        "tables": await word(lambda: made.stores.controls.load(made.now())),
        "azure": await word(lambda: made.credential.get_token(ARM_SCOPE)),
    }
