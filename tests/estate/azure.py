"""The local Azure as these tests use it: a small estate, reached by the real clients under Azure's real host names."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp.connector
import pytest

from local.clock import VirtualClock
from local.cloud import Cloud
from local.cloud.estate import Estate, subscription_id
from local.cloud.queues import FixedQueues, QueueCounts
from shared.domain import DeploymentId, QueueId
from shared.estate.arm import Arm
from shared.estate.identity import make_credential
from shared.estate.reader import EstateReader, WatchSpec, make_reader

ROLES = Path(__file__).parents[2] / "infra" / "roles.json"
SUBSCRIPTION = subscription_id(1)
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-ml/providers"
ENDPOINT = f"{GROUP}/Microsoft.MachineLearningServices/workspaces/vision/onlineEndpoints/labels"
BLUE = DeploymentId.parse(f"{ENDPOINT}/deployments/blue")
GREEN = DeploymentId.parse(f"{ENDPOINT}/deployments/green")
NAMESPACE = f"{GROUP}/Microsoft.ServiceBus/namespaces/intake"
IMAGES = QueueId.parse(f"{NAMESPACE}/queues/images")
TEXTS = QueueId.parse(f"{NAMESPACE}/queues/texts")


def small_estate() -> dict[str, Any]:
    """One endpoint with two deployments in westeurope, one namespace with two queues in northeurope."""
    deployments = [
        {"name": "blue", "size": "Standard_DS3_v2", "capacity": 2, "cold_start_s": 60},
        {"name": "green", "size": "Standard_F4s_v2", "capacity": 1, "cold_start_s": 60},
    ]
    endpoint = {"name": "labels", "traffic": {"blue": 100}, "deployments": deployments}
    return {
        "subscriptions": [
            {
                "id": SUBSCRIPTION,
                "workspaces": [
                    {"name": "vision", "group": "rg-ml", "region": "westeurope", "endpoints": [endpoint]},
                ],
                "namespaces": [
                    {"name": "intake", "group": "rg-ml", "region": "northeurope", "queues": ["images", "texts"]}
                ],
                "quota": {"westeurope": {"regional": 200, "standardDSv2Family": 40, "standardFSv2Family": 8}},
            }
        ]
    }


@dataclass
class Pauses:
    """Stands in for sleep: remembers how long it was asked to, and passes that time on the local Azure's clock."""

    clock: VirtualClock
    asked_s: list[float] = field(default_factory=list)

    async def __call__(self, delay_s: float) -> None:
        self.asked_s.append(delay_s)
        await self.clock.advance(delay_s)


@dataclass
class Azure:
    """A running local Azure, its queues, and our clients of it."""

    clock: VirtualClock
    cloud: Cloud
    queues: FixedQueues
    arm: Arm
    reader: EstateReader
    pauses: Pauses

    def now(self) -> datetime:
        return self.clock.now()

    def count(self, method: str, path: str) -> int:
        """Requests that reached Azure, by method and end of the path (letter case ignored)."""
        return sum(r.method == method and r.path.lower().endswith(path.lower()) for r in self.cloud.requests)

    def mutations(self) -> int:
        return len(self.cloud.mutations())

    def counts(self, queue: str, **states: int) -> None:
        self.queues.set(queue, QueueCounts(**states))

    async def minutes(self, number: float) -> None:
        await self.clock.advance(60 * number)

    def rate(self, queue: str, *, arrived: int, completed: int, at: datetime) -> None:
        self.queues.observe(queue, "IncomingMessages", arrived, at)
        self.queues.observe(queue, "CompleteMessage", completed, at)


def spec(deployment: DeploymentId = BLUE, queue: QueueId = IMAGES, **changes: Any) -> WatchSpec:
    settings: dict[str, Any] = {"stale_after_s": 300.0, "price_usd_per_hour": None, "quota_reserve_pct": 20.0}
    return WatchSpec(target_key=deployment.key, deployment=deployment, queue=queue, **(settings | changes))


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """The variables set, and the certificate trusted by the TLS context that aiohttp made when it was imported."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        aiohttp.connector._SSL_CONTEXT_VERIFIED.load_verify_locations(variables["SSL_CERT_FILE"])
        yield


@asynccontextmanager
async def running_azure(
    estate: Mapping[str, Any] | None = None, *, start: datetime | None = None, **options: Any
) -> AsyncIterator[Azure]:
    """Start a local Azure for `estate` at `start`; `options` are those of `Cloud`."""
    clock = VirtualClock(start) if start else VirtualClock()
    cloud = Cloud(clock, Estate.from_dict(estate or small_estate()), **({"roles": ROLES} | options))
    queues = FixedQueues("intake", ["images", "texts"])
    if any(namespace.name == "intake" for namespace in cloud.estate.namespaces()):
        cloud.attach_queues(queues)
    await cloud.start()
    clock.add_busy_probe(cloud.busy)
    try:
        with environment(cloud.environment()):
            credential = make_credential(identity_endpoint=cloud.environment()["IDENTITY_ENDPOINT"], client_id="")
            pauses = Pauses(clock)
            arm = Arm(credential, sleep=pauses, read_timeout_s=5.0)
            reader = make_reader(arm, credential, clock.now)
            try:
                yield Azure(clock, cloud, queues, arm, reader, pauses)
            finally:
                await reader.close()
                await arm.close()
                await credential.close()
    finally:
        await cloud.stop()


class Ticking:
    """A moment of one's own, moved by hand."""

    def __init__(self, start: datetime) -> None:
        self.at = start

    def __call__(self) -> datetime:
        return self.at

    def passes(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
