"""A small estate on a virtual clock, and real clients that are led to it by the standard settings alone."""

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from local.clock import VirtualClock
from local.cloud import Cloud, Estate, subscription_id
from local.cloud.estate import Deployment
from tests.local.cloud.clients import ArmClient

ROLES = Path(__file__).parents[3] / "infra" / "roles.json"
SUB = subscription_id()
WORKSPACE = (
    f"/subscriptions/{SUB}/resourceGroups/rg-vision/providers/Microsoft.MachineLearningServices/workspaces/vision"
)
ENDPOINT = f"{WORKSPACE}/onlineEndpoints/fraud"
BLUE = f"{ENDPOINT}/deployments/blue"
NAMESPACE = f"/subscriptions/{SUB}/resourceGroups/rg-vision/providers/Microsoft.ServiceBus/namespaces/orders-bus"
COLD_START_S = 120.0

DESCRIPTION: dict[str, Any] = {
    "subscriptions": [
        {
            "id": SUB,
            "workspaces": [
                {
                    "name": "vision",
                    "group": "rg-vision",
                    "region": "westeurope",
                    "endpoints": [
                        {
                            "name": "fraud",
                            "traffic": {"blue": 100, "Green": 0},
                            "deployments": [
                                {
                                    "name": "blue",
                                    "size": "Standard_DS3_v2",
                                    "capacity": 2,
                                    "cold_start_s": COLD_START_S,
                                },
                                {
                                    "name": "Green",
                                    "size": "Standard_DS3_v2",
                                    "capacity": 1,
                                    "cold_start_s": COLD_START_S,
                                },
                            ],
                        }
                    ],
                }
            ],
            "namespaces": [
                {"name": "orders-bus", "group": "rg-vision", "region": "westeurope", "queues": ["orders", "returns"]}
            ],
            "autoscale": [
                {
                    "name": "green-scale",
                    "group": "rg-vision",
                    "region": "westeurope",
                    "target": f"{ENDPOINT}/deployments/Green",
                }
            ],
            "quota": {"westeurope": {"standardDSv2Family": 60}},
        }
    ]
}


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


StartCloud = Callable[..., Any]


@pytest.fixture
def all_rights(tmp_path: Path) -> Path:
    grants = {"actions": [{"action": "Microsoft.*", "why": "these tests are not about rights"}], "dataActions": []}
    path = tmp_path / "roles.json"
    path.write_text(json.dumps(grants), encoding="utf-8")
    return path


@pytest.fixture
async def start_cloud(
    clock: VirtualClock, monkeypatch: pytest.MonkeyPatch, all_rights: Path
) -> AsyncIterator[StartCloud]:
    """Starts clouds with the arguments of `Cloud`, and sets the environment for real clients."""
    started: list[Cloud] = []

    async def start(description: dict[str, Any] | None = None, **options: Any) -> Cloud:
        estate = Estate.from_dict(description or DESCRIPTION)
        cloud = Cloud(clock, estate, **({"roles": all_rights} | options))
        await cloud.start()
        started.append(cloud)
        clock.add_busy_probe(cloud.busy)
        for name, value in cloud.environment().items():
            monkeypatch.setenv(name, value)
        cloud.trust_in_this_process()
        return cloud

    yield start
    for cloud in started:
        await cloud.stop()


@pytest.fixture
async def cloud(start_cloud: StartCloud) -> Cloud:
    started: Cloud = await start_cloud()
    return started


@pytest.fixture
async def arm(cloud: Cloud) -> AsyncIterator[ArmClient]:
    async with ArmClient() as client:
        yield client


@pytest.fixture
def blue(cloud: Cloud) -> Deployment:
    return cloud.estate.deployment(BLUE)
