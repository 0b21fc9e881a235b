"""Fixtures for every test: Azure Storage, played by Azurite, and what a test has in it."""

import uuid
from collections.abc import AsyncIterator, Iterator

import pytest
from hypothesis import HealthCheck, settings

from local.azurite import Azurite
from shared.records import Tables, open_tables
from shared.records.blobs import Blobs, open_blobs

# No test is timed: a busy machine makes none of them fail.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


@pytest.fixture(scope="session")
def azurite() -> Iterator[str]:
    """The connection string of an Azurite of this test process (one per pytest-xdist worker)."""
    with Azurite() as running:
        yield running.connection_string


@pytest.fixture
def prefix() -> str:
    """Of the tables and containers of one test."""
    return f"T{uuid.uuid4().hex[:16]}"


@pytest.fixture
async def tables(azurite: str, prefix: str) -> AsyncIterator[Tables]:
    """Tables of the test's own, through the real client."""
    async with open_tables({"AzureWebJobsStorage": azurite}, prefix=prefix) as opened:
        yield opened


@pytest.fixture
async def blobs(azurite: str, prefix: str) -> AsyncIterator[Blobs]:
    """The same of blobs."""
    opened = open_blobs({"AzureWebJobsStorage": azurite}, prefix=prefix)
    yield opened
    await opened.close()
