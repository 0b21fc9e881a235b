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
from uuid import uuid4

from shared.settings import STORAGE, Settings, read_settings

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential

    from shared.estate.arm import Arm
    from shared.estate.caches import Cache
    from shared.estate.dead_letters import DeadLetters
    from shared.estate.reader import EstateReader
    from shared.estate.secrets import SecretReader
    from shared.estate.vault import Vault
    from shared.loops.engine import Engine
    from shared.loops.intake import Intake
    from shared.loops.stores import Stores
    from shared.people.delivery import Deliverer
    from shared.people.door import Door
    from shared.policy import PolicyCache
    from shared.policy.cache import TagReader
    from shared.policy.sources import PolicySource, ProjectsSource
    from shared.records.blobs import Blobs
    from shared.records.generations import GenerationWatch
    from shared.records.tables import Tables
    from shared.safety.approvals.links import LinkSigner

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
    blobs: "Blobs"
    stores: "Stores"
    policies: "PolicyCache"
    engine: "Engine"
    watch: "GenerationWatch"
    secrets: "SecretReader"
    caches: "tuple[Cache, ...]"
    intake: "Intake"
    door: "Door"
    deliverer: "Deliverer"
    dead_letters: "DeadLetters"

    async def close(self) -> None:
        await self.deliverer.close()
        await self.dead_letters.close()
        await self.secrets.close()
        await self.reader.close()
        await self.arm.close()
        await self.tables.close()
        await self.blobs.close()
        await self.credential.close()


def build(settings: Settings, now: Now, sleep: Sleep = asyncio.sleep) -> Services:
    """All parts, wired. Opens no connection: each client connects on its first request.

    `sleep` is what a read of Azure waits with before it tries again (seconds).
    """
    logging.getLogger("azure").setLevel(logging.WARNING)  # the SDKs log every request's headers at INFO
    from shared.estate.arm import Arm
    from shared.estate.caches import watch_caches
    from shared.estate.dead_letters import DeadLetters
    from shared.estate.identity import make_credential
    from shared.estate.reader import make_reader
    from shared.estate.vault import Vault
    from shared.estate.workspaces import WorkspaceReader
    from shared.loops.engine import Engine, discover_loops
    from shared.records.blobs import open_blobs
    from shared.records.generations import Generations, GenerationWatch
    from shared.records.tables import open_tables
    from shared.safety.approvals.links import LinkSigner

    credential = make_credential(identity_endpoint=settings.identity_endpoint, client_id=settings.identity_client_id)
    arm = Arm(credential, sleep=sleep)
    blobs = open_blobs(settings.storage, credential, prefix=settings.table_prefix)
    tables = open_tables(settings.storage, credential, prefix=settings.table_prefix)
    watch = GenerationWatch(Generations(tables), now, settings.generation_check_s)
    reader = make_reader(arm, credential, now, watch.check)
    vault = Vault(settings.vault_url, credential, now, sleep=sleep) if settings.vault_url else None
    secrets = _secret_reader(settings, vault, watch, tables, now)
    stores = _stores(tables, LinkSigner(secrets if vault else None, settings.public_url), now)
    policies = _policies(settings, credential, tables, WorkspaceReader(arm, sleep=sleep).tags, now)
    loops = discover_loops(reader)
    engine = Engine(policies=policies, loops=loops, stores=stores, last_view=reader.last_view, now=now)
    caches = watch_caches(watch, reader, settings.secret_max_age_s)
    intake = _intake(tables, blobs, engine, stores, secrets, now, sleep)
    return Services(
        settings=settings,
        now=now,
        credential=credential,
        arm=arm,
        reader=reader,
        tables=tables,
        blobs=blobs,
        stores=stores,
        policies=policies,
        engine=engine,
        watch=watch,
        secrets=secrets,
        caches=caches,
        intake=intake,
        door=stores.door,
        deliverer=_deliverer(settings, credential, arm, policies, stores, secrets, now),
        dead_letters=DeadLetters(credential),
    )


def _stores(tables: "Tables", signer: "LinkSigner", now: Now) -> "Stores":
    from shared.loops.stores import Stores
    from shared.records.approvals import ApprovalStore
    from shared.records.controls import ControlStore
    from shared.records.gates import GateStore
    from shared.records.ledger import Ledger
    from shared.records.outbox import Outbox
    from shared.records.progress import ProgressStore
    from shared.records.state import StateStore
    from shared.safety.approvals.desk import ApprovalDesk

    state, ledger, outbox = StateStore(tables), Ledger(tables), Outbox(tables)
    asking = ApprovalDesk(
        store=ApprovalStore(tables), state=state, ledger=ledger, outbox=outbox, signer=signer, now=now
    )
    return Stores(
        state=state,
        controls=ControlStore(tables),
        ledger=ledger,
        progress=ProgressStore(tables),
        outbox=outbox,
        gates=GateStore(tables),
        approvals=asking,
    )


