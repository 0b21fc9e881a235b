"""How a question ends without its plan being carried out: no, no answer, a newer plan. The safe side is: not done."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from local.cloud.faults import Fault
from shared.domain import Answer
from tests.virtual.approvals import (
    ADA,
    BEA,
    asked,
    ends,
    follow,
    gated,
    links,
    notices,
    open_question,
    questions,
    told,
)
from tests.virtual.arena import QUICK, policy_text
from tests.virtual.conftest import VIRTUAL, OpenArena

pytestmark = VIRTUAL


async def test_a_no_ends_it_and_is_not_asked_again_for_a_while(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3, extra=gated(ask_again_after_s=1800))) as arena:
        await asked(arena)
        no = await links(arena, BEA)
        got = await follow(arena, no["deny"], reason="not today")
        assert (got.status, "bea@example.com said no: not today" in got.body) == (200, True)
        late = await follow(arena, (await links(arena, ADA))["approve"])
        assert (late.status, "comes too late" in late.body) == (409, True)
        await arena.pass_time(1700)
        assert arena.sent() == []
        assert await ends(arena) == [("refused", "approval_denied")]
        assert len(await questions(arena)) == 1
        assert len(await arena.decisions()) == 1
        await arena.pass_time(200)
        assert [one["state"] for one in await questions(arena)] == ["denied", "pending"]
        heard = [(notice.recipient, notice.subject) for notice in await notices(arena, "approval_ended")]
        assert sorted(heard) == [(who, "chat: 1 -> 3 instances was denied") for who in (ADA, BEA)]


async def test_who_said_yes_may_take_it_back_before_it_runs(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3, extra=gated(needed=2))) as arena:
        await asked(arena)
        mine, hers = await links(arena, ADA), await links(arena, BEA)
        await follow(arena, mine["approve"])
        assert (await follow(arena, mine["deny"], reason="wrong one")).status == 200
        assert (await follow(arena, hers["approve"])).status == 409
        assert (await follow(arena, mine["approve"])).status == 200  # "you approved it at ..., it was denied"
        await arena.pass_time(120)
        assert arena.sent() == []
        assert [one["state"] for one in await questions(arena)] == ["denied"]


async def test_without_delivery_it_is_reported_as_undeliverable(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3, extra=gated(mail=False, deadline_s=600))) as arena:
        await asked(arena)
        yes = (await links(arena, ADA))["approve"]
        await arena.pass_time(700)
        (shown,) = await questions(arena)
        assert (shown["state"], shown["delivered_at"]) == ("expired", None)
        assert shown["ended_why"].startswith("It could not be delivered until")
        assert await ends(arena) == [("refused", "approval_expired")]
        assert (await follow(arena, yes)).status == 409
        assert arena.sent() == []
        assert (await told(arena))[-1].startswith("It was expired at")


async def test_the_deadline_counts_from_delivery(open_arena: OpenArena) -> None:
    """The mail service is away for five minutes; people have their ten minutes from when they got the mail."""
    async with open_arena(shape=QUICK, policy=policy_text(min=3, extra=gated(needed=2, deadline_s=600))) as arena:
        arena.world.cloud.faults.add(Fault(host="communication.azure.com", status=503, times=9999))
        await asked(arena)
        await arena.pass_time(300)
        assert (await questions(arena))[0]["delivered_at"] is None
        arena.world.cloud.faults.clear()
        while (shown := (await questions(arena))[0])["delivered_at"] is None:
            assert shown["state"] == "pending"
            await arena.pass_time(30)
        until = datetime.fromisoformat(shown["deadline"])
        assert until == datetime.fromisoformat(shown["delivered_at"]) + timedelta(seconds=600)
        assert until > datetime.fromisoformat(shown["asked_at"]) + timedelta(seconds=900)
        await follow(arena, (await links(arena, ADA))["approve"])
        await arena.pass_time((until - arena.clock.now()).total_seconds() - 1)
        assert [one["state"] for one in await questions(arena)] == ["pending"]
        await arena.pass_time(60)
        (shown,) = await questions(arena)
        assert (shown["state"], arena.sent()) == ("expired", [])
        assert "1 of 2 said yes" in shown["ended_why"]


async def test_a_link_runs_out(open_arena: OpenArena) -> None:
    fields = gated(deadline_s=600, valid_for_s=600, ask_again_after_s=86400)
    async with open_arena(shape=QUICK, policy=policy_text(min=3, extra=fields)) as arena:
        await asked(arena)
        yes = (await links(arena, ADA))["approve"]
        await arena.pass_time(1801)
        got = await follow(arena, yes, "GET")
        assert (got.status, "This link was valid until" in got.body) == (410, True)


async def test_an_approved_plan_outlives_its_data_but_not_its_own_validity(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3, extra=gated(valid_for_s=20))) as arena:
        await asked(arena)
        await arena.pass_time(1200)  # stale_after_s is 300
        request = await open_question(arena)
        answer = Answer(who=ADA, verdict="approve", why="", at=arena.clock.now(), how="link")
        await arena.made.stores.approvals.answer(request.id, answer)  # and its order is lost
        await arena.pass_time(60)
        assert arena.sent() == []
        assert await ends(arena) == [("refused", "approval_expired")]


async def test_an_old_plan_that_still_fits_is_sent_when_it_is_approved(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3, extra=gated())) as arena:
        await asked(arena)
        await arena.pass_time(3600)
        await follow(arena, (await links(arena, ADA))["approve"])
        await arena.pass_time(120)
        assert (arena.capacity(), len(arena.sent())) == (3, 1)
        assert len(await arena.decisions()) == 1


@pytest.mark.parametrize(("tolerance", "states"), [(1, ["pending"]), (0, ["replaced", "pending"])])
async def test_a_newer_plan_replaces_a_waiting_one_only_beyond_the_tolerance(
    open_arena: OpenArena, tolerance: int, states: list[str]
) -> None:
    rule = gated(tolerance_instances=tolerance, tolerance_pct=0)
    async with open_arena(shape=QUICK, policy=policy_text(min=3, extra=rule)) as arena:
        await asked(arena)
        old = await links(arena, ADA)
        arena.set_policy(policy_text(min=4, extra=rule))
        await arena.pass_time(150)
        shown = await questions(arena)
        assert [one["state"] for one in shown] == states
        assert len(await arena.decisions()) == len(states)
        got = await follow(arena, old["approve"])
        if states == ["pending"]:
            assert (got.status, len(arena.patches())) == (200, 1)
            return
        assert "4 instances are wanted now, not 3" in shown[0]["ended_why"]
        assert (got.status, "4 instances are wanted now, not 3" in got.body) == (409, True)
        assert arena.sent() == []
        assert [notice.recipient for notice in await notices(arena, "approval_ended")].count(ADA) == 1
        await follow(arena, (await links(arena, ADA))["approve"])
        await arena.pass_time(120)
        assert (arena.capacity(), len(arena.sent())) == (4, 1)


async def test_a_need_that_is_gone_ends_the_question(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3, extra=gated())) as arena:
        await asked(arena)
        yes = (await links(arena, ADA))["approve"]
        arena.set_policy(policy_text(min=1, extra=gated()))
        await arena.pass_time(60)
        (shown,) = await questions(arena)
        assert shown["state"] == "replaced"
        assert shown["ended_why"].startswith("It is not wanted any more (promise_kept)")
        assert (await follow(arena, yes)).status == 409
        assert arena.sent() == []


async def test_a_person_s_change_ends_the_question(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3, extra=gated())) as arena:
        await asked(arena)
        yes = (await links(arena, ADA))["approve"]
        await arena.person_sets(2)
        await arena.pass_time(180)
        (shown,) = await questions(arena)
        assert (shown["state"], shown["ended_why"][:28]) == ("replaced", "There are 2 instances now, n")
        assert (await follow(arena, yes)).status == 409
        assert arena.sent() == []


async def test_a_capacity_that_changed_since_the_last_look_is_not_overwritten(open_arena: OpenArena) -> None:
    """Between the last look and the yes a person changes the deployment: the act reads it, and refuses."""
    async with open_arena(shape=QUICK, policy=policy_text(min=3, extra=gated())) as arena:
        await asked(arena)
        yes = (await links(arena, ADA))["approve"]
        arena.deployment().body["sku"]["capacity"] = 2
        await follow(arena, yes)
        assert arena.sent() == []
        assert await ends(arena) == [("refused", "changed_meanwhile")]


async def test_rules_that_ask_for_more_after_the_yes_are_heeded(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3, extra=gated())) as arena:
        request = await asked(arena)
        arena.set_policy(policy_text(min=3, extra=gated(needed=2)))
        await arena.pass_time(10)
        await arena.control("POST", f"approvals/{request.id}/approve", by=ADA)
        await arena.clock.settle()
        assert arena.sent() == []
        assert await ends(arena) == [("refused", "approval_rules_changed")]
        await arena.pass_time(60)
        (again,) = [one for one in await questions(arena) if one["state"] == "pending"]
        assert again["asks"][0]["needed"] == 2


FLOOR = "floors:\n  - {match: chat, min_instances: 3, reason: two zones}\n"


@pytest.mark.parametrize(("least", "floors"), [(1, FLOOR), (3, "")], ids=["a floor", "a higher min"])
async def test_a_shrink_below_what_the_policy_keeps_by_now_is_not_made(
    open_arena: OpenArena, least: int, floors: str
) -> None:
    """The yes comes before any look has seen the new policy."""
    async with open_arena(shape=replace(QUICK, capacity=4), policy=policy_text(extra=gated(), max=2)) as arena:
        for _ in range(60):
            await arena.pass_time(30)
            if await questions(arena):
                break
        request = await open_question(arena)
        assert (request.decision.current, request.decision.to) == (4, 2)
        arena.set_policy(policy_text(extra=gated() + floors, min=least, max=max(2, least)))
        await arena.pass_time(6)
        await arena.control("POST", f"approvals/{request.id}/approve", by=ADA)
        await arena.clock.settle()
        assert arena.sent() == []
        assert await ends(arena) == [("refused", "policy_changed")]


async def test_a_waiting_plan_leaves_no_trace_in_what_the_loop_remembers(open_arena: OpenArena) -> None:
    """Cool-downs begin with the act, not with the question."""
    async with open_arena(shape=QUICK, policy=policy_text(min=3, extra=gated())) as arena:
        request = await asked(arena)
        await arena.pass_time(300)
        target = request.decision.target
        before = (await arena.made.stores.state.load(request.endpoint_key, arena.clock.now())).targets[target].value
        assert (before.waiting_plan, before.scaling.grown_at) == (request.plan, None)
        yes_at = arena.clock.now()
        await follow(arena, (await links(arena, ADA))["approve"])
        await arena.pass_time(120)
        after = (await arena.made.stores.state.load(request.endpoint_key, arena.clock.now())).targets[target].value
        assert after.waiting_plan == ""
        assert after.scaling.grown_at is not None
        assert yes_at <= after.scaling.grown_at <= yes_at + timedelta(seconds=5)


async def test_an_approved_shrink_is_not_made_on_missing_data(open_arena: OpenArena) -> None:
    """It was approved when the queue could be seen; now it cannot, and the loop last said so."""
    shape, rule = replace(QUICK, capacity=5), gated(valid_for_s=3600)
    async with open_arena(shape=shape, policy=policy_text(extra=rule, scale_in_hold_s=60)) as arena:
        for _ in range(60):
            await arena.pass_time(30)
            if await questions(arena):
                break
        request = await open_question(arena)
        assert (request.decision.rule, request.decision.to) == ("less_suffices", 1)
        arena.fault("GET", "/queues", status=403)
        await arena.pass_time(400)  # until what was read is stale
        assert [one["state"] for one in await questions(arena)] == ["pending"]
        await follow(arena, (await links(arena, ADA))["approve"])
        await arena.pass_time(200)
        assert (arena.sent(), [one["state"] for one in await questions(arena)]) == ([], ["approved"])
        arena.world.cloud.faults.clear()
        await arena.pass_time(300)
        assert (arena.capacity(), len(arena.sent())) == (1, 1)
