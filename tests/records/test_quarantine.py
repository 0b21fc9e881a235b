"""The quarantine in real tables and blobs: nothing malformed is lost, the same body is one entry, people close it."""

import asyncio
import hashlib
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from azure.core.exceptions import AzureError

from shared.domain import Notice
from shared.records import Conflict, CorruptRow, InvalidCursor, InvalidQuestion, Tables
from shared.records.blobs import Blobs, Container, open_blobs
from shared.records.origin import Origin
from shared.records.quarantine import CONTAINER, QUARANTINED, TABLE, Closing, Quarantine, Quarantined
from shared.upkeep.quarantine import aged_notice
from tests.records.builders import NOW

HOUR = timedelta(hours=1)
DISCARDED = Closing(how="discarded", by="ada", reason="a test", at=NOW)
WRITTEN = (
    '{"closings":[{"at":"2026-01-05T12:30:00Z","became":["signal resource.written e-1"],"by":"ada","how":"corrected",'
    '"reason":"a comma"}],"count":2,"first_at":"2026-01-05T12:30:00Z","id":"0123456789abcdef0123456789abcdef",'
    '"kind":"","last_at":"2026-01-05T12:30:00Z","open_since":"2026-01-05T12:30:00Z","origins":[{"attempts":1,"message":"m-1",'
    '"queue":"signals","trigger":"service_bus"}],"reason":"the body is not JSON","schema":1,"size":1,"source":"",'
    '"state":"closed"}'
)


def message(name: str, attempts: int = 1) -> Origin:
    return Origin(trigger="service_bus", queue="signals", message=name, attempts=attempts)


@pytest.fixture
def quarantine(tables: Tables, blobs: Blobs) -> Quarantine:
    return Quarantine(tables, blobs)


def body(text: str = "{") -> bytes:
    """One that no other has."""
    return f"{text}{uuid.uuid4()}".encode()


def test_an_entry_of_the_first_version_is_read() -> None:
    """Whoever changes a stored type so that this fails raises its version and adds the upgrade."""
    assert QUARANTINED.encode(QUARANTINED.decode(WRITTEN)) == WRITTEN


async def test_what_is_kept_is_found_with_its_body_and_its_reason(quarantine: Quarantine) -> None:
    raw = b"\xff\x00" + body()
    kept = await quarantine.put(raw, "the body is not JSON", message("m-1"), NOW, source="s", kind="k")
    row = await quarantine.get(kept.id)
    assert row is not None
    assert row.value == kept
    assert (kept.reason, kept.size, kept.count, kept.state) == ("the body is not JSON", len(raw), 1, "open")
    assert (kept.source, kept.kind, kept.origins) == ("s", "k", (message("m-1"),))
    assert await quarantine.body(kept.id) == raw


@pytest.mark.parametrize("unknown", ["", "0" * 32, "../x", "0" * 2000])
async def test_an_entry_that_is_not_there(quarantine: Quarantine, unknown: str) -> None:
    assert await quarantine.get(unknown) is None
    with pytest.raises(CorruptRow, match="is gone"):
        await quarantine.body("0" * 32)


async def test_the_same_body_is_one_entry_that_counts_messages_and_not_redeliveries(quarantine: Quarantine) -> None:
    raw = body()
    origins = [message("m-1"), message("m-1", 2), message("m-2"), Origin(trigger="alerts"), Origin(trigger="alerts")]
    for number, origin in enumerate(origins):
        kept = await quarantine.put(raw, f"reason {number}", origin, NOW + number * HOUR)
    assert (kept.count, kept.reason) == (4, "reason 4")
    assert (kept.first_at, kept.last_at, kept.open_since) == (NOW, NOW + 4 * HOUR, NOW)
    assert kept.origins == (message("m-1", 2), message("m-2"), Origin(trigger="alerts"), Origin(trigger="alerts"))
    assert len((await quarantine.query()).entries) == 1


async def test_the_same_body_from_many_at_once_loses_no_count(quarantine: Quarantine) -> None:
    raw = body()
    await asyncio.gather(*(quarantine.put(raw, "bad", message(f"m-{n}"), NOW) for n in range(8)))
    (entry,) = (await quarantine.query()).entries
    assert entry.count == 8


