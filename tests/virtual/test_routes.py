"""Every route of the app, as it is called by people who mistype: each answer is an error that says what to do.

The routes come from the app itself, so that a new one is tested as soon as it is there.
"""

import re
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from handlers.answers import TITLES
from tests.virtual.arena import Arena
from tests.virtual.conftest import VIRTUAL, OpenArena

pytestmark = VIRTUAL

# Open to everybody: it says nothing; the signature is the credential.
ANONYMOUS = {"health", "approvals/link"}
# Not for people: whatever comes is kept and acknowledged, or answered with a page.
NOT_JUDGED = {"health", "approvals/link", "alerts"}
# Of 16 letters and more: what is shorter is no route of the approvals to the host.
IDS = (
    "nothing-of-that-name",
    "20260105T000001-nothing",
    "a'b or 1 eq 1 or c",
    "a b\\c and a tail",
    "é☃" * 9,
    "x" * 600,
)
NO_IDS = "20260105T000001-nothing"
BODIES: dict[str, Any] = {
    "none": None,
    "no JSON": b"{",
    "no UTF-8": b'{"by": "\xff"}',
    "a list": b"[]",
    "nothing in it": b"{}",
    "numbers": b'{"by": 1, "reason": 2, "scope": 3, "target": 4, "chore": 5, "name": 6, "channel": 7, "owner": 8}',
    "an unknown field": (
        b'{"by": "ada", "reason": "r", "scope": "target:chat", "target": "chat", "chore": "signals", "name": "keys", '
        b'"channel": "c", "owner": "a@example.com", "untill": "tomorrow"}'
    ),
}
PARAMETERS = {
    "since": "yesterday",
    "until": "tomorrow",
    "limit": "0",
    "kind": "nonsense",
    "state": "nonsense",
    "mode": "nonsense",
    "trigger": "nonsense",
    "handling": "nonsense",
    "days": "0",
    "nonsense": "1",
}


def routes(arena: Arena) -> list[tuple[str, str, str]]:
    """(method, route, level) of every HTTP function."""
    found = []
    for function in arena.app.host.functions.values():
        for binding in function.bindings:
            if binding.get("type") == "httpTrigger":
                found += [(str(m), str(binding["route"]), str(binding["authLevel"])) for m in binding["methods"]]
    assert len(found) > 40
    return sorted(found)


def filled(route: str, word: str) -> str:
    return re.sub(r"\{[^}]*\}", quote(word, safe=""), route)


def is_told(answer: Any, *statuses: int) -> bool:
    """One shape, with a code that is known and words."""
    body = answer.body
    return (
        answer.status in statuses
        and answer.content_type == "application/problem+json"
        and body["code"] in TITLES
        and body["title"] == TITLES[body["code"]]
        and body["status"] == answer.status
        and len(body["detail"]) > 10
        and "Traceback" not in body["detail"]
    )


async def test_only_two_routes_are_open(open_arena: OpenArena) -> None:
    async with open_arena() as arena, aiohttp.ClientSession() as stranger:
        every = routes(arena)
        assert {route for _, route, level in every if level != "FUNCTION"} == ANONYMOUS
        closed = [(method, filled(route, NO_IDS)) for method, route, level in every if level == "FUNCTION"]
        for key in ({}, {"x-functions-key": "wrong"}):
            for method, path in closed:
                async with stranger.request(method, f"{arena.app.url}/api/{path}", headers=key) as answer:
                    assert answer.status == 401, (method, path)
        async with stranger.get(f"{arena.app.url}/api/health") as answer:
            assert (answer.status, await answer.json()) == (200, {"status": "alive"})


async def test_a_parameter_that_a_route_does_not_take_or_cannot_use(open_arena: OpenArena) -> None:
    async with open_arena() as arena:
        judged = [(method, route) for method, route, _ in routes(arena) if route not in NOT_JUDGED]
        for method, route in judged:
            for name, value in PARAMETERS.items():
                got = await arena.request(method, f"{filled(route, NO_IDS)}?{name}={value}")
                free_text = (route, name) == ("signals", "kind")
                assert free_text or is_told(got, 400, 404), (method, route, name, got)


async def test_an_id_of_nothing(open_arena: OpenArena) -> None:
    async with open_arena() as arena:
        with_ids = [(method, route) for method, route, _ in routes(arena) if "{" in route]
        assert len(with_ids) > 15
        body = {"by": "ada", "reason": "a test", "sequence_numbers": "all"}
        for method, route in with_ids:
            for word in IDS:
                content = None if method == "GET" else {key: body[key] for key in body if key in _fields(route)}
                got = await arena.request(method, filled(route, word), json=content)
                assert is_told(got, 400, 404), (method, route, word, got)


def _fields(route: str) -> set[str]:
    return {"by", "reason"} | ({"sequence_numbers"} if "dead-letters" in route else set())


async def test_a_body_that_cannot_be_used(open_arena: OpenArena) -> None:
    async with open_arena() as arena:
        with_body = [(m, route) for m, route, _ in routes(arena) if m != "GET" and route not in NOT_JUDGED]
        assert len(with_body) > 15
        for method, route in with_body:
            for name, body in BODIES.items():
                got = await arena.request(method, filled(route, NO_IDS), data=body)
                assert is_told(got, 400, 404), (method, route, name, got)
        assert await arena.entries() == []


@pytest.mark.parametrize(
    ("method", "path", "said"),
    [
        ("GET", "targets?porject=x", "Unknown parameter: porject; this route takes: project, mode, limit, cursor."),
        ("GET", "ready?x=1", "Unknown parameter: x; this route takes: none."),
        ("POST", "pause", "Unknown in the body: for; possible: scope, reason, by, expires_at, for_s."),
    ],
)
async def test_a_mistyped_name_is_answered_with_the_right_ones(
    open_arena: OpenArena, method: str, path: str, said: str
) -> None:
    async with open_arena() as arena:
        body = None if method == "GET" else {"scope": "all", "reason": "r", "by": "ada", "for": 3600}
        got = await arena.request(method, path, json=body)
        assert (got.status, got.body["code"], got.body["detail"]) == (400, "invalid_request", said)
