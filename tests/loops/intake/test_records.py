"""What the ledger and the counts of days say of a signal."""

from datetime import timedelta

import pytest

from shared.records import Tables
from shared.records.signals import SignalKinds
from tests.loops.intake.builders import (
    NOW,
    QUEUE,
    SUBSCRIPTION,
    Clock,
    Loops,
    Process,
    became,
    body,
    event,
    recorded,
    resource,
    start,
)


async def test_a_signal_is_recorded_once_with_whom_it_woke(tables: Tables, process: Process) -> None:
    loops = Loops()
    intake = process(loops)
    (item,) = await intake.take(body(event()), QUEUE, start)
    assert (item.became, item.id, item.kind, item.targets, item.handled_by) == (
        "signal",
        "e-1",
        "resource.written",
        1,
        ("scaling",),
    )
    for again in (intake, process(loops)):
        assert became(await again.take(body(event()), QUEUE, start)) == ["duplicate"]
    (entry,) = await recorded(tables)
    assert (entry.id, entry.endpoint_key, entry.target, entry.loop) == (item.entry, resource(1), "e-1", "scaling")
    assert entry.summary == f"resource.written from {SUBSCRIPTION}: wakes e-1"
    assert entry.body["woke"] == {"scaling": ["e-1"]}
    assert entry.body["origin"] == {"trigger": "service_bus", "queue": "signals", "message": "m-1"}
    assert loops.looks == [{"e-1"}]


@pytest.mark.parametrize(
    ("kind", "handling", "outcome"),
    [
        ("Microsoft.MachineLearningServices.RunCompleted", "not_yet_handled", "signal"),
        ("Contoso.Thing", "unknown", "unknown"),
    ],
)
async def test_what_nobody_handles_is_recorded_all_the_same(
    tables: Tables, process: Process, kind: str, handling: str, outcome: str
) -> None:
    data = {
        "experimentId": "x",
        "experimentName": "x",
        "runId": "r",
        "runType": "t",
        "runTags": {},
        "runProperties": {},
    }
    loops = Loops()
    (item,) = await process(loops).take(body(event(eventType=kind, data=data)), QUEUE, start)
    assert (item.became, item.handled_by, item.targets) == (outcome, (), 0)
    (entry,) = await recorded(tables)
    assert (entry.body["handling"], entry.body["handled_by"], entry.endpoint_key) == (handling, [], "")
    assert loops.looks == []


async def test_days_are_counted_by_kind_and_source_and_outlive_the_entries(
    tables: Tables, process: Process, clock: Clock
) -> None:
    intake = process(Loops())
    await intake.take(body(event(1), event(1), event(2, 2), event(3, eventType="Contoso.Thing")), QUEUE, start)
    clock.now += timedelta(hours=1)
    await intake.take(body(event(4)), QUEUE, start)
    today = NOW.date()
    (counted,) = await intake.kinds.days(today, today)
    assert [(kind.kind, kind.source, kind.handling, kind.count) for kind in counted.kinds] == [
        ("Contoso.Thing", SUBSCRIPTION, "unknown", 1),
        ("resource.written", SUBSCRIPTION, "handled", 3),
    ]
    assert (counted.kinds[1].first_at, counted.kinds[1].last_at) == (NOW, clock.now)
    assert await intake.kinds.keep(clock.now) == 7, "the days before, which are over"
    tomorrow = NOW + timedelta(days=1)
    assert await intake.kinds.keep(tomorrow) == 1
    assert await intake.kinds.keep(tomorrow) == 0
    ledger = tables.table("WatchkeeperLedger")
    async for row in ledger.query("PartitionKey ge @first", {"first": ""}):
        await ledger.delete(row.partition, row.row)
    assert await SignalKinds(tables).days(today, tomorrow.date()) == [
        counted,
        await SignalKinds(tables).count(tomorrow.date()),
    ]