async def test_a_body_that_comes_again_after_it_was_closed_opens_its_entry(quarantine: Quarantine) -> None:
    raw = body()
    kept = await quarantine.put(raw, "bad", message("m-1"), NOW)
    row = await quarantine.get(kept.id)
    assert row is not None
    closed = await quarantine.close(row, DISCARDED)
    assert (closed.state, closed.closings) == ("closed", (DISCARDED,))
    late = await quarantine.put(raw, "bad", message("m-1", 2), NOW + HOUR)
    assert late.state == "closed", "a redelivery of what a person has dealt with"
    again = await quarantine.put(raw, "bad", message("m-2"), NOW + 2 * HOUR)
    assert (again.state, again.count, again.open_since, again.closings) == ("open", 2, NOW + 2 * HOUR, (DISCARDED,))


async def test_who_closes_sees_what_he_closes(quarantine: Quarantine) -> None:
    raw = body()
    kept = await quarantine.put(raw, "bad", message("m-1"), NOW)
    row = await quarantine.get(kept.id)
    assert row is not None
    await quarantine.put(raw, "bad", message("m-2"), NOW)
    with pytest.raises(Conflict):
        await quarantine.close(row, DISCARDED)


async def test_pages_and_filters(quarantine: Quarantine) -> None:
    kept = [await quarantine.put(body(), f"bad {n}", message(f"m-{n}"), NOW + n * HOUR) for n in range(5)]
    by_alert = await quarantine.put(body(), "bad", Origin(trigger="alerts"), NOW + 5 * HOUR)
    row = await quarantine.get(kept[2].id)
    assert row is not None
    await quarantine.close(row, DISCARDED)
    seen, cursor = [], None
    while True:
        page = await quarantine.query(state="open", trigger="service_bus", limit=2, cursor=cursor)
        seen += [entry.reason for entry in page.entries]
        if (cursor := page.next_cursor) is None:
            break
    assert seen == ["bad 4", "bad 3", "bad 1", "bad 0"]
    assert [e.id for e in (await quarantine.query(state="closed")).entries] == [kept[2].id]
    assert [e.id for e in (await quarantine.query(trigger="alerts")).entries] == [by_alert.id]
    some = await quarantine.query(since=NOW + HOUR, until=NOW + 3 * HOUR)
    assert [entry.reason for entry in some.entries] == ["bad 2", "bad 1"]
    with pytest.raises(InvalidCursor):
        await quarantine.query(cursor="2026|x")
    with pytest.raises(InvalidQuestion, match="limit 0"):
        await quarantine.query(limit=0)


async def test_the_oldest_that_waits_is_told_of_once_a_day(quarantine: Quarantine) -> None:
    assert await quarantine.oldest_open() is None
    first = await quarantine.put(body(), "bad", message("m-1"), NOW)
    await quarantine.put(body(), "bad", message("m-2"), NOW + HOUR)
    oldest = await quarantine.oldest_open()
    assert oldest == first
    assert aged_notice(None, HOUR, NOW) is None
    assert aged_notice(oldest, 4 * HOUR, NOW + 4 * HOUR - timedelta(seconds=1)) is None
    told = [aged_notice(oldest, 4 * HOUR, NOW + hours * HOUR) for hours in (4, 5, 24)]
    assert all(isinstance(notice, Notice) and notice.kind == "quarantine_aged" for notice in told)
    assert [notice.id[:9] for notice in told if notice] == ["20260105T", "20260105T", "20260106T"]
    assert len({notice.id for notice in told if notice}) == 2
    row = await quarantine.get(first.id)
    assert row is not None
    await quarantine.close(row, DISCARDED)
    following = await quarantine.oldest_open()
    assert following is not None
    assert following.first_at == NOW + HOUR


async def closed(quarantine: Quarantine, raw: bytes, at: datetime) -> Quarantined:
    kept = await quarantine.put(raw, "bad", message("m-1"), NOW)
    row = await quarantine.get(kept.id)
    assert row is not None
    return await quarantine.close(row, replace(DISCARDED, at=at))


async def bodies(blobs: Blobs) -> set[str]:
    return {name async for name in blobs.container(CONTAINER).names()}


async def test_what_was_closed_long_ago_goes_with_its_body_and_what_is_open_never(
    quarantine: Quarantine, blobs: Blobs
) -> None:
    waits = await quarantine.put(body(), "bad", message("m-1"), NOW)
    early, late = [await closed(quarantine, body(), NOW + hours * HOUR) for hours in (1, 2)]
    assert await quarantine.purge(NOW + HOUR, 10) == 0
    assert await quarantine.purge(NOW + 2 * HOUR, 10) == 1
    assert await quarantine.get(early.id) is None
    assert await bodies(blobs) == {waits.id, late.id}
    assert await quarantine.purge(NOW + 10_000 * HOUR, 10) == 1
    assert [entry.id for entry in (await quarantine.query()).entries] == [waits.id]
    assert await bodies(blobs) == {waits.id}


