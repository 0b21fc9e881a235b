"""Faults on the way of one change through everything: no second effect, nothing lost, people told, the same end.

Each row of `TROUBLES` begins at one of the steps and ends by itself or after a while. The table in
[docs/torture.md](../../docs/torture.md) says which fault is tested where.
"""

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import pytest
import pytest_asyncio

from local.cloud.faults import Fault
from shared.changes import capacity
from shared.people.channels.webhook import WebhookSender
from shared.records import tables
from shared.records.claims import Claims
from shared.records.ledger import Ledger
from tests.virtual.approvals import ADA, follow, links, questions
from tests.virtual.arena import QUICK, Arena, VirtualApp, arena
from tests.virtual.conftest import VIRTUAL, OpenArena
from tests.virtual.journey import (
    POLICY,
    WHOLE,
    come_to_an_end,
    hear,
    heard_twice,
    kinds_told,
    say_yes,
    traces,
    unheard,
)
from tests.virtual.storage_switch import StorageSwitch

pytestmark = VIRTUAL

Step = Literal["signal", "request", "news"]
PATCH: dict[str, Any] = {"method": "PATCH", "path": "/deployments/blue$"}
READ: dict[str, Any] = {"method": "GET", "path": "/deployments/blue$|/mfeOperation"}
LOOK: dict[str, Any] = {"method": "GET", "path": "/queues|/deployments"}
HOOK: dict[str, Any] = {"host": "hooks.example.com"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Faults from this step on, each until its times are over, the first that matches first.

    `repeats`: the other side may hear twice, because only its answer was lost.
    """

    at: Step
    faults: tuple[dict[str, Any], ...]
    repeats: bool = False


def after(seconds: int) -> dict[str, Any]:
    return {"status": 429, "headers": {"Retry-After": str(seconds)}}


TROUBLES: dict[str, Trouble] = {
    "the request is refused in every way": Trouble(
        at="request",
        faults=(
            {**PATCH, **after(40)},
            {**PATCH, "status": 429},
            {**PATCH, "status": 409},
            {**PATCH, "status": 503},
            {**PATCH, "status": 500, "when": "after"},
        ),
    ),
    "no answer, and then nothing can be read": Trouble(
        at="request", faults=({**PATCH, "withhold": "close", "when": "after"}, {**READ, "status": 503, "times": 12})
    ),
    "nobody sees": Trouble(
        at="signal",
        faults=({**LOOK, "status": 429, "times": 8}, {"path": "ResourceGraph", "status": 500, "times": 3}),
    ),
    "nobody can be told": Trouble(
        at="news",
        faults=(
            {**HOOK, "status": 503},
            {**HOOK, **after(90)},
            {**HOOK, "withhold": "close"},
            {"host": "communication.azure.com", "status": 503, "times": 2},
            {"host": "vault.azure.net", "status": 503, "times": 4},
        ),
    ),
    "they were told, and the answer was lost": Trouble(
        at="news", faults=({**HOOK, "status": 500, "when": "after", "times": 2},), repeats=True
    ),
}


def begin(on: Arena, trouble: Trouble, step: Step) -> list[Fault]:
    faults = trouble.faults if trouble.at == step else ()
    return [on.world.cloud.faults.add(Fault(**fault)) for fault in faults]


async def assert_whole(on: Arena, *, repeats: bool = False) -> None:
    """The one right end."""
    assert await traces(on) == WHOLE
    assert await unheard(on) == []
    assert repeats or await heard_twice(on) == []


@pytest.mark.parametrize("name", TROUBLES)
async def test_faults_on_the_way_change_nothing_of_the_end(open_arena: OpenArena, name: str) -> None:
    trouble = TROUBLES[name]
    async with open_arena(shape=QUICK, policy=POLICY) as on:
        met = begin(on, trouble, "signal")
        await hear(on)
        await on.pass_time(60)  # those who are asked get their mail; a look that saw nothing is made up for
        assert [item["became"] for item in await hear(on)] == ["duplicate"]
        met += begin(on, trouble, "news") + begin(on, trouble, "request")
        await say_yes(on)
        await come_to_an_end(on)
        await assert_whole(on, repeats=trouble.repeats)
        assert [fault.as_json() for fault in met if fault.hits == 0] == [], "a fault was never met"


# ---- what ends otherwise, and is told


async def test_a_right_that_is_missing_is_told_and_used_once_it_is_there(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=POLICY) as on:
        body = {"error": {"code": "AuthorizationFailed", "message": "does not have authorization"}}
        fault = on.world.cloud.faults.add(Fault(**PATCH, status=403, body=body, times=99))
        await hear(on)
        await on.pass_time(60)
        await say_yes(on)
        await on.pass_time(300)
        assert ("failed", "AuthorizationFailed") in (await traces(on)).outcomes
        assert "action_failed" in await kinds_told(on)
        assert on.patches() == []
        fault.times = 0
        await on.pass_time(300)
        await say_yes(on)  # the failed plan is over: the new one is asked for anew
        await come_to_an_end(on)
        assert (on.capacity(), len(on.patches())) == (3, 1)


async def test_a_target_that_vanished_is_told_and_nothing_is_sent(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=POLICY) as on:
        await hear(on)
        await on.pass_time(60)
        on.fault(**PATCH, status=404)
        on.fault("GET", "/deployments/blue$", 404)
        await say_yes(on)
        await come_to_an_end(on)
        seen = await traces(on)
        assert (seen.accepted, seen.signals, seen.claims) == (0, 1, {"yes": 1})
        assert {code for _, code in seen.outcomes} == {"target_vanished"}
        assert "approval_ended" in await kinds_told(on)


async def test_tokens_that_run_out_all_the_time(open_arena: OpenArena) -> None:
    """Azure refuses every token before its time, again and again."""
    async with open_arena(shape=QUICK, policy=POLICY) as on:
        for step in (hear, say_yes):
            on.world.cloud.identity.expire_tokens()
            await step(on)
            on.world.cloud.identity.expire_tokens()
            await on.pass_time(60)
        await come_to_an_end(on)
        await assert_whole(on)


# ---- storage


@pytest_asyncio.fixture(loop_scope="session")
async def switched(
    virtual_app: VirtualApp, azurite: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[StorageSwitch, OpenArena]]:
    """An arena whose storage can be switched off; the client's pauses are real, so they are short here."""
    monkeypatch.setitem(tables._CLIENT_OPTIONS, "retry_backoff_factor", 0.01)
    async with StorageSwitch(azurite) as switch:
        yield switch, partial(arena, virtual_app, switch.connection_string, tmp_path, monkeypatch)


@pytest.mark.parametrize("step", ["signal", "question", "yes", "request"])
async def test_storage_that_refuses_for_a_minute(switched: tuple[StorageSwitch, OpenArena], step: str) -> None:
    """At any step: what could not be stored was not taken, and comes again; what was begun goes on."""
    switch, open_switched = switched
    async with open_switched(shape=QUICK, policy=POLICY) as on:

        async def a_minute_without_it() -> None:
            await on.pass_time(60)
            switch.on()
            await on.pass_time(60)

        if step == "signal":
            switch.off()
            with pytest.raises(ConnectionError):
                await hear(on)
            await a_minute_without_it()
        await hear(on)
        if step == "question":
            switch.off()
            await a_minute_without_it()
        await on.pass_time(60)
        if step == "yes":
            told = await links(on, ADA)
            switch.off()
            assert (await follow(on, told["approve"])).status == 503
            await a_minute_without_it()
        if step == "request":
            on.fault(**PATCH, status=429, headers={"Retry-After": "5"}, times=2)
        await say_yes(on)
        if step == "request":
            switch.off()
            await a_minute_without_it()
        await come_to_an_end(on)
        assert switch.refused > 0
        await assert_whole(on)


# ---- the clock of the app's machine

JUMPS = {"three hours on": 3.0, "a day on": 26.0, "ten minutes back": -1 / 6, "two hours back": -2.0}
STEPS = ("before the yes", "after the yes", "and back")
FEW = {("three hours on", "before the yes"), ("ten minutes back", "after the yes"), ("a day on", "and back")}
ALL = os.environ.get("WATCHKEEPER_TORTURE", "") == "1"


async def say_yes_and_end(on: Arena, leap: timedelta | None = None) -> None:
    """Whoever is asked says yes, if there is a question; then the clock leaps, if it is to."""
    for _ in range(6):
        for request in await questions(on):
            if request["state"] == "pending":
                await on.control("POST", f"approvals/{request['id']}/approve", by=ADA)
        if leap is not None and not on.skew.by:
            on.skew.leap(leap)
        await come_to_an_end(on)
        if on.capacity() == 3:
            break


@pytest.mark.parametrize(
    ("jump", "step"), [(jump, step) for jump in JUMPS for step in STEPS if ALL or (jump, step) in FEW]
)
async def test_a_clock_that_jumps(open_arena: OpenArena, jump: str, step: str) -> None:
    """Nothing is lost, nobody is flooded, and the change is made once; some of it may have to be asked again.

    What has a time of its own (a question, the next try to tell somebody) waits for a clock that went back hours.
    """
    async with open_arena(shape=QUICK, policy=POLICY) as on:
        await hear(on)
        await on.pass_time(60)
        leap = timedelta(hours=JUMPS[jump])
        if step != "after the yes":
            on.skew.leap(leap)
            await on.upkeep()
            await on.pass_time(120)
        if step == "and back":
            on.skew.leap(-leap)
        await say_yes_and_end(on, leap if step == "after the yes" else None)
        if leap < -timedelta(hours=1) and step != "and back":
            await on.pass_time(-leap.total_seconds())
            await say_yes_and_end(on)
        seen = await traces(on)
        assert (seen.capacity, seen.accepted, seen.signals, seen.claims) == (3, 1, 1, {"yes": 1})
        assert seen.waiting == 0
        # By time, an end in the future comes last, whenever it was written.
        assert seen.outcomes.count(("succeeded", "verified")) == 1
        assert {kind for kind, _ in seen.outcomes} <= {"succeeded", "refused", "superseded"}
        assert seen.decisions <= 3
        assert len(on.world.cloud.inbox.of("webhook")) <= 10, "people are flooded"
        assert await heard_twice(on) == []
        assert [chore for chore, ran in (await on.upkeep()).items() if ran.get("failed")] == []


# ---- planted defects


async def _finished_first(claims: Claims, claim: Any, now: Any) -> Any:
    """A signal counts as done before anything was done."""
    taking, row = await _TAKE(claims, claim, now)
    if taking == "mine":
        await claims.finish(row, now)
    return taking, row


async def _sent_twice(arm: Any, action: Any, view: Any) -> Any:
    """Again at once, as if it were another plan."""
    await _REQUEST(arm, replace(action, request_id=str(uuid4())), view)
    return await _REQUEST(arm, action, view)


async def _posted_twice(sender: WebhookSender, *arguments: Any, **named: Any) -> Any:
    await _POST(sender, *arguments, **named)
    return await _POST(sender, *arguments, **named)


_TAKE, _REQUEST, _POST = Claims.take, capacity.request, WebhookSender.send


async def test_a_planted_loss_is_seen(
    switched: tuple[StorageSwitch, OpenArena], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The taker dies, in a manner of speaking, between its claim and the rest."""
    monkeypatch.setattr(Claims, "take", _finished_first)
    append, (_, open_switched) = Ledger.append, switched

    async def dies(*_: object) -> None:
        raise ConnectionError("storage is away")

    async with open_switched(shape=QUICK, policy=POLICY) as on:
        monkeypatch.setattr(Ledger, "append", dies)
        with pytest.raises(ConnectionError):
            await hear(on)
        monkeypatch.setattr(Ledger, "append", append)
        await hear(on)
        await come_to_an_end(on)
        assert (await traces(on)).signals == 0


@pytest.mark.parametrize("planted", ["request", "notice"])
async def test_a_planted_repetition_is_seen(
    open_arena: OpenArena, monkeypatch: pytest.MonkeyPatch, planted: str
) -> None:
    if planted == "request":
        monkeypatch.setattr(capacity, "request", _sent_twice)
    else:
        monkeypatch.setattr(WebhookSender, "send", _posted_twice)
    async with open_arena(shape=QUICK, policy=POLICY) as on:
        await hear(on)
        await on.pass_time(60)
        await say_yes(on)
        await come_to_an_end(on)
        with pytest.raises(AssertionError):
            await assert_whole(on)
