"""Fixtures for every test: Azure Storage, played by Azurite."""

from collections.abc import Iterator

import pytest

from local.azurite import Azurite


@pytest.fixture(scope="session")
def azurite() -> Iterator[str]:
    """The connection string of an Azurite of this test process (one per pytest-xdist worker)."""
    with Azurite() as running:
        yield running.connection_string
