"""A person's hold over HTTP: keeps what is there, ends as it says, and outranks the platform's floors (alarmed)."""

from datetime import timedelta
from typing import Any

import pytest

from tests.virtual.arena import QUICK, policy_text
from tests.virtual.conftest import VIRTUAL, OpenArena

pytestmark = VIRTUAL

FLOOR = """\
floors:
  - match: chat
    min_instances: 3
    reason: two zones
"""


@pytest.mark.parametrize("scope", ["all", "loop:scaling", "target:chat"])
async def test_a_pause_holds_until_it_is_resumed(open_arena: OpenArena, scope: str) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3)) as arena:
        put = await arena.control("POST", "pause", scope=scope)
        assert (put["pause"]["scope"], put["pause"]["expires_at"]) == (scope, None)
        await arena.pass_time(120)
        assert arena.sent() == []
        assert await arena.decisions() == []
        shown = await arena.call("GET", "targets/chat", status=200)
        assert (shown["paused"]["by"], shown["paused"]["reason"]) == ("ada", "a test")
        assert "paused by ada: a test" in shown["now"]["sentence"]
        assert (await arena.control("POST", "resume", scope=scope))["was_paused"] is True
        await arena.pass_time(150)
        assert arena.capacity() == 3
        told = [entry.summary for entry in await arena.entries("control")]
        assert told == [f"ada paused {scope}: a test", f"ada resumed {scope}: a test"]


async def test_a_pause_ends_by_itself(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3)) as arena:
        await arena.control("POST", "pause", scope="target:chat", for_s=100)
        await arena.pass_time(95)
        assert arena.sent() == []
        await arena.pass_time(35)
        assert len(arena.patches()) == 1
        assert (await arena.control("POST", "resume", scope="target:chat"))["was_paused"] is False


async def test_an_end_can_be_a_time(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3)) as arena:
        end = arena.clock.now() + timedelta(seconds=100)
        put = await arena.control("POST", "pause", scope="all", expires_at=end.isoformat())
        assert put["pause"]["expires_at"] == end.isoformat()
        await arena.pass_time(130)
        assert len(arena.patches()) == 1


async def test_a_pause_that_comes_after_the_decision(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3)) as arena:
        arena.fault("PATCH", "deployments", 409, times=1)
        await arena.evaluate()
        await arena.control("POST", "pause", scope="target:chat")
        await arena.pass_time(90)
        assert len(arena.sent()) == 1
        (outcome,) = await arena.outcomes()
        assert (outcome.kind, outcome.code) == ("refused", "paused")
        assert "POST /api/resume" in outcome.reason


async def test_a_hold_below_a_floor_is_respected_and_alarmed(
    open_arena: OpenArena, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(extra=FLOOR)) as arena:
        await arena.control("POST", "pause", scope="target:chat")
        caplog.clear()
        await arena.pass_time(60)
        assert arena.sent() == []
        alarms = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
        assert alarms
        assert all("Held at 1 by person" in alarm and "two zones" in alarm for alarm in alarms)
        shown = await arena.call("GET", "targets/chat", status=200)
        assert shown["now"]["decision"]["alarms"]


async def test_a_floor_stands_above_the_target_s_min(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(extra=FLOOR)) as arena:
        await arena.evaluate()
        (decision,) = await arena.decisions()
        assert (decision.to, decision.rule, decision.winner) == (3, "platform_floor", "platform")
        await arena.pass_time(120)
        assert arena.capacity() == 3


@pytest.mark.parametrize(("scope", "known"), [("target:chta", "chat"), ("loop:scalign", "scaling")])
async def test_a_scope_that_names_nothing(open_arena: OpenArena, scope: str, known: str) -> None:
    """It would pause nothing, and nobody would know."""
    async with open_arena() as arena:
        got = await arena.request("POST", "pause", json={"scope": scope, "reason": "r", "by": "ada"})
        assert (got.status, got.content_type) == (404, "application/problem+json")
        assert got.body["code"] == "not_found"
        assert repr(scope.partition(":")[2]) in got.body["detail"]
        assert known in got.body["detail"]


GOOD = {"scope": "all", "reason": "r", "by": "ada"}


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ({}, "body is missing"),
        ({"data": b"{"}, "not JSON"),
        ({"data": b"\xff\xfe"}, "not JSON"),
        ({"json": [GOOD]}, "list"),
        ({"json": {}}, "scope, reason, by"),
        ({"json": {**GOOD, "by": " ", "reason": 7}}, "reason, by"),
        ({"json": {**GOOD, "scope": "some"}}, "'some'"),
        ({"json": {**GOOD, "expires_at": "2030-01-01T00:00:00Z", "for_s": 60}}, "not both"),
        ({"json": {**GOOD, "expires_at": "2020-01-01T00:00:00Z"}}, "past"),
        ({"json": {**GOOD, "expires_at": "tomorrow"}}, "'tomorrow'"),
        ({"json": {**GOOD, "expires_at": 5}}, "expires_at"),
        ({"json": {**GOOD, "expires_at": "0001-01-01T00:00:00+14:00"}}, "expires_at"),
        ({"json": {**GOOD, "for_s": 0}}, "for_s"),
        ({"json": {**GOOD, "for_s": True}}, "for_s"),
        ({"json": {**GOOD, "for_s": "60"}}, "for_s"),
        ({"json": {**GOOD, "for_s": 1e9}}, "at most a year"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
async def test_a_body_that_cannot_be_used(open_arena: OpenArena, content: dict[str, Any], word: str) -> None:
    async with open_arena() as arena:
        got = await arena.request("POST", "pause", **content)
        assert (got.status, got.content_type) == (400, "application/problem+json")
        assert got.body.keys() == {"type", "title", "status", "detail", "code"}
        assert (got.body["status"], got.body["code"]) == (400, "invalid_request")
        assert word in got.body["detail"]
        assert await arena.entries() == []


async def test_a_chunked_body_does_not_arrive(open_arena: OpenArena) -> None:
    async def chunks() -> Any:
        yield b'{"scope": "all"}'

    async with open_arena() as arena:
        got = await arena.request("POST", "pause", data=chunks())
        assert (got.status, got.body["code"]) == (400, "invalid_request")
        assert "chunked" in got.body["detail"]
