"""A signal that cannot be stored ends in the broker's dead letters, and comes back by resubmission: nothing is lost."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from local.world import DEPLOYMENT, SIGNALS_QUEUE
from tests.e2e.stage import Stage, stage
from tests.e2e.table_gate import Moment
from tests.e2e.test_signals import assert_a_signal_leads_to_a_change, far_from_now


@pytest.fixture
async def on(azurite: str, tmp_path: Path) -> AsyncIterator[Stage]:
    async with stage(azurite, tmp_path, sweep=far_from_now()) as made:
        yield made


async def test_what_storage_refused_is_processed_once_after_it_is_submitted_again(on: Stage) -> None:
    queue = on.world.broker.queue(SIGNALS_QUEUE)
    queue.settings = replace(queue.settings, max_delivery_count=2)  # ten deliveries show no more than two
    refused: list[str] = []

    def refuse(written: str, moment: Moment) -> bool:
        if moment == "before":
            refused.append(written)
        return moment == "before"

    on.set_least(2)
    on.tables.strikes = refuse
    event = {"id": "e-1", "eventType": "Microsoft.Resources.ResourceWriteSuccess", "eventTime": "2026-01-05T12:00:00Z"}
    body = json.dumps(event | {"data": {"resourceUri": DEPLOYMENT}}).encode()
    queue.send(body, message_id="m-1")
    await on.until("the broker gives the message up", lambda: queue.counts().dead_letter == 1)
    on.tables.strikes = lambda written, moment: False
    assert refused
    assert await on.entries("signal") == []

    (signals, _work) = (await on.call("GET", "dead-letters"))["entities"]
    assert (signals["name"], signals["count"]) == ("signals", 1)
    assert signals["reasons"] == {"MaxDeliveryCountExceeded": 1}
    (message,) = (await on.call("GET", "dead-letters/signals"))["messages"]
    assert (message["message_id"], json.loads(message["body"])["id"]) == ("m-1", "e-1")

    done = await resubmit(on, message["sequence_number"])
    assert (done["resubmitted"], done["failed"]) == ([message["sequence_number"]], [])
    await assert_a_signal_leads_to_a_change(on, "signal resource.written e-1")
    assert (await resubmit(on, message["sequence_number"]))["missing"] == [message["sequence_number"]]
    queue.send(body, message_id="m-1")  # as a process leaves it that dies between sending and taking out
    await on.until("all are settled", lambda: queue.counts().active + queue.counts().locked == 0)
    assert queue.counts().dead_letter == 0
    assert len(await on.entries("signal")) == len(await on.entries("decision")) == len(on.accepted()) == 1
    (control,) = await on.entries("control")
    assert f"ada resubmitted dead letter {message['sequence_number']} of signals" in control["summary"]


async def resubmit(on: Stage, number: int) -> dict[str, Any]:
    words = {"sequence_numbers": [number], "by": "ada", "reason": "the tables are back"}
    return dict(await on.call("POST", "dead-letters/signals/resubmit", words))
