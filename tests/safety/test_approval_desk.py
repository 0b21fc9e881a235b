"""The desk over Azurite: whoever swaps the request's row wins, and a crash anywhere is made good by the next run."""

import asyncio
import itertools
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from shared.domain import Delivery
from shared.records import ApprovalStore, Outbox, StateStore
from shared.records.errors import InvalidQuestion
from shared.safety.approvals.desk import UnknownApproval
from shared.safety.approvals.rules import NotCounted
from shared.safety.approvals.words import asked_id
from tests.safety.approval_office import ADA, BEA, GROW, KEY, Died, Office, ask, said
from tests.safety.builders import NOW, plan


async def test_asked_by_many_at_once_it_is_one_question(office: Office) -> None:
    await office.want(GROW)
    await asyncio.gather(*(ask(office.desk()) for _ in range(5)))
    assert await office.told() == [("approval_requested", ADA), ("approval_requested", BEA)]
    assert await office.ledger() == ["Asked"]
    request = await office.desk().about(GROW.id)
    assert request is not None
    assert request.told
    assert (request.plan, request.decision) == (GROW.plan_hash, GROW)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("stroke", range(6))
async def test_a_crash_while_asking_loses_and_doubles_nothing(office: Office, stroke: int, *, after: bool) -> None:
    await office.want(GROW)
    with pytest.raises(Died):
        await ask(office.desk(iter([*range(stroke, -99, -1)]), after=after))
    request = await ask(office.desk())
    assert request.told
    assert await office.told() == [("approval_requested", ADA), ("approval_requested", BEA)]
    assert await office.ledger() == ["Asked"]
    assert list(await ApprovalStore(office.tables).open_marks()) == [GROW.id]


