"""Days of the ledger as files: written once, whole, checked against the heads, and only then let go."""

import json
import uuid
from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from shared import verify
from shared.records import Ledger, LedgerEntry, RecordsError, Tables
from shared.records.archive import Archive
from shared.records.blobs import Container, open_blobs
from shared.records.exported import problems_of_file
from tests.records.builders import ENDPOINT, NOW, entry

DAY = date(2026, 1, 5)
NEXT_MORNING = datetime(2026, 1, 6, 1, 30, tzinfo=NOW.tzinfo)
A_YEAR_ON = NEXT_MORNING + timedelta(days=365)


@pytest.fixture
async def container(azurite: str) -> AsyncIterator[Container]:
    blobs = open_blobs({"AzureWebJobsStorage": azurite})
    yield blobs.container(f"t{uuid.uuid4().hex}")
    await blobs.close()


@pytest.fixture
def archive(ledger: Ledger, tables: Tables, container: Container) -> Archive:
    return Archive(ledger, tables, container)


async def filled(ledger: Ledger) -> list[LedgerEntry]:
    entries = [entry(1), entry(2), entry(3, endpoint_key="", target="", kind="control")]
    for one in entries:
        await ledger.append(one)
    return entries


async def lines_of(container: Container, file: str) -> list[str]:
    content = await container.get(file)
    assert content is not None
    return content.decode().splitlines()


async def test_a_day_is_exported_once_it_is_over(archive: Archive, ledger: Ledger, container: Container) -> None:
    entries = await filled(ledger)
    assert await archive.export_due(NOW) == []
    assert await archive.export_due(NEXT_MORNING - timedelta(hours=1)) == []
    (written,) = await archive.export_due(NEXT_MORNING)
    assert (written.day, written.entries) == ("2026-01-05", 3)
    assert {json.loads(line)["entry"]["id"] for line in await lines_of(container, written.file)} == {
        one.id for one in entries
    }
    assert await archive.export_due(NEXT_MORNING + timedelta(hours=1)) == []


async def test_what_unicode_calls_the_end_of_a_line_ends_none(
    archive: Archive, ledger: Ledger, container: Container, tmp_path: Path
) -> None:
    await ledger.append(entry(1, summary="a\u2028b\u2029c\u0085d\x0be", body={"text": "\x1c\x85\u2028\r\n"}))
    await ledger.append(entry(2))
    (written,) = await archive.export_due(NEXT_MORNING)
    assert await archive.verify_file(DAY) == []
    file = tmp_path / "day.jsonl"
    file.write_bytes(await container.get(written.file) or b"")
    assert verify.main([str(file)]) == 0
    assert (await archive.remove_due(A_YEAR_ON, keep_days=90)).kept == {}


async def test_a_late_entry_makes_another_file_and_touches_no_other(
    archive: Archive, ledger: Ledger, container: Container
) -> None:
    await filled(ledger)
    (first,) = await archive.export_due(NEXT_MORNING)
    before = await lines_of(container, first.file)
    await ledger.append(entry(4))
    (second,) = await archive.export_due(NEXT_MORNING + timedelta(hours=1))
    assert second.file != first.file
    assert second.entries == 4
    assert await lines_of(container, first.file) == before


async def test_a_run_that_was_cut_off_after_the_file_writes_no_second_one(
    archive: Archive, ledger: Ledger, tables: Tables, container: Container
) -> None:
    await filled(ledger)
    (written,) = await archive.export_due(NEXT_MORNING)
    await tables.table("WatchkeeperArchive").delete("day", "2026-01-05")
    (again,) = await archive.export_due(NEXT_MORNING + timedelta(minutes=5))
    assert again.file == written.file
    assert [name async for name in container.names()] == [written.file]


async def test_an_old_day_goes_and_its_heads_stay(archive: Archive, ledger: Ledger) -> None:
    await filled(ledger)
    heads = await ledger.heads(DAY)
    await archive.export_due(NEXT_MORNING)
    assert (await archive.remove_due(NEXT_MORNING, keep_days=1)).removed == ()
    assert (await archive.remove_due(A_YEAR_ON, keep_days=365)).removed == (DAY,)

    assert [line async for line in ledger.export(DAY)] == []
    after = await ledger.heads(DAY)
    assert {key: (head.sequence, head.row_hash) for key, head in after.items()} == {
        key: (head.sequence, head.row_hash) for key, head in heads.items()
    }
    assert await ledger.verify(DAY, ENDPOINT) == []
    assert await archive.verify_file(DAY) == []
    assert await ledger.get(entry(1).id) is None
    with pytest.raises(RecordsError, match="was removed from the tables"):
        await ledger.append(entry(9))


async def test_a_removal_that_was_cut_off_goes_on(archive: Archive, ledger: Ledger, tables: Tables) -> None:
    await filled(ledger)
    (written,) = await archive.export_due(NEXT_MORNING)
    await ledger.remove_day(DAY, written.file)  # and the process died before the catalogue said so
    assert (await archive.remove_due(A_YEAR_ON, keep_days=365)).removed == (DAY,)
    assert (await archive.remove_due(A_YEAR_ON, keep_days=365)).removed == ()


async def test_a_day_without_a_whole_file_is_kept(archive: Archive, ledger: Ledger, container: Container) -> None:
    await filled(ledger)
    (written,) = await archive.export_due(NEXT_MORNING)
    await container.delete(written.file)
    removal = await archive.remove_due(A_YEAR_ON, keep_days=365)
    assert removal.removed == ()
    assert "is gone" in removal.kept[DAY]
    assert len([line async for line in ledger.export(DAY)]) == 3

    shorter = "\n".join((await lines_of_ledger(ledger))[:-1]).encode()
    await container.put_new(written.file, shorter)
    assert "was changed" in (await archive.remove_due(A_YEAR_ON, keep_days=365)).kept[DAY]


async def lines_of_ledger(ledger: Ledger) -> list[str]:
    return [line async for line in ledger.export(DAY)]


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda lines: lines[:-1], "end with"),
        (lambda lines: lines[1:], "the entries of no endpoint end with 0"),
        (lambda lines: [lines[0], lines[2]], "should: some are missing"),
        (lambda lines: [lines[0], lines[2], lines[1]], "should: some are missing"),
        (lambda lines: [lines[0].replace("entry 3", "entry 9"), *lines[1:]], "line 1: it was changed"),
        (lambda lines: [*lines, "{}"], "line 4: it has no row_hash"),
        (lambda lines: [*lines, "no json"], "line 4: it is not JSON"),
    ],
)
async def test_damage_to_a_file_shows(ledger: Ledger, damage: object, told: str) -> None:
    await filled(ledger)
    lines = await lines_of_ledger(ledger)
    heads = await ledger.heads(DAY)
    assert problems_of_file(DAY, lines, heads) == []
    assert callable(damage)
    assert any(told in problem for problem in problems_of_file(DAY, damage(lines), heads))


async def test_a_file_of_another_day_is_none_of_this_one(ledger: Ledger) -> None:
    await filled(ledger)
    assert "not of 2026-01-06" in problems_of_file(date(2026, 1, 6), await lines_of_ledger(ledger))[0]


async def test_a_day_of_many_entries_goes_whole(archive: Archive, ledger: Ledger) -> None:
    """More rows than one transaction takes."""
    for number in range(1, 121):
        await ledger.append(entry(number))
    await archive.export_due(NEXT_MORNING)
    await archive.remove_due(A_YEAR_ON, keep_days=365)
    assert [line async for line in ledger.export(DAY)] == []
    assert (await ledger.heads(DAY))[ENDPOINT].sequence == 120
