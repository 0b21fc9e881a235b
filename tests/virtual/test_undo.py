"""Putting a change back over HTTP: what was there before is there again for a while, by the usual way."""

from datetime import timedelta
from typing import Any

import pytest

from tests.virtual.approvals import ADA, asked, follow, gated, links, notices, open_question
from tests.virtual.arena import QUICK, Answer, Arena, policy_text
from tests.virtual.conftest import VIRTUAL, OpenArena
from tests.virtual.test_pause import FLOOR

pytestmark = VIRTUAL

# Six instances are wanted for it, and for hours.
LONG_QUEUE = 3000


async def undo(arena: Arena, entry_id: str, verb: str = "POST", **body: Any) -> Answer:
    got = await arena.request(verb, f"undo/{entry_id}", json={"by": "ada", "reason": "a mistake"} | body)
    await arena.clock.settle()
    return got


async def grown(arena: Arena) -> str:
    """Let it grow for a queue that stays; the decision."""
    arena.send(LONG_QUEUE)
    await arena.pass_time(120)
    (decision,) = await arena.decisions()
    assert arena.capacity() == decision.to > decision.current == 1
    return decision.id


async def shown(arena: Arena) -> dict[str, Any]:
    return dict(await arena.call("GET", "targets/chat", status=200))


async def told(arena: Arena) -> list[str]:
    return [entry.summary for entry in await arena.entries("control")]


async def test_a_growth_is_put_back_and_held_although_the_queue_is_full(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK) as arena:
        change = await grown(arena)
        grown_to = arena.capacity()
        got = await undo(arena, change, for_s=1800)
        assert (got.status, got.body["decided"], got.body["orders"]) == (201, 1, 1)
        put = got.body["undo"]
        assert (put["id"], put["target"], put["from"], put["to"]) == (change, "chat", grown_to, 1)
        await arena.pass_time(900)
        assert arena.capacity() == 1
        assert len(arena.patches()) == 2
        (_, back) = await arena.decisions()
        assert (back.rule, back.winner, back.to) == ("put_back", "person", 1)
        assert {one.source for one in back.overruled} == {"scaling"}
        assert back.reason.startswith(f"ada puts back 1 -> {grown_to} ({change}) until ")
        assert await notices(arena, "manual_change") == []  # nobody took it for a change by others
        now = await shown(arena)
        decision = now["now"]["decision"]
        assert (decision["to"], decision["rule"]) == (1, "put_back")
        assert [(one["source"], one["kind"]) for one in decision["overruled"]] == [("scaling", "wish")]
        (standing,) = now["standing_intents"]
        assert (standing["source"], standing["undoes"], standing["value"]) == ("person", change, 1)
        assert "ada" in standing["reason"]
        assert "a mistake" in standing["reason"]
        assert standing["expires_at"].rstrip("Z") == put["until"].removesuffix("+00:00")
        assert await told(arena) == [f"ada put back {grown_to} -> 1, undoing {change}: a mistake"]
        (notice,) = await notices(arena, "control_switched")
        assert notice.target == "chat"


async def test_after_its_end_scaling_decides_again(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK) as arena:
        change = await grown(arena)
        got = await undo(arena, change, for_s=600)
        await arena.pass_time(590)
        assert arena.capacity() == 1
        await arena.pass_time(150)
        assert arena.capacity() > 1
        assert (await shown(arena))["standing_intents"] == []
        assert got.body["undo"]["until"] == (arena.opened_at + timedelta(seconds=720)).isoformat()


async def test_without_for_s_it_lasts_as_long_as_a_change_by_hand_is_respected(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(respect_manual_s=1234)) as arena:
        got = await undo(arena, await grown(arena))
        assert got.body["undo"]["until"] == (arena.clock.now() + timedelta(seconds=1234)).isoformat()


async def test_a_shrink_is_put_back(open_arena: OpenArena) -> None:
    quick: dict[str, Any] = {"scale_in_hold_s": 60, "scale_in_cooldown_s": 60}
    async with open_arena(shape=QUICK, policy=policy_text(min=4, **quick)) as arena:
        await arena.pass_time(120)
        arena.set_policy(policy_text(**quick))
        await arena.pass_time(400)
        assert arena.capacity() == 1
        (*_, shrink) = await arena.outcomes()
        before = (await arena.decisions())[-1].current
        assert (await undo(arena, shrink.action_key, for_s=900)).status == 201
        await arena.pass_time(600)
        assert arena.capacity() == before > 1


