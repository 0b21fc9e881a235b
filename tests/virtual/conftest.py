"""One host a test process, one arena a test."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio

from tests.virtual.arena import Arena, VirtualApp, arena

OpenArena = Callable[..., AbstractAsyncContextManager[Arena]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/virtual/" in item.nodeid:
            item.add_marker(pytest.mark.asyncio(loop_scope="session"))
            item.add_marker(pytest.mark.xdist_group("virtual"))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def virtual_app() -> AsyncIterator[VirtualApp]:
    app = VirtualApp()
    await app.start()
    yield app
    await app.host.stop()


@pytest.fixture
def open_arena(virtual_app: VirtualApp, azurite: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OpenArena:
    """`async with open_arena(shape=..., policy=..., assumptions=...) as arena`."""
    return partial(arena, virtual_app, azurite, tmp_path, monkeypatch)
