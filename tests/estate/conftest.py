"""The running local Azure of these tests."""

from collections.abc import AsyncIterator

import pytest

from tests.estate.azure import Azure, running_azure


@pytest.fixture
async def azure() -> AsyncIterator[Azure]:
    async with running_azure() as running:
        yield running