async def test_repeated_it_is_one(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK) as arena:
        change = await grown(arena)
        first = await undo(arena, change, for_s=1800)
        await arena.pass_time(60)
        (grew, back) = await arena.entries("outcome")
        assert grew.id.endswith(change)
        assert back.summary.startswith("Done (verified), to 1 instance")
        for again in (change, grew.id):
            got = await undo(arena, again, for_s=60)
            assert (got.status, got.body["undo"]) == (200, first.body["undo"])
        other = await undo(arena, change, by="bea", reason="mine")
        assert (other.status, other.body["undo"]) == (200, first.body["undo"])
        assert len(await told(arena)) == 1
        assert len(arena.patches()) == 2


async def test_what_could_not_be_recorded_is_recorded_by_its_repetition(
    open_arena: OpenArena, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unwritable(_entry: Any) -> None:
        raise ConnectionError("no storage")

    async with open_arena(shape=QUICK) as arena:
        change = await grown(arena)
        with monkeypatch.context() as broken:
            broken.setattr(arena.made.stores.ledger, "append", unwritable)
            got = await undo(arena, change)
        assert (got.status, got.body["code"]) == (503, "unavailable")
        assert got.body["detail"].startswith("In effect, but not recorded")
        assert await told(arena) == []
        assert (await undo(arena, change)).status == 200
        assert len(await told(arena)) == 1


async def test_it_is_withdrawn(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK) as arena:
        change = await grown(arena)
        await undo(arena, change)
        await arena.pass_time(120)
        assert arena.capacity() == 1
        got = await undo(arena, change, "DELETE", reason="it was right")
        assert (got.status, got.body["was_standing"]) == (200, True)
        assert (await shown(arena))["standing_intents"] == []
        await arena.pass_time(150)
        assert arena.capacity() > 1
        again = await undo(arena, change, "DELETE", reason="once more")
        assert (again.status, again.body["was_standing"]) == (200, False)
        assert (await told(arena))[1:] == [
            f"ada withdrew the undo of {change}: it was right",
            f"ada withdrew the undo of {change}, which did not stand: once more",
        ]


async def test_what_was_put_back_can_be_put_back(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK) as arena:
        change = await grown(arena)
        grown_to = arena.capacity()
        await undo(arena, change)
        await arena.pass_time(120)
        back = (await arena.decisions())[-1].id
        assert (await undo(arena, back)).status == 201
        await arena.pass_time(120)
        assert arena.capacity() == grown_to
        (standing,) = (await shown(arena))["standing_intents"]
        assert standing["undoes"] == back


# ---- what binds it


async def test_a_floor_binds_it(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK) as arena:
        change = await grown(arena)
        assert arena.capacity() > 3
        arena.set_policy(policy_text(extra=FLOOR))
        await arena.pass_time(10)
        assert (await undo(arena, change)).status == 201
        await arena.pass_time(300)
        assert arena.capacity() == 3
        back = (await arena.decisions())[-1]
        assert (back.rule, back.winner) == ("platform_floor", "platform")
        assert ("person", "wish", 1) in {(one.source, one.kind, one.value) for one in back.overruled}


async def test_it_waits_for_approval_and_people_are_told_how_to_undo(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(extra=gated())) as arena:
        arena.send(LONG_QUEUE)
        question = await asked(arena)
        await arena.pass_time(120)
        await follow(arena, (await links(arena, ADA))["approve"])
        (approved, *_) = [one for one in await notices(arena, "approval_ended") if one.recipient == ADA]
        assert f"POST /api/undo/{question.id}" in approved.facts["how to undo"]
        await arena.pass_time(120)
        grown_to = arena.capacity()
        assert grown_to > 1
        assert (await undo(arena, question.id, for_s=7200)).status == 201
        await arena.pass_time(300)
        assert arena.capacity() == grown_to
        back = await open_question(arena)
        assert (back.decision.rule, back.decision.to) == ("put_back", 1)
        await follow(arena, (await links(arena, ADA))["approve"])
        await arena.pass_time(120)
        assert arena.capacity() == 1


async def test_withdrawn_while_it_waits_for_approval_it_is_asked_no_more(open_arena: OpenArena) -> None:
    """Also where the loop itself hesitates to say anything else."""
    quick: dict[str, Any] = {"scale_in_hold_s": 60, "scale_in_cooldown_s": 60, "respect_manual_s": 60}
    async with open_arena(shape=QUICK, policy=policy_text(**quick)) as arena:
        await arena.evaluate()
        await arena.person_sets(4)
        await arena.pass_time(600)
        assert arena.capacity() == 1
        (shrink,) = await arena.decisions()
        arena.set_policy(policy_text(**(quick | {"respect_manual_s": 3600}), extra=gated()))
        await arena.pass_time(10)
        await undo(arena, shrink.id)
        question = await open_question(arena)
        assert (question.decision.current, question.decision.to) == (1, 4)
        arena.fault("GET", "queues", 500)
        await arena.pass_time(600)
        await undo(arena, shrink.id, "DELETE")
        ended = await arena.made.stores.approvals.about(question.id)
        assert ended is not None
        assert ended.state == "replaced"
        assert "depth_unknown" in ended.ended_why


async def test_the_kill_switch_stops_it(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK) as arena:
        change = await grown(arena)
        grown_to = arena.capacity()
        await arena.control("PUT", "kill-switch", scope="target:chat")
        got = await undo(arena, change)
        assert (got.status, got.body["orders"]) == (201, 0)
        await arena.pass_time(300)
        assert arena.capacity() == grown_to
        await arena.control("DELETE", "kill-switch", scope="target:chat")
        await arena.pass_time(120)
        assert arena.capacity() == 1


async def test_a_freeze_stops_it_and_is_told_once(open_arena: OpenArena) -> None:
    frozen = """\
freezes:
  - name: drill
    reason: A drill.
    zone: UTC
    once: {from: "2026-01-05T09:00", until: "2026-01-05T12:00"}
"""
    async with open_arena(shape=QUICK) as arena:
        change = await grown(arena)
        grown_to = arena.capacity()
        arena.set_policy(policy_text(extra=frozen))
        await arena.pass_time(10)
        await undo(arena, change)
        await arena.pass_time(600)
        assert arena.capacity() == grown_to
        ends = [(one.kind, one.code) for one in await arena.outcomes()]
        assert ends == [("succeeded", "verified"), ("refused", "frozen")]


async def test_one_that_does_not_work_is_not_tried_at_every_look(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK) as arena:
        change = await grown(arena)
        arena.fault("PATCH", "deployments", 400, times=2)
        await undo(arena, change, for_s=7200)
        await arena.pass_time(50)
        assert len(arena.sent()) == 2
        await arena.pass_time(400)
        assert len(arena.sent()) == 4
        assert arena.capacity() == 1


async def test_a_later_change_by_others_ends_it(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(respect_manual_s=600)) as arena:
        change = await grown(arena)
        await undo(arena, change, for_s=7200)
        await arena.pass_time(120)
        await arena.person_sets(2)
        await arena.pass_time(300)
        assert arena.capacity() == 2
        assert [one["rule"] for one in (await shown(arena))["standing_intents"]] == ["manual_change"]
        await arena.pass_time(600)
        assert arena.capacity() > 2


# ---- where it is named


async def test_explain_names_the_undo_of_what_was_made(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK) as arena:
        arena.send(LONG_QUEUE)
        await arena.evaluate()
        (decision,) = await arena.decisions()
        assert (await arena.call("GET", f"explain/{decision.id}", status=200))["undo"] is None
        await arena.pass_time(120)
        (outcome,) = await arena.entries("outcome")
        for one in (decision.id, outcome.id):
            way = (await arena.call("GET", f"explain/{one}", status=200))["undo"]
            assert way == {"method": "POST", "path": f"/api/undo/{decision.id}"}
        path = way["path"].removeprefix("/api/")
        body = {"by": "ada", "reason": "a mistake"}
        assert (await arena.request(way["method"], path, json=body)).status == 201
