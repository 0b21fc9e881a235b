"""One namespace and its links for all tests of the folder.

The local broker's; or another one with the queues of `config.json` (the official emulator), when
WATCHKEEPER_TEST_SERVICEBUS has its connection string. Opening a link takes the SDK half a second whatever it talks
to, so the tests share their senders and receivers, and each leaves its queue empty.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from azure.servicebus.aio import ServiceBusClient

from local.clock import RealClock
from tests.local.servicebus.conformance.builders import ELSEWHERE, LOCK_S
from tests.local.servicebus.conformance.shared_links import Links
from tests.local.servicebus.conftest import broker_in_thread

OPENED_FIRST = ("plain", "poison", "expiring", "deduplicated", "short-lock", "renewed", "closed", "competing")


@pytest.fixture(scope="package")
def connection_string() -> Iterator[str]:
    if ELSEWHERE:
        yield ELSEWHERE
        return
    settings = json.loads((Path(__file__).parents[1] / "config.json").read_text())
    for queue in settings["UserConfig"]["Namespaces"][0]["Queues"]:
        if queue["Name"] in LOCK_S:
            queue["Properties"]["LockDuration"] = f"PT{LOCK_S[queue['Name']]:g}S"
    with broker_in_thread(settings, RealClock()) as broker:
        yield broker.connection_string


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def shared_links(connection_string: str) -> AsyncIterator[Links]:
    async with ServiceBusClient.from_connection_string(connection_string, retry_total=0) as client:
        opened = Links(client)
        if not ELSEWHERE:  # together they take no longer than one
            await asyncio.gather(*(opened.both(queue) for queue in OPENED_FIRST))
        yield opened
        await opened.close()


@pytest_asyncio.fixture(loop_scope="package")
async def links(shared_links: Links) -> AsyncIterator[Links]:
    yield shared_links
    if ELSEWHERE:  # the official emulator allows ten connections, and every link has its own
        await shared_links.close(keep="plain")
