"""The ledger in a real table: one unbroken chain whoever appends at once, found again, and tampering shows."""

import asyncio
import contextlib
import hashlib
import json
import random
import uuid
from collections.abc import Iterator
from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.records import (
    Conflict,
    CorruptRow,
    Ledger,
    LedgerEntry,
    NotStorable,
    RecordsError,
    StoredEntry,
    Tables,
    open_tables,
)
from shared.records.codec import canonical_json
from shared.records.rows import Entity
from shared.records.table import Table
from tests.records.builders import BLUE, ENDPOINT, NOW, entry
from tests.records.lossy_proxy import LossyProxy

DAY = date(2026, 1, 5)


@pytest.fixture
def table(tables: Tables) -> Table:
    return tables.table("WatchkeeperLedger")


async def all_rows(table: Table) -> list[Entity]:
    return [entity async for entity in table.query("PartitionKey ge @p", {"p": ""})]


def without_place(stored: StoredEntry) -> LedgerEntry:
    names = ("id", "kind", "at", "endpoint_key", "target", "loop", "summary", "body")
    return LedgerEntry(**{name: getattr(stored, name) for name in names})


async def test_an_entry_is_in_its_place_and_found_by_its_id(ledger: Ledger) -> None:
    first, second = await ledger.append(entry(1)), await ledger.append(entry(2))
    assert without_place(first) == entry(1)
    assert (first.sequence, second.sequence) == (1, 2)
    assert second.previous_hash == first.row_hash
    assert await ledger.get(first.id) == first
    assert await ledger.get(second.id) == second
    assert await ledger.get("20260105T000003") is None
    assert await ledger.get("20260106T000001") is None
    assert await ledger.verify(DAY, ENDPOINT) == []


async def test_days_and_endpoints_have_chains_of_their_own(ledger: Ledger) -> None:
    tomorrow = entry(3, at=NOW + timedelta(days=1))
    elsewhere = entry(4, endpoint_key=ENDPOINT + "-other")
    nowhere = entry(5, endpoint_key="", target="", kind="control")
    stored = [await ledger.append(each) for each in (entry(1), tomorrow, elsewhere, nowhere)]
    assert [each.sequence for each in stored] == [1, 1, 1, 1]
    assert [await ledger.get(each.id) for each in stored] == stored


async def test_fifty_appends_at_once_by_ten_clients_give_one_unbroken_chain(azurite: str, prefix: str) -> None:
    async with contextlib.AsyncExitStack() as stack:
        storage = {"AzureWebJobsStorage": azurite}
        opened = [await stack.enter_async_context(open_tables(storage, prefix=prefix)) for _ in range(10)]
        ledgers = [Ledger(tables, jitter=random.Random(n).random) for n, tables in enumerate(opened)]
        stored = await asyncio.gather(*(ledgers[n % 10].append(entry(n)) for n in range(50)))
        assert sorted(each.sequence for each in stored) == list(range(1, 51))
        assert await ledgers[0].verify(DAY, ENDPOINT) == []
        by_sequence = sorted(stored, key=lambda each: each.sequence)
        assert [each.previous_hash for each in by_sequence[1:]] == [each.row_hash for each in by_sequence[:-1]]


@pytest.mark.parametrize("writers", [1, 10])
async def test_the_same_entry_appended_ten_times_at_once_is_one_row(tables: Tables, table: Table, writers: int) -> None:
    ledgers = [Ledger(tables) for _ in range(writers)]
    await ledgers[0].append(entry(1))
    stored = await asyncio.gather(*(ledgers[n % writers].append(entry(2)) for n in range(10)))
    assert stored == [stored[0]] * 10
    assert len([row for row in await all_rows(table) if row.row.startswith("e,")]) == 2
    assert await ledgers[0].verify(DAY, ENDPOINT) == []


async def test_what_is_stored_under_an_id_stays_as_it_is(ledger: Ledger) -> None:
    first = await ledger.append(entry(1))
    assert await ledger.append(entry(1, summary="another story")) == first
    assert await ledger.get(first.id) == first


