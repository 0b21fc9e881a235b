"""What fails on the way loses nothing: it is not acknowledged, comes again, or is kept apart."""

import json
import uuid
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain import Signal
from shared.records import Tables, open_tables
from shared.records.claims import LEASE, Claims, signal_key
from tests.loops.intake.builders import QUEUE, Clock, Loops, Process, became, body, event, ids, recorded, start
from tests.records.lossy_proxy import LossyProxy


async def test_a_claim_that_cannot_be_read_hinders_no_other(tables: Tables, process: Process, clock: Clock) -> None:
    loops = Loops()
    loops.failing = RuntimeError("not now")
    for number in (1, 2):
        with pytest.raises(RuntimeError, match="not now"):
            await process(loops).take(body(event(number)), QUEUE, start)
    clock.now += LEASE + timedelta(seconds=1)
    (first, *_) = sorted([row async for row in Claims(tables).left(clock.now)], key=lambda row: row.value.signal.id)
    key = signal_key(first.value.signal)
    table = tables.table("WatchkeeperClaims")
    found = await table.get(key[0], key)
    assert found is not None
    await table.put(replace(found, columns={**found.columns, "schema": 99}))
    loops = Loops()
    assert await process(loops).finish_left(start) == 1
    assert loops.woken_for("e-2") == 1


async def test_a_look_that_fails_lets_the_message_come_again(tables: Tables, process: Process) -> None:
    loops = Loops()
    loops.failing = RuntimeError("no policy is in force")
    intake = process(loops)
    with pytest.raises(RuntimeError, match="no policy"):
        await intake.take(body(event(1, 1), event(2, 2)), QUEUE, start)
    loops.failing = None
    assert became(await intake.take(body(event(1, 1), event(2, 2)), QUEUE, start)) == ["signal", "signal"]
    assert sorted(ids(await recorded(tables))) == ["e-1", "e-2"]


async def test_what_others_must_hear_is_heard_before_it_is_done(process: Process) -> None:
    class Secrets:
        name = "secrets"
        kinds = frozenset({"key_vault.secret_new_version"})
        failing = True

        def __init__(self) -> None:
            self.heard: list[str] = []

        async def hear(self, signal: Signal) -> None:
            if self.failing:
                self.failing = False
                raise ConnectionError("the tables are out of reach")
            self.heard.append(signal.fields["object_name"])

    secrets = Secrets()
    intake = process(Loops(), listeners=(secrets,))
    created = event(
        eventType="Microsoft.KeyVault.SecretNewVersionCreated",
        data={"VaultName": "kv", "ObjectType": "Secret", "ObjectName": "link-key", "Version": "v2"},
    )
    with pytest.raises(ConnectionError):
        await intake.take(body(created), QUEUE, start)
    (item,) = await intake.take(body(created), QUEUE, start)
    assert (item.became, item.handled_by, secrets.heard) == ("signal", ("secrets",), ["link-key"])
    assert became(await intake.take(body(created), QUEUE, start)) == ["duplicate"]
    assert secrets.heard == ["link-key"]


async def test_while_the_tables_are_out_of_reach_nothing_is_acknowledged(
    azurite: str, tables: Tables, process: Process
) -> None:
    async with LossyProxy(azurite) as proxy:
        storage = {"AzureWebJobsStorage": proxy.connection_string}
        async with open_tables(storage, prefix=f"T{uuid.uuid4().hex[:16]}") as lossy:
            loops = Loops()
            intake = process(loops, store=lossy)
            await intake.take(body(event(0)), QUEUE, start)  # its tables are there
            proxy.losing, proxy.arriving = 1000, False
            for bad in (body(event()), b"{"):
                with pytest.raises(Exception, match=r"no answer|disconnected|lost"):
                    await intake.take(bad, QUEUE, start)
            proxy.losing = 0
            assert became(await intake.take(body(event()), QUEUE, start)) == ["signal"]
            assert became(await intake.take(b"{", QUEUE, start)) == ["quarantined"]
            assert sorted(ids(await recorded(lossy))) == ["e-0", "e-1"]


async def test_one_bad_item_is_kept_and_loses_no_other(process: Process) -> None:
    intake = process(Loops())
    marker = uuid.uuid4().hex
    items = await intake.take(body(event(1), {"no": marker}, event(2, 2)), QUEUE, start)
    assert sorted(became(items)) == ["quarantined", "signal", "signal"]
    (kept,) = (await intake.quarantine.query()).entries
    assert kept.origins == (QUEUE,)
    assert json.loads(await intake.quarantine.body(kept.id)) == {"no": marker}
    await intake.take(body(event(1), {"no": marker}, event(2, 2)), QUEUE, start)
    (kept,) = (await intake.quarantine.query()).entries
    assert kept.count == 1, "the same message again"
