"""Tables of their own for each test, in the Azurite of the session, through the real client."""

import uuid
from collections.abc import AsyncIterator

import pytest

from shared.records import ControlStore, Ledger, StateStore, Tables, open_tables
from tests.records.lossy_proxy import LossyProxy


@pytest.fixture
def prefix() -> str:
    return f"T{uuid.uuid4().hex[:16]}"


@pytest.fixture
async def tables(azurite: str, prefix: str) -> AsyncIterator[Tables]:
    async with open_tables({"AzureWebJobsStorage": azurite}, prefix=prefix) as opened:
        yield opened


@pytest.fixture
def state(tables: Tables) -> StateStore:
    return StateStore(tables)


@pytest.fixture
def controls(tables: Tables) -> ControlStore:
    return ControlStore(tables)


@pytest.fixture
def ledger(tables: Tables) -> Ledger:
    return Ledger(tables)


@pytest.fixture
async def proxy(azurite: str) -> AsyncIterator[LossyProxy]:
    async with LossyProxy(azurite) as running:
        yield running
