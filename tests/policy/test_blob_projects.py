"""Projects' documents in Blob Storage, through the real client over the wire, against Azurite."""

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from azure.storage.blob.aio import BlobClient, ContainerClient

from shared.policy import BlobPolicySource, BlobProjects, PolicyCache, PolicyUnreadable
from shared.records.policies import PolicyStore
from shared.records.tables import open_tables
from tests.policy.documents import as_yaml
from tests.policy.test_cache import Wristwatch
from tests.policy.two_layers import platform, project


@dataclass
class Blobs:
    """A container of its own, the sources that read it, and the requests of the source of the projects."""

    writer: ContainerClient
    source: BlobPolicySource
    projects: BlobProjects
    requests: list[str] = field(default_factory=list)

    async def write(self, name: str, whole: dict[str, Any] | str) -> None:
        text = whole if isinstance(whole, str) else as_yaml(whole)
        await self.writer.upload_blob(name, text, overwrite=True)


@pytest.fixture
async def blobs(azurite: str) -> AsyncIterator[Blobs]:
    name = f"policies-{uuid.uuid4().hex[:12]}"
    requests: list[str] = []

    def note(response: Any) -> None:
        url = str(response.http_request.url)
        requests.append("list" if "comp=list" in url else url.partition("?")[0].rpartition("/")[2])

    async with (
        ContainerClient.from_connection_string(azurite, name) as writer,
        ContainerClient.from_connection_string(azurite, name, raw_response_hook=note) as reader,
        BlobClient.from_connection_string(azurite, name, "platform.yaml") as blob,
    ):
        await writer.create_container()
        yield Blobs(writer, BlobPolicySource(blob), BlobProjects(reader, "/projects/"), requests)
        await writer.delete_container()


async def test_documents_below_the_prefix_are_listed_and_only_changed_ones_read(blobs: Blobs) -> None:
    watch = Wristwatch()
    cache = PolicyCache(blobs.source, watch, 15, projects=blobs.projects)
    await blobs.write("platform.yaml", platform())
    await blobs.write("projects/red.yaml", project("red"))
    await blobs.write("projects/README.md", "not a policy")
    await blobs.write("elsewhere/green.yaml", project("green"))

    assert [one.name for one in (await cache.current()).targets] == ["red.chat"]
    assert blobs.requests == ["list", "red.yaml"]
    first = await cache.current(fresh=True)
    assert blobs.requests == ["list", "red.yaml", "list"], "what has not changed costs the list and nothing else"
    await blobs.write("projects/green.yaml", project("green"))
    assert len((await cache.current(fresh=True)).targets) == 2
    assert await cache.current() is not first
    assert blobs.requests[3:] == ["list", "green.yaml"]
    await blobs.write("projects/green.yaml", project("green", colour="red"))
    assert len((await cache.current(fresh=True)).targets) == 2
    assert [state.refused is None for state in cache.documents] == [True, False, True]
    assert cache.documents[1].source.endswith("/projects/green.yaml")
    await blobs.writer.delete_blob("projects/green.yaml")
    assert len((await cache.current(fresh=True)).targets) == 1


async def test_a_container_that_is_missing_says_so(azurite: str) -> None:
    async with ContainerClient.from_connection_string(azurite, "no-such-container") as container:
        with pytest.raises(PolicyUnreadable, match=r"no-such-container/x/: document: does not exist in"):
            await BlobProjects(container, "x").listed()
        with pytest.raises(PolicyUnreadable, match=r"no-such-container/x/red.yaml: document: does not exist"):
            await BlobProjects(container, "x").read("red.yaml")


async def test_the_last_good_versions_survive_in_tables(blobs: Blobs, azurite: str) -> None:
    prefix = f"k{uuid.uuid4().hex[:10]}"
    async with open_tables({"AzureWebJobsStorage": azurite}, prefix=prefix) as tables:
        long = project("red", owner="red@example.com")
        await blobs.write("platform.yaml", platform())
        await blobs.write("projects/red.yaml", as_yaml(long) + "# long\n" * 20_000)
        first = PolicyCache(blobs.source, Wristwatch(), 15, projects=blobs.projects, kept=PolicyStore(tables))
        await first.current()
        await blobs.write("platform.yaml", "version: 8\n")
        await blobs.write("projects/red.yaml", "nothing")

        later = PolicyCache(blobs.source, Wristwatch(), 15, projects=blobs.projects, kept=PolicyStore(tables))
        assert [one.owner for one in (await later.current()).targets] == ["red@example.com"]
        assert [state.refused is not None for state in later.documents] == [True, True]
        await blobs.writer.delete_blob("projects/red.yaml")
        await later.current(fresh=True)
        assert list(await PolicyStore(tables).load()) == [blobs.source.name]
        await PolicyStore(tables).forget("never kept")