async def test_a_purge_takes_no_more_than_it_may(quarantine: Quarantine) -> None:
    for _ in range(3):
        await closed(quarantine, body(), NOW)
    assert [await quarantine.purge(NOW + HOUR, 2) for _ in range(3)] == [2, 1, 0]


async def test_what_was_opened_again_stays_whenever_it_was_closed(quarantine: Quarantine) -> None:
    raw = body()
    await closed(quarantine, raw, NOW)
    again = await quarantine.put(raw, "bad", message("m-2"), NOW + HOUR)
    assert await quarantine.purge(NOW + 10_000 * HOUR, 10) == 0
    assert await quarantine.body(again.id) == raw


async def test_what_is_still_delivered_stays_closed_for_as_long_as_anything(quarantine: Quarantine) -> None:
    """Else its next redelivery opened what a person has dealt with."""
    raw = body()
    await closed(quarantine, raw, NOW)
    await quarantine.put(raw, "bad", message("m-1", 2), NOW + 5 * HOUR)
    assert await quarantine.purge(NOW + 5 * HOUR, 10) == 0
    assert await quarantine.purge(NOW + 6 * HOUR, 10) == 1


@pytest.mark.parametrize("moment", ["look", "delete_as_seen", "row"])
async def test_a_body_that_comes_in_while_its_old_entry_goes_is_kept(
    quarantine: Quarantine, tables: Tables, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    raw = body()
    entry = await closed(quarantine, raw, NOW)
    comes = iter((True,))

    def meanwhile(act: Callable[..., Awaitable[object]]) -> Callable[..., Awaitable[object]]:
        async def run(*args: object) -> object:
            if next(comes, False):
                await quarantine.put(raw, "bad", message("m-2"), NOW + 2 * HOUR)
            return await act(*args)

        return run

    if moment == "row":
        table = tables.table(TABLE)
        monkeypatch.setattr(table, "delete", meanwhile(table.delete))
    else:
        monkeypatch.setattr(Container, moment, meanwhile(getattr(Container, moment)))
    assert await quarantine.purge(NOW + HOUR, 10) == 0
    row = await quarantine.get(entry.id)
    assert row is not None
    assert row.value.state == "open"
    assert await quarantine.body(entry.id) == raw


async def test_a_purge_that_was_cut_off_is_ended_by_the_next(quarantine: Quarantine, blobs: Blobs) -> None:
    entry = await closed(quarantine, body(), NOW)
    await blobs.container(CONTAINER).delete(entry.id)
    assert await quarantine.purge(NOW + HOUR, 10) == 1
    assert await quarantine.get(entry.id) is None


async def test_a_closed_entry_that_cannot_be_read_hinders_no_other(quarantine: Quarantine, tables: Tables) -> None:
    broken, sound = [await closed(quarantine, body(), NOW) for _ in range(2)]
    table = tables.table(TABLE)
    row = await table.get("quarantine", broken.id)
    assert row is not None
    await table.put(replace(row, columns={**row.columns, "value": "{"}))
    assert await quarantine.purge(NOW + HOUR, 10) == 1
    assert await quarantine.get(sound.id) is None
    assert await table.get("quarantine", broken.id) is not None


async def test_what_cannot_be_kept_is_an_error_and_leaves_no_entry(tables: Tables, azurite: str) -> None:
    blobs = open_blobs({"AzureWebJobsStorage": ";".join(_without_blobs(azurite))})
    try:
        with pytest.raises(AzureError):
            await Quarantine(tables, blobs).put(body(), "bad", message("m-1"), NOW)
    finally:
        await blobs.close()
    assert (await Quarantine(tables, blobs).query()).entries == ()


async def test_a_crash_between_blob_and_row_is_mended_by_the_redelivery(quarantine: Quarantine, blobs: Blobs) -> None:
    raw = body()
    name = hashlib.sha256(raw).hexdigest()[:32]
    assert await blobs.container(CONTAINER).put_new(name, raw)
    kept = await quarantine.put(raw, "bad", message("m-1", 2), NOW)
    assert (kept.id, await quarantine.body(kept.id)) == (name, raw)


def _without_blobs(azurite: str) -> list[str]:
    """The same account with its blobs at a port where nobody listens."""
    parts = dict(part.split("=", 1) for part in azurite.split(";") if part)
    parts["BlobEndpoint"] = f"http://127.0.0.1:1/{parts['AccountName']}"
    return [f"{name}={value}" for name, value in parts.items()]
