"""The act's use of the gates, over real tables: places taken and given back, trials, ends noted and told once."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.domain import Action, Notice, Outcome, OutcomeKind
from shared.people.door import Door
from shared.records import Ledger, Outbox, Tables
from shared.records.exemptions import Exemption
from shared.records.gates import GateStore
from shared.safety.belts import Belts
from shared.safety.facts import ActFacts, Refusal
from tests.safety.builders import NOW, facts, plan, policy

LIMITED = policy(
    limits={
        "blast_radius": {"reductions": {"target_per_hour": 1}},
        "breaker": {"target_failures": 2, "cool_down_s": 600.0},
    }
)


class Stage:
    """Gates, ledger and outbox of one test."""

    def __init__(self, tables: Tables) -> None:
        self.gates, self.ledger, self.outbox = GateStore(tables), Ledger(tables), Outbox(tables)
        self.belts = Belts(self.gates, Door(self.ledger, self.outbox))

    async def facts(self, number: int, minutes: float = 0, **changes: Any) -> ActFacts:
        judged = facts(plan(id=f"20260311T093000-{number}"), policy=LIMITED, records=await self.gates.load())
        return replace(judged, now=NOW + timedelta(minutes=minutes), **changes)

    async def admit(self, number: int, minutes: float = 0, **changes: Any) -> Any:
        judged = await self.facts(number, minutes, **changes)
        assert judged.decision is not None
        return await self.belts.admit(judged, judged.decision.id)

    async def end(self, number: int, kind: OutcomeKind, minutes: float = 0, sends: int = 1) -> None:
        await self.belts.finish(LIMITED, *ended(number, kind, minutes, sends))

    async def places(self) -> list[str]:
        made = (await self.gates.load()).made
        return [change.key[-1] for one in made.values() for change in one.changes]

    async def told(self, kind: str) -> list[Notice]:
        page = await self.outbox.query(since=NOW - timedelta(days=3), until=NOW + timedelta(days=3), limit=100)
        return [posted.notice for posted in page.notices if posted.notice.kind == kind]


@pytest.fixture
def stage(tables: Tables) -> Stage:
    return Stage(tables)


def ended(number: int, kind: OutcomeKind, minutes: float, sends: int) -> tuple[Action, Outcome]:
    decision = plan(id=f"20260311T093000-{number}")
    at = NOW + timedelta(minutes=minutes)
    outcome = Outcome(
        action_key=decision.id,
        target=decision.target,
        dimension="capacity",
        kind=kind,
        code="operation_failed",
        reason="r",
        to=decision.to,
        observed=None,
        at=at,
        sends=sends,
    )
    action = Action(
        key=decision.id,
        target=decision.target,
        dimension="capacity",
        current=decision.current,
        to=decision.to,
        request_id="r",
        state=kind,
        claimed_at=at,
        sends=sends,
        outcome=outcome,
    )
    return action, outcome


async def test_an_admitted_change_has_its_place_and_keeps_it(stage: Stage) -> None:
    assert await stage.admit(1) is None
    assert await stage.admit(1, minutes=5) is None, "a repetition, after a crash or a busy Azure"
    assert await stage.places() == ["1"]
    await stage.end(1, "succeeded")
    assert await stage.places() == ["1"]


@pytest.mark.parametrize("kind", ["refused", "superseded"])
async def test_a_change_that_was_never_sent_gives_its_place_back(stage: Stage, kind: OutcomeKind) -> None:
    await stage.admit(1)
    await stage.end(1, kind, sends=0)
    assert await stage.places() == []
    await stage.end(1, kind, sends=0)
    assert await stage.admit(2) is None


async def test_a_change_that_was_sent_counts_whatever_came_of_it(stage: Stage) -> None:
    await stage.admit(1)
    await stage.end(1, "superseded", sends=1)
    assert (await stage.admit(2)).code == "blast_radius"


async def test_what_was_read_before_the_last_place_went_is_not_believed(stage: Stage) -> None:
    """The facts say that there is a place; by the time it is to be taken there is none."""
    stale = await stage.facts(2)
    assert await stage.admit(1) is None
    shut = await stage.belts.admit(stale, "20260311T093000-2")
    assert isinstance(shut, Refusal)
    assert shut.code == "blast_radius"
    assert await stage.places() == ["1"]


async def test_a_limit_is_told_once_an_hour(stage: Stage) -> None:
    await stage.admit(1)
    for number in range(2, 5):
        await stage.admit(number, minutes=number)
    (told,) = await stage.told("limit_reached")
    assert told.facts == {"scope": "target:chat", "limit": "limits.blast_radius.reductions.target_per_hour"}
    await stage.admit(5, minutes=59)
    assert len(await stage.told("limit_reached")) == 2, "in the next hour of the clock"


async def test_a_shut_gate_takes_no_place(stage: Stage) -> None:
    assert (await stage.admit(1, mode="observe")).code == "mode_observe"
    assert await stage.places() == []


async def opened(stage: Stage) -> None:
    for number in (7, 8):
        await stage.end(number, "failed")


async def test_the_same_failure_told_again_counts_once(stage: Stage) -> None:
    for _ in range(3):
        await stage.end(7, "failed")
    assert await stage.admit(1) is None


async def test_failures_open_the_breaker_and_people_hear_once(stage: Stage) -> None:
    await opened(stage)
    await stage.end(8, "failed")
    assert (await stage.admit(1)).code == "breaker_open"
    (told,) = await stage.told("breaker_tripped")
    assert told.facts == {"scope": "target:chat"}
    page = await stage.ledger.query(NOW - timedelta(hours=1), NOW + timedelta(hours=1), kind="notice")
    assert [entry.id for entry in page.entries] == [told.id]


async def test_of_two_that_race_for_the_trial_one_gets_it(stage: Stage) -> None:
    await opened(stage)
    first, second = await stage.facts(1, 11), await stage.facts(2, 11)
    assert await stage.belts.admit(first, "20260311T093000-1") is None
    late = await stage.belts.admit(second, "20260311T093000-2")
    assert isinstance(late, Refusal)
    assert late.code == "breaker_open"
    assert "One change is under way for trial" in late.remedy
    assert await stage.places() == ["1"]


async def test_a_trial_that_was_never_sent_frees_its_turn(stage: Stage) -> None:
    await opened(stage)
    assert await stage.admit(1, 11) is None
    await stage.end(1, "refused", 12, sends=0)
    assert await stage.admit(2, 13) is None


async def test_a_trial_without_a_place_frees_its_turn(stage: Stage) -> None:
    await stage.admit(1)
    await opened(stage)
    stale = replace(await stage.facts(2, 11), records=replace((await stage.gates.load()), made={}))
    shut = await stage.belts.admit(stale, "20260311T093000-2")
    assert isinstance(shut, Refusal)
    assert shut.code == "blast_radius"
    assert (await stage.gates.load()).breakers["target:chat"].trial == ""


async def test_a_good_trial_closes_it_and_a_bad_one_opens_it_anew(stage: Stage) -> None:
    await opened(stage)
    await stage.admit(1, 11)
    await stage.end(1, "failed", 12)
    assert (await stage.admit(2, 20)).code == "breaker_open"
    assert len(await stage.told("breaker_tripped")) == 2
    await stage.admit(3, 75)
    await stage.end(3, "succeeded", 76)
    assert (await stage.gates.load()).breakers["target:chat"].opened_at is None


async def test_the_failures_of_a_target_that_left_the_policy_still_count_for_all(stage: Stage) -> None:
    action, outcome = ended(1, "failed", 0, 1)
    gone = action.target.replace("/deployments/chat", "/deployments/gone")
    await stage.belts.finish(LIMITED, replace(action, target=gone), replace(outcome, target=gone))
    breakers = (await stage.gates.load()).breakers
    workspace = LIMITED.targets[0].deployment_id.workspace_id.lower()
    assert set(breakers) == {"all", f"workspace:{workspace}", f"target:{gone}"}


async def test_an_expired_exemption_is_told_to_its_owner_once_and_forgotten(stage: Stage) -> None:
    one = Exemption(
        scope="target:chat",
        acts="all",
        reason="a demo",
        owner="talk@example.com",
        by="ada",
        at=NOW - timedelta(days=2),
        expires_at=NOW - timedelta(minutes=1),
    )
    await stage.gates.exemptions.put(one)
    judged = await stage.facts(1)
    for _ in range(2):  # the second as after a crash: what was read still has it
        assert await stage.belts.admit(judged, "20260311T093000-1") is None
    (told,) = await stage.told("exemption_expired")
    assert (told.owners, told.target) == (("talk@example.com",), "chat")
    assert (await stage.gates.load()).exemptions.stored == ()
    entry = await stage.ledger.get(one.id)
    assert entry is not None
    assert (entry.kind, entry.summary) == (
        "control",
        "target:chat is no longer exempt from all changes: the exemption of talk@example.com ran out (a demo)",
    )


async def test_a_tag_that_ran_out_is_told_once(stage: Stage) -> None:
    tags = {"watchkeeper-exempt": "a demo|until=2026-03-11T09:00Z"}
    await stage.admit(1, tags=tags)
    await stage.admit(1, minutes=1, tags=tags)
    assert len(await stage.told("exemption_expired")) == 1
