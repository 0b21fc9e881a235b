"""Stores over the tables of the test."""

from collections.abc import AsyncIterator

import pytest

from shared.records import ControlStore, Ledger, Outbox, StateStore, Tables
from tests.records.lossy_proxy import LossyProxy


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
def outbox(tables: Tables) -> Outbox:
    return Outbox(tables)


@pytest.fixture
async def proxy(azurite: str) -> AsyncIterator[LossyProxy]:
    async with LossyProxy(azurite) as running:
        yield running