@pytest.mark.parametrize("verdict", ["approve", "deny"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("stroke", range(8))
async def test_a_crash_while_answering_is_made_good_by_the_next_sweep(
    office: Office, stroke: int, verdict: str, *, after: bool
) -> None:
    await office.want(GROW)
    await ask(office.desk())
    await office.desk().answer(GROW.id, said(ADA))
    mortal = office.desk(iter([*range(stroke, -99, -1)]), after=after)
    with suppress(Died):
        await mortal.answer(GROW.id, said(BEA, verdict))
    orders = await office.desk().tend()
    request = await office.desk().about(GROW.id)
    assert request is not None
    if stroke == 0 and not after:  # it died before anything was written: the person is told to try again
        assert request.state == "pending"
        return
    end = {"approve": "approved", "deny": "denied"}[verdict]
    assert request.state == end
    died_at_the_very_end = verdict == "deny" and not await ApprovalStore(office.tables).open_marks() and orders == []
    assert died_at_the_very_end or [order.target for order in orders] == [GROW.target]
    assert await office.ledger() == ["Asked", "Approved", {"approve": "Approved", "deny": "Denied"}[verdict]]
    assert (await office.told()).count(("approval_ended", ADA)) == 1
    if verdict == "deny":
        assert await ApprovalStore(office.tables).open_marks() == {}
        assert await office.desk().resting(plan(3, 6, id="20260311T000002-again")) is not None


async def test_one_of_many_that_answer_replace_and_use_at_once_wins(office: Office) -> None:
    """A yes, then everything at once: whoever swaps first decides, and the others are told."""
    for n in range(8):
        decision = plan(3, 6, id=f"20260311T{n:06d}-grow")
        await ask(office.desk(), decision)
        await office.desk().answer(decision.id, said(ADA))
        await office.desk().answer(decision.id, said(BEA))

        async def attempt(work: Any) -> bool:
            try:
                return (await work) is not False
            except NotCounted:
                return False

        used, denied, replaced = await asyncio.gather(
            attempt(office.desk().use(decision.id)),
            attempt(office.desk().answer(decision.id, said(ADA, "deny"))),
            attempt(office.desk().replaced(decision.id, "newer")),
        )
        request = await office.desk().about(decision.id)
        assert request is not None
        assert request.state in ("used", "denied", "replaced")
        assert (request.state == "used", request.state == "denied") == (used, denied)
        assert replaced is (request.state != "used")


async def test_what_was_used_is_used_for_the_same_act_again_and_for_no_one_else(office: Office) -> None:
    await ask(office.desk())
    for who in (ADA, BEA):
        await office.desk().answer(GROW.id, said(who))
    await office.desk().use(GROW.id)
    await office.desk().use(GROW.id)  # the step ran twice
    assert await office.ledger() == ["Asked", "Approved", "Approved", "Used:"]
    with pytest.raises(NotCounted):
        await office.desk().answer(GROW.id, said(BEA, "deny"))
    assert not await office.desk().replaced(GROW.id, "newer")


async def test_a_question_whose_decision_is_gone_is_ended(office: Office) -> None:
    await office.want(GROW)
    await ask(office.desk())
    state = StateStore(office.tables)
    row = await state.get_desired(KEY, GROW.target, "capacity")
    assert row is not None
    newer = plan(3, 3, id="20260311T000002-stay", rule="promise_kept", reason="enough")
    await state.put_desired(KEY, GROW.target, "capacity", newer, row.etag)
    assert await office.desk().tend() == []
    request = await office.desk().about(GROW.id)
    assert request is not None
    assert (request.state, request.ended_why) == ("replaced", "Given up for 3 -> 3 (promise_kept): enough")


async def test_who_cannot_be_reached_is_told_in_the_ledger_once(office: Office) -> None:
    await office.want(GROW)
    await ask(office.desk())
    outbox = Outbox(office.tables)
    row = await outbox.get(asked_id(await ask(office.desk()), ADA))
    assert row is not None
    await outbox.end(row, "failed", NOW)
    for _ in range(3):
        await office.desk().tend()
    assert await office.ledger() == ["Asked", ADA]
    request = await office.desk().about(GROW.id)
    assert request is not None
    assert list(request.undeliverable) == [ADA]


async def test_the_deadline_counts_from_when_enough_have_it(office: Office) -> None:
    """Two must say yes, so one who has the question is not enough."""
    await office.want(GROW)
    await ask(office.desk())
    for who, s in ((BEA, 300), (ADA, 500)):
        office.clock.at = NOW + timedelta(seconds=s)
        arrived = Delivery(
            notice=asked_id(await ask(office.desk()), who),
            channel="mail",
            recipient=who,
            with_links=True,
            state="delivered",
            created_at=NOW,
            gives_up_at=NOW + timedelta(days=1),
            next_at=NOW,
            ended_at=office.clock.at,
        )
        await Outbox(office.tables).add_deliveries([arrived])
        await office.desk().tend()
        request = await office.desk().about(GROW.id)
        assert request is not None
        assert request.delivered_at == (None if who == BEA else NOW + timedelta(seconds=500))
        if who == ADA:
            assert request.deadline == NOW + timedelta(seconds=500 + 3600)


async def test_one_that_cannot_be_read_hinders_no_other(office: Office) -> None:
    await office.want(GROW)
    await ask(office.desk())
    store = ApprovalStore(office.tables)
    await store.mark_open("20260311T000009-lost", NOW)
    await store.mark_open("no id at all", NOW)
    office.clock.at = NOW + timedelta(hours=2)
    assert [order.target for order in await office.desk().tend()] == [GROW.target]  # expired, and its act must hear it
    assert list(await store.open_marks()) == ["no id at all"]


async def test_what_nobody_asked_has_no_answer(office: Office) -> None:
    with pytest.raises(UnknownApproval, match="GET /api/approvals"):
        await office.desk().answer("20260311T000001-nothing", said(ADA))
    with pytest.raises(InvalidQuestion, match="YYYYMMDDT"):
        await office.desk().about("nothing")


async def test_old_questions_are_removed_and_others_are_not(office: Office) -> None:
    await ask(office.desk())
    store = ApprovalStore(office.tables)
    assert await store.prune(NOW + timedelta(days=400)) == 0
    assert await store.prune(NOW + timedelta(days=401)) == 1
    assert await store.get(GROW.id) is None


async def test_what_has_not_changed_is_written_once_a_process(office: Office) -> None:
    """A question may be open for days, and a sweep comes every few seconds."""
    await office.want(GROW)
    await ask(office.desk())
    strokes = itertools.count(1)
    desk = office.desk(strokes)
    await desk.tend()
    written = next(strokes)
    assert written > 1, "another process may have died before it wrote these"
    for _ in range(3):
        await desk.tend()
    assert next(strokes) == written + 1
    await office.desk().answer(GROW.id, said(ADA))
    await desk.tend()
    assert next(strokes) > written + 2, "it is another request now"
    assert await office.ledger() == ["Asked", "Approved"]
