"""One host a test process, one arena a test. A module says `pytestmark = VIRTUAL`: host and tests share one loop."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio

from tests.virtual.arena import Arena, VirtualApp, arena

VIRTUAL = [pytest.mark.asyncio(loop_scope="session")]

OpenArena = Callable[..., AbstractAsyncContextManager[Arena]]


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


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A module's tests run in one process, one after the other; different modules may share the work."""
    for item in items:
        if "/tests/virtual/" in item.path.as_posix():
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