def _policies(
    settings: Settings, credential: "AsyncTokenCredential", tables: "Tables", read_tags: "TagReader", now: Now
) -> "PolicyCache":
    from shared.policy import PolicyCache
    from shared.records.policies import PolicyStore

    return PolicyCache(
        _policy_source(settings, credential),
        now,
        settings.policy_max_age_s,
        projects=_projects_source(settings, credential),
        kept=PolicyStore(tables),
        read_tags=read_tags,
    )


def _deliverer(
    settings: Settings,
    credential: "AsyncTokenCredential",
    arm: "Arm",
    policies: "PolicyCache",
    stores: "Stores",
    secrets: "SecretReader",
    now: Now,
) -> "Deliverer":
    from shared.people.channels.event_grid import EventGridSender
    from shared.people.channels.mail import MailSender
    from shared.people.channels.webhook import WebhookSender
    from shared.people.delivery import Deliverer
    from shared.people.owners import ResourceTags

    webhook = WebhookSender(secrets)
    return Deliverer(
        outbox=stores.outbox,
        ledger=stores.ledger,
        policies=policies,
        senders={
            "event_grid": EventGridSender(settings.notice_topic, credential),
            "teams": webhook,
            "slack": webhook,
            "webhook": webhook,
            "mail": MailSender(settings.mail_endpoint, settings.mail_sender, credential),
        },
        tags_of=ResourceTags(arm, policies, now).of,
        public_url=settings.public_url,
        now=now,
    )


def _secret_reader(
    settings: Settings, vault: "Vault | None", watch: "GenerationWatch", tables: "Tables", now: Now
) -> "SecretReader":
    from shared.estate.secrets import SecretReader
    from shared.records.secret_uses import SecretUses

    uses = SecretUses(tables)
    return SecretReader(vault, watch, uses, now, ttl_s=settings.secret_max_age_s, stale_s=settings.secret_stale_s)


def _intake(
    tables: "Tables",
    blobs: "Blobs",
    engine: "Engine",
    stores: "Stores",
    secrets: "SecretReader",
    now: Now,
    sleep: Sleep,
) -> "Intake":
    from shared.loops.intake import Intake
    from shared.loops.listeners import NewSecretVersions, SecretsThatRunOut
    from shared.records.claims import Claims
    from shared.records.quarantine import Quarantine
    from shared.records.signals import SignalKinds

    return Intake(
        engine=engine,
        ledger=stores.ledger,
        claims=Claims(tables),
        quarantine=Quarantine(tables, blobs),
        kinds=SignalKinds(tables),
        listeners=(NewSecretVersions(secrets), SecretsThatRunOut(secrets, stores.door, now)),
        owner=uuid4().hex,
        now=now,
        sleep=sleep,
    )


def _policy_source(settings: Settings, credential: "AsyncTokenCredential") -> "PolicySource":
    from shared.policy import BlobPolicySource, FilePolicySource

    if settings.policy_file:
        return FilePolicySource(Path(settings.policy_file))
    from azure.storage.blob.aio import BlobClient

    from shared.records.account import endpoint

    container, _, path = settings.policy_blob.partition("/")
    if connection_string := settings.storage.get(STORAGE):
        return BlobPolicySource(BlobClient.from_connection_string(connection_string, container, path))
    return BlobPolicySource(BlobClient(endpoint(settings.storage, "blob"), container, path, credential=credential))


def _projects_source(settings: Settings, credential: "AsyncTokenCredential") -> "ProjectsSource | None":
    from shared.policy import BlobProjects, FolderProjects

    if not settings.policy_projects:
        return None
    if settings.policy_file:
        return FolderProjects(Path(settings.policy_projects))
    from azure.storage.blob.aio import ContainerClient

    from shared.records.account import endpoint

    container, _, prefix = settings.policy_projects.partition("/")
    if connection_string := settings.storage.get(STORAGE):
        return BlobProjects(ContainerClient.from_connection_string(connection_string, container), prefix)
    return BlobProjects(ContainerClient(endpoint(settings.storage, "blob"), container, credential=credential), prefix)


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


class TimersStopped(RuntimeError):
    """A timer gives no sign of life: the app answers, but nothing happens by itself."""


async def readiness(made: Services) -> dict[str, str]:
    """What the app needs, each "ok" or why not: policy, tables, the right to ask Azure, timers that still run."""
    from shared.records.heartbeats import silent

    async def word(check: Callable[[], Awaitable[object]]) -> str:
        try:
            await check()
        except Exception as error:  # whatever it is, the operator must read it
            return f"{type(error).__name__}: {error}"
        return "ok"

    async def timers() -> None:
        stopped = silent(await made.stores.progress.all(), made.now())
        if stopped:
            raise TimersStopped("; ".join(f"no sign of life of the {name} since {at}" for name, at in stopped.items()))

    return {
        "policy": await word(made.policies.current),
        "tables": await word(lambda: made.stores.controls.load(made.now())),
        "azure": await word(lambda: made.credential.get_token(ARM_SCOPE)),
        "timers": await word(timers),
    }