async def test_an_append_that_fails_leaves_nothing(ledger: Ledger, table: Table, tables: Tables) -> None:
    await ledger.append(entry(1))
    before = await all_rows(table)
    # The sequence that the next append needs is taken, as if somebody had tampered: no try can succeed.
    taken = next(row for row in before if row.row == "e,00000001")
    await table.insert(Entity(partition=taken.partition, row="e,00000002", columns=taken.columns))
    before = await all_rows(table)

    async def no_wait(delay_s: float) -> None: ...

    with pytest.raises(Conflict, match=r"20260105T000002.*verify 2026-01-05"):
        await Ledger(tables, sleep=no_wait).append(entry(2))
    assert await all_rows(table) == before


async def test_appenders_back_off_for_a_bounded_spread_time(ledger: Ledger, table: Table, tables: Tables) -> None:
    stored = await ledger.append(entry(1))
    taken = next(row for row in await all_rows(table) if row.row == "e,00000001")
    await table.insert(Entity(partition=taken.partition, row="e,00000002", columns=taken.columns))
    waited_s: list[float] = []

    async def wait(delay_s: float) -> None:
        waited_s.append(delay_s)

    with pytest.raises(Conflict):
        await Ledger(tables, jitter=lambda: 0.5, sleep=wait).append(entry(2))
    assert waited_s[:3] == [0.02, 0.04, 0.08]
    assert max(waited_s) == 0.5
    assert len(waited_s) == 49
    assert stored.sequence == 1


@pytest.mark.parametrize("arriving", [True, False])
async def test_an_append_whose_answer_was_lost_is_one_row(proxy: LossyProxy, prefix: str, arriving: bool) -> None:
    async with open_tables({"AzureWebJobsStorage": proxy.connection_string}, prefix=prefix) as opened:
        ledger = Ledger(opened)
        await ledger.append(entry(1))
        proxy.losing, proxy.arriving, proxy.writes = 1, arriving, 0
        stored = await ledger.append(entry(2))
        assert stored.sequence == 2
        assert proxy.writes == (1 if arriving else 2)
        assert await ledger.verify(DAY, ENDPOINT) == []


async def test_a_long_entry_is_stored_whole(ledger: Ledger) -> None:
    numbers = [random.Random(n).random() for n in range(20_000)]
    stored = await ledger.append(entry(1, body={"numbers": list(numbers)}))
    assert (await ledger.get(stored.id)) == stored
    assert stored.body["numbers"] == numbers
    assert await ledger.verify(DAY, ENDPOINT) == []


async def test_tampering_in_the_table_shows(ledger: Ledger, table: Table) -> None:
    for number in range(1, 6):
        await ledger.append(entry(number))
    partition = (await all_rows(table))[0].partition
    third = await table.get(partition, "e,00000003")
    assert third is not None
    lie = str(third.columns["value"]).replace("entry 3", "entry x")
    await table.put(Entity(partition=partition, row=third.row, columns={**third.columns, "value": lie}))
    assert await ledger.verify(DAY, ENDPOINT) == [
        "entry 3 (20260105T000003) was changed: it does not have the hash that it was stored with"
    ]
    await table.delete(partition, third.row)
    assert await ledger.verify(DAY, ENDPOINT) == [
        "entry 3 is missing",
        "the index names 20260105T000003, which is gone",
    ]
    with pytest.raises(CorruptRow, match="verify that day"):
        await ledger.get("20260105T000003")
    with pytest.raises(CorruptRow, match="verify that day"):
        await ledger.append(entry(3))


async def test_an_export_can_be_verified_by_itself(ledger: Ledger) -> None:
    stored = [await ledger.append(entry(n, endpoint_key=f"{ENDPOINT}-{n % 2}")) for n in range(6)]
    await ledger.append(entry(9, at=NOW + timedelta(days=1)))
    lines = [json.loads(line) async for line in ledger.export(DAY)]
    assert [line["entry"]["id"] for line in lines] == [
        each.id for each in sorted(stored, key=lambda each: (each.endpoint_key, each.sequence))
    ]
    for line in lines:
        row_hash = line.pop("row_hash")
        assert hashlib.sha256(canonical_json(line).encode()).hexdigest() == row_hash


async def test_an_id_in_two_places_is_not_guessed_at(ledger: Ledger) -> None:
    await ledger.append(entry(1))
    await ledger.append(entry(1, endpoint_key=ENDPOINT + "-other"))
    with pytest.raises(RecordsError, match="2 places"):
        await ledger.get(entry(1).id)


