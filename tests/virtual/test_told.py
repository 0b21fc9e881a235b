"""What people hear of: each thing once, by the entry that the ledger has of it."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from shared.domain import Notice
from tests.virtual.arena import QUICK, Arena, policy_text
from tests.virtual.conftest import VIRTUAL, OpenArena
from tests.virtual.test_notices import policy

pytestmark = VIRTUAL


async def told(arena: Arena, kind: str = "") -> Sequence[Notice]:
    """The outbox, oldest first; every notice explains itself by an entry of the ledger that holds it."""
    now = arena.clock.now()
    page = await arena.made.stores.outbox.query(since=arena.opened_at, until=now + timedelta(seconds=1), limit=500)
    notices = [posted.notice for posted in reversed(page.notices) if kind in ("", posted.notice.kind)]
    for notice in notices:
        entry = await arena.made.stores.ledger.get(notice.entry)
        assert entry is not None, notice
        held: Any = entry.body["notice"]
        assert (held["id"], held["links"]) == (notice.id, {})
    return notices


async def test_a_change_by_somebody_else(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3)) as arena:
        await arena.pass_time(120)
        await arena.person_sets(2)
        await arena.pass_time(120)
        (notice,) = await told(arena, "manual_change")
        assert (notice.target, dict(notice.facts)) == ("chat", {"from": "3", "to": "2"})


async def test_a_rule_to_worry_about_comes_and_goes(open_arena: OpenArena) -> None:
    async with open_arena() as arena:
        fault = arena.fault("GET", "/queues", 403)
        await arena.pass_time(120)
        fault.times = 0
        await arena.pass_time(600)
        came, went = await told(arena, "loop_blind")
        assert (came.severity, went.severity) == ("warning", "info")
        assert "it is over" in went.subject


async def test_a_read_that_azure_throttles_for_a_moment_is_no_news(open_arena: OpenArena) -> None:
    """Neither that nobody saw for one look, nor again what people know already."""
    async with open_arena(policy=policy_text(max=1)) as arena:
        arena.send(200)
        await arena.pass_time(120)
        (unkept,) = await told(arena)
        assert unkept.facts["rule"] == "limited_by_max"
        fault = arena.fault("GET", "/queues", 429)
        await arena.evaluate()
        assert fault.hits > 0
        shown = await arena.call("GET", "targets/chat", status=200)
        assert shown["last_look"]["rule"] == "depth_unknown"
        fault.times = 0
        await arena.pass_time(120)
        assert await told(arena) == [unkept]


async def test_a_hold_below_a_floor_is_told_once_while_it_lasts(open_arena: OpenArena) -> None:
    floor = "floors:\n  - {match: chat, min_instances: 3, reason: two zones}\n"
    async with open_arena(policy=policy_text(extra=floor)) as arena:
        await arena.control("POST", "pause", scope="target:chat", for_s=600)
        await arena.pass_time(300)
        (notice,) = await told(arena, "hold_below_floor")
        assert notice.severity == "critical"
        assert "two zones" in notice.text
        switched = await told(arena, "control_switched")
        assert [(one.subject, one.target) for one in switched] == [("ada paused target:chat", "chat")]


async def test_a_change_that_failed(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK) as arena:
        arena.next_operation(code="OutOfCapacity")
        arena.send(20)
        await arena.pass_time(400)
        notice = (await told(arena, "action_failed"))[0]
        (outcome,) = [entry for entry in await arena.entries("outcome") if entry.id == notice.id]
        assert outcome.summary == notice.text
        assert notice.facts["code"] == "OutOfCapacity"


async def test_a_kill_switch(open_arena: OpenArena) -> None:
    async with open_arena() as arena:
        await arena.control("PUT", "kill-switch", scope="all")
        await arena.control("DELETE", "kill-switch", scope="all")
        on, off = await told(arena, "control_switched")
        assert (on.severity, off.severity) == ("warning", "info")
        assert on.text == "ada kill switch on for all: a test"


async def test_a_refused_version_of_the_policy(open_arena: OpenArena) -> None:
    async with open_arena(policy=policy("any")) as arena:
        await arena.evaluate()
        arena.set_policy("version: 2\n")
        await arena.pass_time(30)
        for _ in range(2):
            await arena.call("POST", "upkeep/run", {"chore": "policy_documents"}, status=202)
        (notice,) = await told(arena, "policy_refused")
        assert "version" in notice.text
        assert "the last good version stays" in notice.text
        await arena.pass_time(70)
        assert len(arena.world.cloud.inbox.of("webhook")) == 1


async def test_what_a_crash_kept_from_the_outbox_is_put_in_later(open_arena: OpenArena) -> None:
    """And the act that wanted to tell it went on."""
    async with open_arena(shape=QUICK, policy=policy_text(min=3)) as arena:
        await arena.pass_time(120)
        put = arena.made.stores.outbox.put

        async def fails(*_: object, **__: object) -> bool:
            raise ConnectionError("no storage")

        arena.made.stores.outbox.put = fails  # type: ignore[method-assign]
        await arena.control("PUT", "kill-switch", scope="all")
        await arena.person_sets(2)
        await arena.pass_time(120)
        arena.made.stores.outbox.put = put  # type: ignore[method-assign]
        assert await told(arena) == []
        assert len(await arena.entries("notice")) == 1
        assert await said_by_chore(arena) == "2 notices were in the ledger alone"
        assert {notice.kind for notice in await told(arena)} == {"manual_change", "control_switched"}
        assert await said_by_chore(arena) == ""


async def said_by_chore(arena: Arena) -> str:
    ran = await arena.call("POST", "upkeep/run", {"chore": "notices"}, status=202)
    (said,) = [str(one["said"]) for one in ran["ran"] if one["chore"] == "notices"]
    return said
