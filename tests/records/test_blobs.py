"""Blobs of the app's storage account, through the real client."""

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from shared.records import SettingsMissing
from shared.records.blobs import Container, open_blobs
from tests.records.builders import NOW

DAY = timedelta(days=1)


@pytest.fixture
async def container(azurite: str) -> AsyncIterator[Container]:
    blobs = open_blobs({"AzureWebJobsStorage": azurite})
    yield blobs.container(f"t{uuid.uuid4().hex}")
    await blobs.close()


async def test_before_the_first_write_there_is_nothing(container: Container) -> None:
    assert await container.get("a") is None
    assert [name async for name in container.names()] == []
    await container.delete("a")


async def test_what_is_there_is_never_written_over(container: Container) -> None:
    assert await container.put_new("days/1.jsonl", b"one", {"entries": "1"})
    assert not await container.put_new("days/1.jsonl", b"two")
    assert await container.get("days/1.jsonl") == b"one"


async def test_names_come_by_prefix_and_in_order(container: Container) -> None:
    for name in ("b/2", "a/1", "b/1"):
        await container.put_new(name, b"")
    assert [name async for name in container.names("b/")] == ["b/1", "b/2"]
    await container.delete("b/1")
    assert [name async for name in container.names()] == ["a/1", "b/2"]


async def test_what_is_written_over_is_another_blob_at_another_time(container: Container) -> None:
    assert await container.look("a") is None
    assert [kept async for kept in container.look_at_all()] == []
    await container.put("a", b"one", NOW)
    first = await container.look("a")
    await container.put("a", b"one", NOW + DAY)
    second = await container.look("a")
    assert first is not None
    assert second is not None
    assert (first.at, second.at) == (NOW, NOW + DAY)
    assert first.etag != second.etag
    assert [kept async for kept in container.look_at_all("a")] == [second]


async def test_only_what_is_as_it_was_seen_is_removed(container: Container) -> None:
    await container.put("a", b"one", NOW)
    seen = await container.look("a")
    assert seen is not None
    await container.put("a", b"two", NOW)
    assert not await container.delete_as_seen(seen)
    assert await container.get("a") == b"two"
    seen = await container.look("a")
    assert seen is not None
    assert [await container.delete_as_seen(seen) for _ in range(2)] == [True, False]
    assert await container.get("a") is None


async def test_a_blob_without_a_stamp_has_the_time_of_the_storage(container: Container) -> None:
    await container.put_new("a", b"")
    kept = await container.look("a")
    assert kept is not None
    assert abs(datetime.now(UTC) - kept.at) < DAY


async def test_users_of_one_account_do_not_meet(azurite: str) -> None:
    name = f"t{uuid.uuid4().hex[:16]}"
    ours, theirs = (open_blobs({"AzureWebJobsStorage": azurite}, prefix=prefix) for prefix in ("Lab", ""))
    try:
        await ours.container(name).put("a", b"", NOW)
        assert ours.container(name).name == f"{name}-lab"
        assert await theirs.container(name).get("a") is None
        assert await theirs.container(f"{name}-lab").get("a") == b""
    finally:
        await ours.close()
        await theirs.close()


def test_settings_must_name_an_account() -> None:
    with pytest.raises(SettingsMissing, match="no storage account"):
        open_blobs({})
    with pytest.raises(SettingsMissing, match="needs a credential"):
        open_blobs({"AzureWebJobsStorage__accountName": "wk"})