@pytest.mark.parametrize("wrong", ["", "abc", "20261305T1", "20260105-1"])
async def test_what_is_no_id_is_refused(ledger: Ledger, wrong: str) -> None:
    with pytest.raises(ValueError, match="YYYYMMDDT"):
        await ledger.get(wrong)


def some_appends() -> Iterator[LedgerEntry]:
    """Awkward words in every field that goes into a key or a filter."""
    for number, word in enumerate(["it's", "a/b", "ü€", "", "x' or '1' eq '1", "%2F?#"]):
        yield entry(number, id=f"20260105T{word}", target=word, loop=word, endpoint_key=f"/{word}")


async def test_awkward_words_are_stored_and_found(ledger: Ledger) -> None:
    for each in some_appends():
        stored = await ledger.append(each)
        assert await ledger.get(each.id) == stored
        page = await ledger.query(NOW, NOW + timedelta(hours=1), target=each.target, loop=each.loop)
        assert page.entries == (stored,)
        page = await ledger.query(NOW, NOW + timedelta(hours=1), endpoint_key=each.endpoint_key)
        assert page.entries == (stored,)
        assert await ledger.verify(DAY, each.endpoint_key) == []


@given(numbers=st.lists(st.integers(0, 5), max_size=8), writers=st.integers(1, 3))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_any_sequence_of_appends_verifies(tables: Tables, numbers: list[int], writers: int) -> None:
    endpoint = f"{ENDPOINT}-{uuid.uuid4().hex}"
    ledgers = [Ledger(tables) for _ in range(writers)]

    async def append(ledger: Ledger, own: list[int]) -> None:
        for number in own:
            await ledger.append(entry(number, endpoint_key=endpoint, target=BLUE))

    await asyncio.gather(*(append(ledger, numbers[n::writers]) for n, ledger in enumerate(ledgers)))
    assert await ledgers[0].verify(DAY, endpoint) == []
    page = await ledgers[0].query(NOW, NOW + timedelta(days=1), endpoint_key=endpoint)
    assert sorted(each.id for each in page.entries) == sorted({entry(number).id for number in numbers})


async def test_a_burst_of_one_process_goes_together(tables: Tables, proxy: LossyProxy, prefix: str) -> None:
    """120 entries at once, some of them twice and one that cannot be stored: few transactions, each in its place."""
    async with open_tables({"AzureWebJobsStorage": proxy.connection_string}, prefix=prefix) as opened:
        ledger = Ledger(opened)
        await ledger.append(entry(0))
        proxy.writes = 0
        too_large = entry(500, body={"noise": random.Random(1).randbytes(2_000_000).hex()})
        burst = [*(entry(n) for n in range(1, 121)), entry(7), entry(0), too_large]
        results = await asyncio.gather(*(ledger.append(each) for each in burst), return_exceptions=True)
        assert isinstance(results[-1], NotStorable)
        stored = [result for result in results if isinstance(result, StoredEntry)]
        assert [each.id for each in stored] == [each.id for each in burst[:-1]]
        assert sorted({each.sequence for each in stored}) == list(range(1, 122))
        assert stored[6] == stored[120]
        assert stored[121].sequence == 1
        assert proxy.writes <= 6
        assert await ledger.verify(DAY, ENDPOINT) == []


async def test_who_gives_up_while_it_appends_for_others_costs_them_nothing(proxy: LossyProxy, prefix: str) -> None:
    async with open_tables({"AzureWebJobsStorage": proxy.connection_string}, prefix=prefix) as opened:
        ledger = Ledger(opened)
        await ledger.append(entry(0))
        tasks = [asyncio.create_task(ledger.append(entry(n))) for n in range(1, 6)]
        await asyncio.sleep(0)  # all wait; the first has the turn
        tasks[0].cancel()
        others = await asyncio.gather(*tasks[1:])
        assert [each.id for each in others] == [entry(n).id for n in range(2, 6)]
        assert await ledger.verify(DAY, ENDPOINT) == []


async def test_large_entries_are_spread_over_transactions(ledger: Ledger) -> None:
    entries = [entry(n, body={"noise": random.Random(n).randbytes(250_000).hex()}) for n in range(8)]
    stored = await asyncio.gather(*(ledger.append(each) for each in entries))
    assert [each.sequence for each in stored] == list(range(1, 9))
    assert await ledger.verify(DAY, ENDPOINT) == []
