"""The state of endpoints: one writer wins, nothing expired is seen, nothing unread is taken for empty."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.domain import TargetRecord
from shared.records import (
    Conflict,
    CorruptRow,
    EndpointState,
    Row,
    SchemaTooNew,
    StateStore,
    Tables,
    open_tables,
)
from shared.records.rows import Column, Entity
from tests.records.builders import BLUE, ENDPOINT, GREEN, NOW, action, decision, intent

OTHER = ENDPOINT + "-other"


async def loaded(state: StateStore, endpoint_key: str = ENDPOINT) -> EndpointState:
    return await state.load(endpoint_key, NOW)


async def test_an_unknown_endpoint_is_empty(state: StateStore) -> None:
    assert await loaded(state) == EndpointState(endpoint_key=ENDPOINT)


async def test_everything_of_an_endpoint_is_read_back_in_one_partition(state: StateStore) -> None:
    record = TargetRecord(known_capacity=2, recorded_plan="abc")
    hold = intent(kind="hold", source="person", value=None)
    traffic = decision(target=GREEN, dimension="traffic", to=0)
    record_etag = await state.put_target(ENDPOINT, BLUE, record, None)
    desired_etag = await state.put_desired(ENDPOINT, BLUE, "capacity", decision(), None)
    traffic_etag = await state.put_desired(ENDPOINT, GREEN, "traffic", traffic, None)
    action_etag = await state.put_action(ENDPOINT, BLUE, "capacity", action(), None)
    hold_etag = await state.put_intent(ENDPOINT, hold)
    await state.put_target(OTHER, f"{OTHER}/deployments/blue", TargetRecord(), None)

    assert await loaded(state) == EndpointState(
        endpoint_key=ENDPOINT,
        targets={BLUE: Row(record, record_etag)},
        desired={
            (BLUE, "capacity"): Row(decision(), desired_etag),
            (GREEN, "traffic"): Row(traffic, traffic_etag),
        },
        actions={(BLUE, "capacity"): Row(action(), action_etag)},
        intents=(Row(hold, hold_etag),),
    )
    assert await state.get_desired(ENDPOINT, BLUE, "capacity") == Row(decision(), desired_etag)
    assert await state.get_action(ENDPOINT, BLUE, "capacity") == Row(action(), action_etag)
    assert await state.get_desired(ENDPOINT, BLUE, "traffic") is None
    assert await state.get_action(ENDPOINT, GREEN, "capacity") is None


async def test_a_replacement_needs_the_etag_of_what_it_replaces(state: StateStore) -> None:
    first = await state.put_action(ENDPOINT, BLUE, "capacity", action(), None)
    with pytest.raises(Conflict):
        await state.put_action(ENDPOINT, BLUE, "capacity", action(key="another"), None)
    second = await state.put_action(ENDPOINT, BLUE, "capacity", action(state="sent"), first)
    with pytest.raises(Conflict, match="written by another"):
        await state.put_action(ENDPOINT, BLUE, "capacity", action(state="failed"), first)
    assert await state.get_action(ENDPOINT, BLUE, "capacity") == Row(action(state="sent"), second)


@pytest.mark.parametrize("kind", ["target", "desired", "action"])
async def test_of_many_writers_at_once_exactly_one_wins_each_swap(azurite: str, prefix: str, kind: str) -> None:
    def value(number: int) -> Any:
        if kind == "target":
            return TargetRecord(holds=number)
        return decision(id=f"d{number}") if kind == "desired" else action(key=f"a{number}")

    async def put(tables: Tables, number: int, etag: str | None) -> str:
        store = StateStore(tables)
        if kind == "target":
            return await store.put_target(ENDPOINT, BLUE, value(number), etag)
        write: Any = store.put_desired if kind == "desired" else store.put_action
        return str(await write(ENDPOINT, BLUE, "capacity", value(number), etag))

    storage = {"AzureWebJobsStorage": azurite}
    async with open_tables(storage, prefix=prefix) as one, open_tables(storage, prefix=prefix) as two:
        etag: str | None = None
        for round_number in range(5):
            writers = [one, two] * 4
            results = await asyncio.gather(
                *(put(tables, 10 * round_number + n, etag) for n, tables in enumerate(writers)), return_exceptions=True
            )
            winners = [n for n, result in enumerate(results) if isinstance(result, str)]
            assert len(winners) == 1
            assert sum(isinstance(result, Conflict) for result in results) == 7
            etag = str(results[winners[0]])
            state = await StateStore(one).load(ENDPOINT, NOW)
            rows: dict[str, Any] = {"target": state.targets, "desired": state.desired, "action": state.actions}
            assert list(rows[kind].values()) == [Row(value(10 * round_number + winners[0]), etag)]


async def test_an_intent_takes_the_place_of_the_same_sources_one_of_that_kind(state: StateStore) -> None:
    await state.put_intent(ENDPOINT, intent(value=4))
    await state.put_intent(ENDPOINT, intent(value=5))
    await state.put_intent(ENDPOINT, intent(value=2, kind="floor"))
    await state.put_intent(ENDPOINT, intent(value=9, source="person"))
    await state.put_intent(ENDPOINT, intent(value=1, target=GREEN))
    values = [row.value.value for row in (await loaded(state)).intents]
    assert sorted(value for value in values if value is not None) == [1, 2, 5, 9]


async def test_an_expired_intent_is_neither_seen_nor_kept(state: StateStore, tables: Tables) -> None:
    await state.put_intent(ENDPOINT, intent(expires_at=NOW))
    lasting = intent(source="person", expires_at=NOW + timedelta(seconds=1))
    await state.put_intent(ENDPOINT, lasting)
    results = await asyncio.gather(*(loaded(state) for _ in range(5)))
    assert [[row.value for row in result.intents] for result in results] == [[lasting]] * 5
    rows = tables.table("WatchkeeperState").query("PartitionKey ge @p", {"p": "|"})
    assert [entity.row.split(",")[-2] async for entity in rows] == ["person"]


async def test_an_intent_that_is_renewed_while_it_is_pruned_stays(
    state: StateStore, monkeypatch: pytest.MonkeyPatch, tables: Tables
) -> None:
    await state.put_intent(ENDPOINT, intent(expires_at=NOW))
    table = tables.table("WatchkeeperState")
    delete = table.delete

    async def renew_first(*arguments: Any) -> None:
        await state.put_intent(ENDPOINT, intent(value=7))
        await delete(*arguments)

    monkeypatch.setattr(table, "delete", renew_first)
    assert (await loaded(state)).intents == ()
    assert [row.value.value for row in (await loaded(state)).intents] == [7]


async def test_many_endpoints_are_read_and_one_that_fails_keeps_no_other_from_it(
    state: StateStore, tables: Tables
) -> None:
    keys = [f"{ENDPOINT}-{number}" for number in range(40)]
    await asyncio.gather(*(state.put_target(key, BLUE, TargetRecord(holds=n), None) for n, key in enumerate(keys)))
    await damage(tables, keys[7], '{"schema":1,"holds":"many"}')
    result = await state.load_many([*keys, *keys], NOW)
    assert {key: loaded.targets[BLUE].value.holds for key, loaded in result.states.items()} == {
        key: number for number, key in enumerate(keys) if number != 7
    }
    assert list(result.failures) == [keys[7]]
    assert isinstance(result.failures[keys[7]], CorruptRow)


async def test_operators_read_everything_page_by_page_and_remove_nothing(state: StateStore) -> None:
    keys = sorted(f"{ENDPOINT}-{number}" for number in range(9))
    for key in keys:
        await state.put_target(key, BLUE, TargetRecord(), None)
        await state.put_target(key, GREEN, TargetRecord(), None)
        await state.put_intent(key, intent(expires_at=NOW))
    for page_rows in (1, 4, 5, None):
        found = [loaded async for loaded in state.load_all(NOW, page_rows=page_rows)]
        assert [loaded.endpoint_key for loaded in found] == keys
        assert all(set(loaded.targets) == {BLUE, GREEN} and loaded.intents == () for loaded in found)
    earlier = [loaded async for loaded in state.load_all(NOW - timedelta(seconds=1))]
    assert all(len(loaded.intents) == 1 for loaded in earlier)


async def damage(tables: Tables, endpoint_key: str, text: str, row: str = "target,x") -> None:
    columns: dict[str, Column] = {"schema": 1, "value": text}
    await tables.table("WatchkeeperState").put(
        Entity(partition=endpoint_key.replace("/", "|"), row=row, columns=columns)
    )


@pytest.mark.parametrize(
    ("row", "text", "error"),
    [
        ("target,x", '{"schema":1,"holds":"many"}', CorruptRow),
        ("target,x", '{"schema":9,"lease":1}', SchemaTooNew),
        ("lease,x", "{}", SchemaTooNew),
    ],
)
async def test_a_row_that_cannot_be_read_is_named_and_never_overlooked(
    state: StateStore, tables: Tables, row: str, text: str, error: type[Exception]
) -> None:
    await damage(tables, ENDPOINT, text, row)
    with pytest.raises(error, match=f"row {row} of {ENDPOINT} in WatchkeeperState"):
        await loaded(state)


@pytest.mark.parametrize("key", [ENDPOINT.upper(), "ocr", "", ENDPOINT.replace("vision", "Vision")])
async def test_a_key_in_another_spelling_is_refused(state: StateStore, key: str) -> None:
    with pytest.raises(ValueError, match="lower-cased"):
        await state.load(key, NOW)


async def test_a_value_is_not_stored_as_another_targets(state: StateStore) -> None:
    with pytest.raises(ValueError, match=r"capacity of .*blue, not of capacity of .*green"):
        await state.put_desired(ENDPOINT, GREEN, "capacity", decision(), None)
    with pytest.raises(ValueError, match="not of traffic"):
        await state.put_action(ENDPOINT, BLUE, "traffic", action(), None)


async def test_a_long_value_is_stored_and_shrinks_again(state: StateStore) -> None:
    long = decision(reason="".join(chr(33 + n * n % 9973) for n in range(60_000)))
    etag = await state.put_desired(ENDPOINT, BLUE, "capacity", long, None)
    assert (await loaded(state)).desired[BLUE, "capacity"].value == long
    await state.put_desired(ENDPOINT, BLUE, "capacity", replace(long, reason="short"), etag)
    assert (await loaded(state)).desired[BLUE, "capacity"].value.reason == "short"
