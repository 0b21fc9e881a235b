"""A canary secret is searched for in everything that the app produced, and found nowhere; a leak is found anywhere."""

import gzip
import json
import logging
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from azure.storage.blob.aio import BlobServiceClient

from shared.domain import Notice
from shared.estate.vault import Secret, Vault
from shared.records.rows import Entity, value_columns
from tests.virtual.arena import Arena
from tests.virtual.canary.scenario import POLICY as CANARY_POLICY
from tests.virtual.canary.scenario import canaries_of, live_through, look_everywhere, trapped_logs
from tests.virtual.canary.search import Found
from tests.virtual.conftest import VIRTUAL, OpenArena

pytestmark = VIRTUAL

# Where the scenario must have produced something, or the search has proved nothing.
PLACES = {"logs", "tables", "blobs", "orchestrations", "answers", "exceptions", "objects", "notices", "pickles"}


async def test_secrets_are_found_nowhere(open_arena: OpenArena, azurite: str) -> None:
    async with trapped_logs() as trap, open_arena(policy=CANARY_POLICY) as arena:
        canaries = canaries_of(arena)
        await live_through(arena, canaries)
        await look_everywhere(arena, canaries, trap, azurite)
        assert canaries.found == []
        assert set(canaries.looked_at) == PLACES
        assert canaries.looked_at["logs"] > 100
        assert canaries.looked_at["tables"] > 100


def _log(arena: Arena, value: str) -> None:
    logging.getLogger("some.library").debug("got %s", {"value": value})


async def _row(arena: Arena, value: str) -> None:
    text = json.dumps({"noise": [uuid.uuid4().hex for _ in range(4000)], "value": value})
    columns = value_columns(text)
    assert "packed00" in columns
    await arena.made.tables.table("WatchkeeperLeak").put(Entity(partition="p", row="r", columns=columns))


async def _blob(arena: Arena, value: str) -> None:
    async with BlobServiceClient.from_connection_string(arena.made.settings.storage["AzureWebJobsStorage"]) as service:
        container = service.get_container_client(f"leak-{uuid.uuid4().hex[:8]}")
        await container.create_container()
        await container.upload_blob("day.jsonl.gz", gzip.compress(f'{{"value": "{value}"}}'.encode()))


async def _notice(arena: Arena, value: str) -> None:
    now = arena.clock.now()
    await arena.made.stores.outbox.put(
        Notice(id=f"{now:%Y%m%d}T-leak", kind="digest", severity="info", at=now, subject="s", text=f"see {value}")
    )


async def _orchestration(arena: Arena, value: str) -> None:
    client = arena.app.host.client
    await client.schedule_new_orchestration("actuate", input={"target": value}, instance_id="leak")
    await arena.clock.settle()


LEAKS: dict[str, Callable[[Arena, str], Any]] = {
    "logs": _log,
    "tables": _row,
    "blobs": _blob,
    "notices": _notice,
    "orchestrations": _orchestration,
}


@pytest.mark.parametrize("place", sorted(LEAKS))
async def test_a_planted_leak_is_found(open_arena: OpenArena, azurite: str, place: str) -> None:
    async with trapped_logs() as trap, open_arena(policy=CANARY_POLICY) as arena:
        canaries = replace(canaries_of(arena), values={"planted": f"planted-{uuid.uuid4().hex}"})
        if (planting := LEAKS[place](arena, canaries.values["planted"])) is not None:
            await planting
        await look_everywhere(arena, canaries, trap, azurite)
        assert any(found.where.startswith(f"{place}: ") for found in canaries.found), canaries.found


async def test_a_careless_vault_is_found(open_arena: OpenArena, azurite: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same scenario over an app that logs a value at DEBUG once."""
    careful = Vault._usable

    def careless(self: Vault, found: Any) -> Secret:
        logging.getLogger("watchkeeper").debug("read %s", found.value)
        return careful(self, found)

    monkeypatch.setattr(Vault, "_usable", careless)
    async with trapped_logs() as trap, open_arena(policy=CANARY_POLICY) as arena:
        canaries = canaries_of(arena)
        await live_through(arena, canaries)
        await look_everywhere(arena, canaries, trap, azurite)
    assert {found.canary for found in canaries.found} == {"link key 1", "link key 2", "webhook"}
    assert Found("link key 1", "logs: watchkeeper", "as it is") in canaries.found
