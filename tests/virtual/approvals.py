"""What the tests of approvals share: a policy that gates, and people who get a notice and follow its links."""

from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from shared.domain import ApprovalRequest, Notice
from tests.virtual.arena import Answer, Arena

ADA, BEA = "ada@example.com", "bea@example.com"
UNTIL = timedelta(days=1)


def gated(needed: int = 1, *, mail: bool = True, **fields: Any) -> str:
    """Sections of a policy by which every change waits for Ada or Bea, who are asked by `mail` or not at all."""
    rule: dict[str, Any] = {"name": "every", "who": f"[{ADA}, {BEA}]", "needed": needed, **fields}
    first, *rest = (f"{name}: {value}" for name, value in rule.items())
    ways = ["notices:", "  channels:", "    - {name: mail, kind: mail}"] if mail else []
    return "\n".join(["approvals:", f"  - {first}", *(f"    {line}" for line in rest), *ways, ""])


async def questions(arena: Arena) -> list[Any]:
    """As operators see them, oldest first."""
    return list(reversed((await arena.call("GET", "approvals", status=200))["approvals"]))


async def asked(arena: Arena) -> ApprovalRequest:
    """Let the app decide and ask; the one question that is open."""
    await arena.evaluate()
    return await open_question(arena)


async def open_question(arena: Arena) -> ApprovalRequest:
    (request_id,) = await arena.made.stores.approvals.store.open_marks()
    request = await arena.made.stores.approvals.about(request_id)
    assert request is not None
    assert request.told
    return request


async def notices(arena: Arena, kind: str) -> list[Notice]:
    """Those in the outbox, newest first."""
    page = await arena.made.stores.outbox.query(since=arena.opened_at, until=arena.clock.now() + UNTIL, limit=500)
    return [posted.notice for posted in page.notices if posted.notice.kind == kind]


async def links(arena: Arena, who: str) -> dict[str, str]:
    """The links in the newest question's notice to this person."""
    return next(dict(notice.links) for notice in await notices(arena, "approval_requested") if notice.recipient == who)


async def follow(arena: Arena, link: str, method: str = "POST", **form: str) -> Answer:
    """What somebody without any key gets; what follows without time passing has happened on return."""
    got = await open_page(arena, link, method, **form)
    await arena.clock.settle()
    return got


async def open_page(arena: Arena, link: str, method: str, **form: str) -> Answer:
    url = urlsplit(link)
    async with aiohttp.ClientSession() as person:
        target = f"{arena.app.url}{url.path}?{url.query}"
        async with person.request(method, target, data=form or None) as answer:
            return Answer(answer.status, answer.content_type, await answer.text())


async def told(arena: Arena) -> list[str]:
    """What the ledger has of approvals, oldest first."""
    return [entry.summary for entry in await arena.entries("approval")]


async def ends(arena: Arena) -> list[tuple[str, str]]:
    """Kind and code of every outcome."""
    return [(one.kind, one.code) for one in await arena.outcomes()]
