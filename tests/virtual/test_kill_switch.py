"""The kill switch: read inside the act, on fresh state; what it stops is still decided and recorded."""

import pytest

from tests.virtual.arena import QUICK, Arena, policy_text
from tests.virtual.conftest import VIRTUAL, OpenArena

pytestmark = VIRTUAL

BUSY = {"error": {"code": "Conflict", "message": "another operation is running"}}


async def switch(arena: Arena, verb: str, scope: str) -> None:
    await arena.control(verb, "kill-switch", scope=scope)


@pytest.mark.parametrize("scope", ["all", "loop:scaling", "target:chat"])
async def test_decisions_go_on_but_nothing_is_sent(open_arena: OpenArena, scope: str) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3)) as arena:
        await switch(arena, "PUT", scope)
        await arena.pass_time(90)
        assert arena.sent() == []
        (entry,) = await arena.entries("decision")
        assert entry.body["mode"] == "observe"
        await switch(arena, "DELETE", scope)
        await arena.pass_time(150)
        assert arena.capacity() == 3
        assert len(arena.sent()) == 1


async def test_another_target_s_switch_stops_nothing_here(open_arena: OpenArena) -> None:
    other = policy_text(min=3).partition("targets:\n")[2].replace("chat", "other").replace("/blue", "/green")
    async with open_arena(shape=QUICK, policy=policy_text(min=3) + other) as arena:
        await switch(arena, "PUT", "target:other")
        await arena.evaluate()
        assert [record.accepted for record in arena.sent()] == [True]


async def test_the_switch_of_a_target_that_left_the_policy_can_be_turned_off(open_arena: OpenArena) -> None:
    async with open_arena() as arena:
        await switch(arena, "PUT", "target:chat")
        arena.set_policy(policy_text().replace("name: chat", "name: talk"))
        await arena.pass_time(10)
        told = await arena.control("DELETE", "kill-switch", scope="target:chat")
        assert told == {"scope": "target:chat", "kill_switch": "off", "was_on": True}


async def test_turned_on_between_decision_and_act(open_arena: OpenArena) -> None:
    """Azure was busy when the act first tried; by the second try the switch is on."""
    async with open_arena(shape=QUICK, policy=policy_text(min=3)) as arena:
        arena.fault("PATCH", "deployments", 409, body=BUSY, times=1)
        await arena.evaluate()
        assert len(arena.sent()) == 1
        await switch(arena, "PUT", "all")
        await arena.pass_time(120)
        assert len(arena.sent()) == 1
        (outcome,) = await arena.outcomes()
        assert (outcome.kind, outcome.code) == ("refused", "kill_switch")
        assert "ada: a test" in outcome.reason
        assert "DELETE /api/kill-switch" in outcome.reason
        await switch(arena, "DELETE", "all")
        await arena.pass_time(150)
        assert arena.capacity() == 3
        assert [one.kind for one in await arena.outcomes()] == ["refused", "succeeded"]


async def test_what_was_sent_is_followed_to_its_end(open_arena: OpenArena) -> None:
    """A switch cannot call a request back, so its outcome is still read back and recorded."""
    async with open_arena(shape=QUICK, policy=policy_text(min=3)) as arena:
        await arena.evaluate()
        await switch(arena, "PUT", "all")
        await arena.pass_time(120)
        (outcome,) = await arena.outcomes()
        assert (outcome.kind, outcome.observed) == ("succeeded", 3)


async def test_a_scope_that_names_nothing(open_arena: OpenArena) -> None:
    """It would stop nothing, and nobody would know."""
    async with open_arena() as arena:
        for scope, known in (("target:chta", "chat"), ("loop:scalign", "scaling")):
            unknown = await arena.request("PUT", "kill-switch", json={"scope": scope, "reason": "r", "by": "ada"})
            assert (unknown.status, unknown.body["code"]) == (404, "not_found")
            assert known in unknown.body["detail"]
        for verb in ("PUT", "DELETE"):
            wrong = await arena.request(verb, "kill-switch", json={"scope": "everything", "reason": "r", "by": "ada"})
            assert (wrong.status, wrong.body["code"]) == (400, "invalid_request")
            assert "target:<name>" in wrong.body["detail"]


async def test_the_ledger_tells_who_switched_what(open_arena: OpenArena) -> None:
    async with open_arena() as arena:
        await switch(arena, "PUT", "all")
        await switch(arena, "DELETE", "all")
        told = [entry.summary for entry in await arena.entries("control")]
        assert told == ["ada kill switch on for all: a test", "ada kill switch off for all: a test"]


async def test_a_policy_that_cannot_be_read_stops_the_act_until_it_can(open_arena: OpenArena) -> None:
    """Decisions go on by the last good version; what is sent must know what the newest one says."""
    async with open_arena(shape=QUICK, policy=policy_text(min=3)) as arena:
        arena.fault("PATCH", "deployments", 409, body=BUSY, times=1)
        await arena.evaluate()
        text = arena.policy_file.read_text()
        arena.policy_file.unlink()
        await arena.pass_time(50)
        assert [record.accepted for record in arena.sent()] == [False]
        assert await arena.outcomes() == []
        arena.policy_file.write_text(text.replace("mode: enforce", "mode: observe"))
        await arena.pass_time(60)
        assert [record.accepted for record in arena.sent()] == [False]
        (outcome,) = await arena.outcomes()
        assert (outcome.kind, outcome.code) == ("refused", "mode_observe")
