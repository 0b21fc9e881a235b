"""Dead letters for operators: seen, submitted again or discarded, recorded; told by age, once a day and entity."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any
from unittest.mock import ANY

import pytest

from shared import services
from shared.domain import Notice
from shared.loops.dead_letters import FOLDER
from shared.records.quarantine import CONTAINER
from tests.virtual.arena import QUICK, Arena, policy_text
from tests.virtual.conftest import VIRTUAL, OpenArena

pytestmark = VIRTUAL

WATCHED = """
dead_letters:
  - {name: early, queue: signals, owner: bus@example.com, older_than_s: 7200}
  - {name: gone, queue: gone}
"""


def bury(arena: Arena, *bodies: bytes, name: str = "signals") -> None:
    """Send these to the queue of that name, and give up all that is there."""
    queue = arena.world.broker.queue(name)
    for body in bodies:
        queue.send(body, message_id=f"id-{body.decode()}")
    for delivery in queue.receive(100):
        queue.dead_letter(delivery.lock_token, "MaxDeliveryCountExceeded", "ten times")


def later(arena: Arena, **time: float) -> None:
    """For what the app does from now on; nothing of the time in between happens."""
    services.install(replace(arena.made, now=lambda: arena.clock.now() + timedelta(**time)))


def dead(arena: Arena, name: str = "signals") -> list[bytes]:
    return [message.data() for message in arena.world.broker.queue(f"{name}/$DeadLetterQueue").peek(1, 100)]


async def told(arena: Arena, **after: float) -> dict[str, Notice]:
    """All notices so far by their subjects, once the chore has run at that time."""
    later(arena, **after)
    await arena.upkeep("dead_letters")
    services.install(arena.made)
    page = await arena.made.stores.outbox.query(
        since=arena.opened_at, until=arena.opened_at + timedelta(days=3), limit=100
    )
    found = [posted.notice for posted in page.notices if posted.notice.kind == "dead_letters_aged"]
    return {notice.subject: notice for notice in found}


async def listed(arena: Arena, query: str = "") -> dict[str, dict[str, Any]]:
    """What the list shows, by name."""
    found = (await arena.call("GET", f"dead-letters{query}", status=200))["entities"]
    return {one["name"]: one for one in found}


async def test_they_are_seen_submitted_again_and_discarded(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text("observe", extra=WATCHED)) as arena:
        bury(arena, b"1", b"2", b"3")
        later(arena, hours=2)
        early, gone, signals, work = (await arena.call("GET", "dead-letters", status=200))["entities"]
        assert (work["name"], work["count"]) == ("work", 0)
        assert (signals["name"], signals["count"], signals["count_is_complete"]) == ("signals", 3, True)
        assert signals["reasons"] == {"MaxDeliveryCountExceeded": 3}
        assert (signals["oldest_age_s"], signals["aged"], early["aged"]) == (7200, False, True)
        assert (gone["name"], gone["count"]) == ("gone", None)
        assert "gone of 127.0.0.1" in gone["unreadable"]
        assert "SharedAccessKey" not in str((signals, early, gone))
        services.install(arena.made)

        page = await arena.call("GET", "dead-letters/signals?limit=2", status=200)
        assert [message["body"] for message in page["messages"]] == ["1", "2"]
        rest = await arena.call("GET", f"dead-letters/signals?limit=2&cursor={page['next_cursor']}", status=200)
        assert ([message["body"] for message in rest["messages"]], rest["next_cursor"]) == (["3"], None)
        first, second = (message["sequence_number"] for message in page["messages"])

        words = {"by": "ada", "reason": "the tables are back"}
        done = await arena.call(
            "POST", "dead-letters/signals/resubmit", {"sequence_numbers": [first, 999_999], **words}, status=200
        )
        assert done == {"resubmitted": [first], "missing": [999_999], "failed": [], "more": False}
        (sent,) = arena.world.broker.queue("signals").receive(10)
        assert (sent.body, sent.message_id) == (b"1", "id-1")
        assert dead(arena) == [b"2", b"3"]

        done = await arena.call("POST", "dead-letters/early/discard", {"sequence_numbers": "all", **words}, status=200)
        assert (done["discarded"], done["more"]) == ([second, rest["messages"][0]["sequence_number"]], False)
        assert dead(arena) == []

        entries = [entry for entry in await arena.entries("control") if "dead_letter" in entry.body]
        assert [entry.summary.partition(" of ")[0] for entry in entries] == [
            f"ada resubmitted dead letter {first}",
            f"ada discarded dead letter {second}",
            f"ada discarded dead letter {rest['messages'][0]['sequence_number']}",
        ]
        assert all(entry.summary.endswith(": the tables are back") for entry in entries)
        recorded = entries[1].body["dead_letter"]
        assert (recorded["message_id"], recorded["reason"]) == ("id-2", "MaxDeliveryCountExceeded")  # type: ignore[index, call-overload]
        kept = str(recorded["kept"]).removeprefix(f"{arena.made.blobs.container(CONTAINER).name}/")  # type: ignore[index, call-overload]
        assert kept.startswith(f"{FOLDER}/127.0.0.1")
        blob = await arena.made.blobs.container(CONTAINER).get(kept)
        assert blob is not None
        assert (json.loads(blob)["message_id"], json.loads(blob)["body_base64"]) == ("id-2", "Mg==")

        for path, body, status in (
            ("dead-letters/nobody/discard", {"sequence_numbers": "all", **words}, 404),
            ("dead-letters/gone/discard", {"sequence_numbers": "all", **words}, 404),
            ("dead-letters/signals/discard", {"sequence_numbers": [], **words}, 400),
            ("dead-letters/signals/discard", {"sequence_numbers": [True], **words}, 400),
            ("dead-letters/signals/discard", {"sequence_numbers": [1], "by": "ada"}, 400),
        ):
            assert "code" in await arena.call("POST", path, body, status=status), path
        for wrong in ("limit=0", "cursor=x", f"cursor={'9' * 5_000}", f"cursor={2**63 - 1}"):
            await arena.call("GET", f"dead-letters/signals?{wrong}", status=400)
        await arena.call("GET", "dead-letters/nobody", status=404)


async def test_what_was_kept_of_them_goes_after_its_days_and_malformed_input_that_was_closed_too(
    open_arena: OpenArena,
) -> None:
    policy = policy_text("observe", extra="retention: {quarantine_days: 30}\n")
    async with open_arena(shape=QUICK, policy=policy) as arena:
        words = {"by": "ada", "reason": "of no use"}
        waits, goes = [
            (await arena.call("POST", "alerts", text, status=202))["items"][0]["quarantine"] for text in ("one", "two")
        ]
        await arena.call("POST", f"quarantine/{goes}/discard", words, status=200)
        bury(arena, b"1")
        await arena.call("POST", "dead-letters/signals/discard", {"sequence_numbers": "all", **words}, status=200)
        bury(arena, b"2")
        kept = arena.made.blobs.container(CONTAINER)
        assert len([name async for name in kept.names(f"{FOLDER}/")]) == 1

        said = []
        for days in (30, 30.1, 3000):
            later(arena, days=days)
            said.append((await arena.upkeep("quarantine_purge"))["quarantine_purge"]["said"])
        services.install(arena.made)
        assert said == ["", "removed 1 closed entries; removed 1 dead letters", ""]
        assert [name async for name in kept.names()] == [waits]
        await arena.call("GET", f"quarantine/{goes}", status=404)
        assert (await arena.call("GET", f"quarantine/{waits}", status=200))["state"] == "open"
        assert dead(arena) == [b"2"], "nobody has dealt with it"


@pytest.mark.parametrize("shown", ["when_it_was_sent", "when_it_died"])
async def test_whatever_time_a_dead_letter_shows_its_owner_is_told_in_time(open_arena: OpenArena, shown: str) -> None:
    assumptions = {"servicebus.dead_letter_time": shown}
    policy = policy_text("observe", extra=WATCHED)
    async with open_arena(shape=QUICK, policy=policy, assumptions=assumptions) as arena:
        arena.world.broker.queue("signals").send(b"1")
        await arena.pass_time(60)
        bury(arena)
        later(arena, hours=2)
        early = (await arena.call("GET", "dead-letters", status=200))["entities"][0]
        assert early["oldest_age_s"] == 7200 + (60 if shown == "when_it_was_sent" else 0)
        assert early["aged"]
        services.install(arena.made)


async def test_the_owner_is_told_once_a_day_while_they_wait(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text("observe", extra=WATCHED)) as arena:
        assert await told(arena) == {}
        bury(arena, b"1", b"2")
        assert await told(arena, hours=1.9) == {"The dead letters of gone cannot be read": ANY}
        aged = (await told(arena, hours=2))["Dead letters of early have waited for 2 hours"]
        assert (aged.owners, aged.facts["messages"]) == (("bus@example.com",), "2")
        assert aged.facts["reasons"] == "MaxDeliveryCountExceeded (2)"
        assert len(await told(arena, hours=2.01)) == 2, "the same day it is told once"
        assert len(await told(arena, hours=26)) == 4, "the next day again, and now those of the signals too"


async def test_those_of_a_targets_queue_are_looked_after_without_an_entry(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text("observe")) as arena:
        bury(arena, b"1", b"2", name="work")
        await arena.pass_time(60)
        work = (await listed(arena))["work"]
        assert (work["count"], work["reasons"], work["aged"]) == (2, {"MaxDeliveryCountExceeded": 2}, False)
        assert "Dead letters of work: 2 (GET /api/dead-letters)" in (await arena.call("GET", "state"))["attention"]
        first, second = (await arena.call("GET", "dead-letters/work", status=200))["messages"]
        assert (first["body"], second["body"]) == ("1", "2")
        aged = (await told(arena, hours=25))["Dead letters of work have waited for 25 hours"]
        assert aged.facts["to do"] == "GET /api/dead-letters/work, then POST .../resubmit or .../discard"
        words = {"by": "ada", "reason": "mended", "sequence_numbers": "all"}
        done = await arena.call("POST", "dead-letters/work/discard", words, status=200)
        assert (len(done["discarded"]), dead(arena, "work")) == (2, [])

        arena.set_policy(
            policy_text("observe").replace(
                "    scaling:\n      min", "    dead_letters: false\n    scaling:\n      min"
            )
        )
        await arena.pass_time(30)
        assert list(await listed(arena)) == ["signals"]
        await arena.call("GET", "dead-letters/work", status=404)


async def test_messages_of_a_targets_queue_are_looked_at_only_where_some_wait(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text("observe")) as arena:
        arena.world.broker.deny("work", "Listen")
        await arena.pass_time(60)
        work = (await listed(arena))["work"]
        assert (work["count"], "unreadable" in work) == (0, False)
        assert await told(arena) == await told(arena, hours=2) == {}

        bury(arena, b"1", name="work")
        await arena.pass_time(60)
        found = await listed(arena)
        assert (found["signals"]["count"], found["work"]["count"]) == (0, 1), "Resource Manager has counted it"
        assert "assign the role 'Azure Service Bus Data Receiver'" in found["work"]["unreadable"]
        words = "\n".join((await arena.call("GET", "state"))["attention"])
        assert "Dead letters of 1 targets' queues cannot be read, such as work of 127.0.0.1" in words
        assert "Dead letters of work: 1" in words
        assert await told(arena) == {}
        (notice,) = (await told(arena, hours=1.1)).values()
        assert notice.subject == "The dead letters of 1 targets' queues cannot be read"
        assert "1 messages are known to wait" in notice.text
        assert "Data Receiver" in notice.facts["work"]
        assert len(await told(arena, hours=1.2)) == 1, "the same day it is told once"


async def test_nothing_of_a_targets_queue_is_read_that_resource_manager_does_not_show(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text("observe")) as arena:
        bury(arena, b"1", name="work")
        arena.fault("GET", "/queues", status=403)
        work = (await listed(arena))["work"]
        assert work["count"] is None
        assert "work of demo-bus cannot be counted, and is not looked at before" in work["unreadable"]
        words = {"by": "ada", "reason": "a test", "sequence_numbers": "all"}
        for method, path, body in (
            ("GET", "dead-letters/work", None),
            ("POST", "dead-letters/work/discard", words),
            ("POST", "dead-letters/work/resubmit", words),
        ):
            assert "cannot be counted" in (await arena.call(method, path, body, status=503))["detail"]
        assert dead(arena, "work") == [b"1"]
        assert (await listed(arena))["signals"]["count"] == 0


async def test_the_list_has_pages_and_leaves_out_what_has_none(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text("observe", extra=WATCHED)) as arena:
        names: list[str] = []
        cursor = ""
        while len(names) < 9:
            page = await arena.call("GET", f"dead-letters?limit=1{cursor}", status=200)
            names += [one["name"] for one in page["entities"]]
            if page["next_cursor"] is None:
                break
            cursor = f"&cursor={page['next_cursor']}"
        assert names == ["early", "gone", "signals", "work"]
        assert list(await listed(arena, "?count=some")) == ["gone"], "nobody knows of it that it has none"
        bury(arena, b"1", name="work")
        await arena.pass_time(60)
        assert list(await listed(arena, "?count=some")) == ["gone", "work"]
        for wrong in ("limit=0", "count=all"):
            await arena.call("GET", f"dead-letters?{wrong}", status=400)
