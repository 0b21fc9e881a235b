"""Who answers: what App Service vouches for, and the page that a link shows to a browser."""

import base64
import json
from typing import Any

import aiohttp
import pytest

from shared.assumptions import BY_NAME
from tests.virtual.approvals import ADA, BEA, asked, gated, links, questions
from tests.virtual.arena import QUICK, Answer, Arena, policy_text
from tests.virtual.conftest import VIRTUAL, OpenArena

pytestmark = VIRTUAL

NAMES = BY_NAME["auth.principal_name"]


def principal(who: str, named_by: str = NAMES.default) -> dict[str, str]:
    """The headers that App Service adds for somebody who is signed in."""
    claims = [{"typ": "aud", "val": "app"}, {"typ": "email", "val": "eve@example.com"}]
    if named_by != "name_header":
        claims.append({"typ": named_by, "val": who})
    plain = json.dumps({"auth_typ": "aad", "claims": claims}).encode()
    headers = {"x-ms-client-principal": base64.b64encode(plain).decode()}
    return headers | ({"x-ms-client-principal-name": who} if named_by == "name_header" else {})


async def say(arena: Arena, request_id: str, headers: dict[str, str], **body: Any) -> Answer:
    path = f"approvals/{request_id}/approve"
    got = await arena.request("POST", path, json={"reason": "a test"} | body, headers=headers)
    await arena.clock.settle()
    return got


@pytest.mark.parametrize("named_by", NAMES.values)
async def test_signed_in_the_caller_is_the_one_who_answers(
    open_arena: OpenArena, monkeypatch: pytest.MonkeyPatch, named_by: str
) -> None:
    monkeypatch.setenv("WEBSITE_AUTH_ENABLED", "True")
    async with open_arena(shape=QUICK, policy=policy_text(min=3, extra=gated())) as arena:
        request = await asked(arena)
        nobody: list[dict[str, str]] = [
            {},
            principal("eve@example.com", named_by),
            {"x-ms-client-principal": "no base64"},
            {"x-ms-client-principal": base64.b64encode(b"[1]").decode()},
        ]
        for headers in nobody:
            got = await say(arena, request.id, headers, by=ADA)
            assert (got.status, got.body["code"]) == (403, "not_allowed"), headers
        other = await say(arena, request.id, principal(ADA, named_by), by=BEA)
        assert (other.status, "nobody can answer for another" in other.body["detail"]) == (403, True)
        assert arena.sent() == []
        mine = await say(arena, request.id, principal("Ada@Example.com", named_by))
        assert (mine.status, mine.body["answers"][0]["who"], mine.body["answers"][0]["how"]) == (200, ADA, "sign-in")
        assert len(arena.patches()) == 1


async def test_without_app_service_s_sign_in_its_header_is_worth_nothing(open_arena: OpenArena) -> None:
    """Anybody can send it; the answer is recorded as stated by whoever holds the key."""
    async with open_arena(shape=QUICK, policy=policy_text(min=3, extra=gated())) as arena:
        request = await asked(arena)
        missing = await say(arena, request.id, principal(ADA))
        assert (missing.status, "by" in missing.body["detail"]) == (400, True)
        got = await say(arena, request.id, principal(ADA), by=BEA)
        (answer,) = got.body["answers"]
        assert (answer["who"], answer["how"]) == (BEA, "stated")
        assert "by whoever holds its key" in answer["known_of_who"]


async def test_the_page_loads_nothing_keeps_nothing_and_shows_what_was_written_as_text(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3, extra=gated(name="big"))) as arena:
        await asked(arena)
        url = (await links(arena, ADA))["deny"]
        async with aiohttp.ClientSession() as browser:
            async with browser.head(url) as answer:  # some scanners ask like that
                assert answer.status in (404, 405)
            async with browser.get(url) as answer:
                page, headers = await answer.text(), answer.headers
            long = {"reason": "x" * 501}
            async with browser.post(url, data=long) as answer:
                assert (answer.status, "at most 500" in await answer.text()) == (400, True)
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert "frame-ancestors 'none'" in policy
        assert (headers["Cache-Control"], headers["Referrer-Policy"]) == ("no-store", "no-referrer")
        assert (headers["X-Content-Type-Options"], headers["X-Frame-Options"]) == ("nosniff", "DENY")
        assert "<script" not in page
        assert url.partition("token=")[2] not in page
        assert "with the button you say" in page.lower()
        assert (await questions(arena))[0]["state"] == "pending"
