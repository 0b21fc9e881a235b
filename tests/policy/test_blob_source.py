"""The policy in Blob Storage, through the real client over the wire, against Azurite."""

import socket
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from azure.storage.blob.aio import BlobClient, ContainerClient

from shared.policy import BlobPolicySource, PolicyCache, PolicyUnavailable, PolicyUnreadable


@dataclass
class Blob:
    """One blob in a container of its own, the source that reads it, and the statuses of the source's requests."""

    writer: BlobClient
    source: BlobPolicySource
    statuses: list[int] = field(default_factory=list)

    async def write(self, content: str | bytes) -> str:
        return str((await self.writer.upload_blob(content, overwrite=True))["etag"])


@pytest.fixture
async def blob(azurite: str) -> AsyncIterator[Blob]:
    name = f"policies-{uuid.uuid4().hex[:12]}"
    statuses: list[int] = []

    def note(response: Any) -> None:
        statuses.append(response.http_response.status_code)

    async with (
        ContainerClient.from_connection_string(azurite, name) as container,
        BlobClient.from_connection_string(azurite, name, "prod/policy.yaml", raw_response_hook=note) as reader,
    ):
        await container.create_container()
        yield Blob(container.get_blob_client("prod/policy.yaml"), BlobPolicySource(reader), statuses)
        await container.delete_container()


async def test_a_version_is_read_once_until_it_changes(blob: Blob) -> None:
    first_etag = await blob.write("version: 1\n")

    first = await blob.source.read(None)
    assert first is not None
    assert (first.text, first.etag) == ("version: 1\n", first_etag)
    assert await blob.source.read(first.etag) is None

    second_etag = await blob.write("version: 1 # new\n")
    second = await blob.source.read(first.etag)
    assert second is not None
    assert (second.text, second.etag) == ("version: 1 # new\n", second_etag)
    assert blob.statuses == [206, 304, 206]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", ""),
        (b"\xef\xbb\xbfversion: 1", "version: 1"),
        (b"# \xff", "# \udcff"),
        ("# Grüße".encode(), "# Grüße"),
        (b"#" * 5_000_000, "#" * 5_000_000),
    ],
    ids=["empty", "byte order mark", "not UTF-8", "UTF-8", "large"],
)
async def test_any_content_arrives(blob: Blob, content: bytes, text: str) -> None:
    await blob.write(content)

    read = await blob.source.read(None)
    assert read is not None
    assert read.text == text


async def test_a_missing_blob_says_where_it_was_expected(blob: Blob) -> None:
    with pytest.raises(PolicyUnreadable) as missing:
        await blob.source.read(None)

    assert str(missing.value).startswith(f"{blob.source.name}: document: does not exist in 127.0.0.1")
    assert blob.source.name.endswith("/prod/policy.yaml")
    assert "Upload the policy under that name" in str(missing.value)


async def test_a_missing_right_names_the_role(azurite: str) -> None:
    stranger = azurite.replace("AccountKey=", "AccountKey=AAAA")
    async with BlobClient.from_connection_string(stranger, "policies", "policy.yaml", retry_total=0) as client:
        with pytest.raises(
            PolicyUnreadable, match=r"may not be read \(HTTP 403 AuthorizationFailure\)\. .*Storage Blob Data Reader"
        ):
            await BlobPolicySource(client).read(None)


async def test_an_unreachable_account_is_no_crash() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        url = f"http://127.0.0.1:{reserved.getsockname()[1]}/account/policies/policy.yaml"
        async with BlobClient.from_blob_url(url, retry_total=0) as client:
            with pytest.raises(PolicyUnreadable, match=r"could not be read: .*It is tried again"):
                await BlobPolicySource(client).read(None)


async def test_the_cache_over_the_wire(blob: Blob) -> None:
    clock: Callable[[], datetime] = lambda: datetime(2026, 3, 1, tzinfo=UTC)  # noqa: E731 - one line, one meaning
    cache = PolicyCache(blob.source, clock, max_age_s=0)
    with pytest.raises(PolicyUnavailable, match="does not exist"):
        await cache.current()

    await blob.write("version: 1\nlimits: {max_instances: 7}\n")
    assert (await cache.current()).limits.max_instances == 7
    bad_etag = await blob.write("version: 1\nlimits: {max_instances: 70}\n")
    assert (await cache.current()).limits.max_instances == 7
    assert cache.refused is not None
    assert cache.refused.etag == bad_etag

    await blob.writer.delete_blob()
    assert (await cache.current()).limits.max_instances == 7
    await blob.write("version: 1\nlimits: {max_instances: 8}\n")
    assert (await cache.current()).limits.max_instances == 8
    assert cache.refused is None
    assert blob.statuses == [404, 206, 206, 404, 206]
