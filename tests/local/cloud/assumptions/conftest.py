"""What stands in the local Azure besides the estate of `tests/local/cloud/conftest.py`."""

import pytest

from local.cloud import Cloud, FixedQueues
from local.cloud.throttling import BucketSizes
from tests.local.cloud.conftest import ROLES, SUB, StartCloud


@pytest.fixture
def orders(cloud: Cloud) -> FixedQueues:
    queues = FixedQueues("orders-bus", ["orders", "returns"])
    cloud.attach_queues(queues)
    return queues


@pytest.fixture
async def notes(start_cloud: StartCloud) -> Cloud:
    """A vault that slows its callers down after two reads, and one that was deleted."""
    vaults = [{"name": "notes-kv", "group": "rg", "region": "westeurope", "secrets": {"door": "one"}}]
    described = {"subscriptions": [{"id": SUB, "vaults": vaults}]}
    cloud: Cloud = await start_cloud(described, roles=ROLES, buckets=BucketSizes(vault_reads=2))
    return cloud
