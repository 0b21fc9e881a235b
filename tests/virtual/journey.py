"""One change through everything that the platform has: a signal, a decision, a question, a yes, a request, news of it.

Whatever went wrong on the way, `traces` are the same at the end: each thing happened once, and nothing waits.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from shared.records.claims import TABLE as CLAIMS
from tests.virtual.approvals import ADA, BEA, follow, links, told
from tests.virtual.arena import Arena, policy_text
from tests.virtual.test_mixed_deliveries import event

POLICY = policy_text(
    min=3,
    extra=f"""\
    approvals:
      - name: every
        who: [{ADA}, {BEA}]
        needed: 1
        ask_again_after_s: 300
    notices:
      channels:
        - {{name: mail, kind: mail, recipients: [ops@example.com]}}
        - {{name: any, kind: webhook, secret: any-webhook}}
    """,
)
ENDS_WITHIN_S = 600.0
CHORES_EVERY_S = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Traces:
    """What a change leaves behind: entries of the ledger by kind and end, requests, and what still waits."""

    capacity: int
    signals: int
    decisions: int
    outcomes: tuple[tuple[str, str], ...]
    approval: tuple[str, ...]
    accepted: int
    plans: int
    claims: dict[str, int]
    waiting: int


WHOLE = Traces(
    capacity=3,
    signals=1,
    decisions=1,
    outcomes=(("succeeded", "verified"),),
    approval=("Asked", "Approved", "Used:"),
    accepted=1,
    plans=1,
    claims={"yes": 1},
    waiting=0,
)


async def hear(arena: Arena) -> list[dict[str, Any]]:
    """Azure tells that somebody wrote the deployment, and what the app made of it; raises what was not taken."""
    answer = await arena.request("POST", "alerts", json=event(arena, eventTime=arena.opened_at.isoformat()))
    await arena.clock.settle()
    if answer.status != 202:
        raise ConnectionError(answer.body)
    return list(answer.body["items"])


async def say_yes(arena: Arena) -> None:
    """Ada follows her link, as often as it takes."""
    yes = (await links(arena, ADA))["approve"]
    for _ in range(20):
        if (await follow(arena, yes)).status == 200:
            return
        await arena.pass_time(30)
    raise AssertionError("the link was never answered with 200")


async def come_to_an_end(arena: Arena) -> None:
    """Time passes, and the chores are done on the way."""
    for _ in range(round(ENDS_WITHIN_S / CHORES_EVERY_S)):
        await arena.pass_time(CHORES_EVERY_S)
        await arena.upkeep()
    await arena.pass_time(120)


async def traces(arena: Arena) -> Traces:
    """What there is now."""
    entries = await arena.entries("signal")
    rows = arena.made.tables.table(CLAIMS).query("done ge @a", {"a": ""})
    claims: dict[str, int] = {}
    async for row in rows:
        done = str(row.columns["done"])
        claims[done] = claims.get(done, 0) + 1
    work = await arena.made.stores.outbox.work()
    return Traces(
        capacity=arena.capacity(),
        signals=len(entries),
        decisions=len(await arena.decisions()),
        outcomes=tuple((one.kind, one.code) for one in await arena.outcomes()),
        approval=tuple(line.partition(" ")[0] for line in await told(arena)),
        accepted=len(arena.patches()),
        plans=len({record.client_request_id for record in arena.sent()}),
        claims=claims,
        waiting=len(work.open) + sum(map(len, work.waiting.values())),
    )


async def heard_twice(arena: Arena) -> list[str]:
    """What the webhook got more than once, by the notice's id."""
    ids = [one.id for one in arena.world.cloud.inbox.of("webhook")]
    return sorted({one for one in ids if ids.count(one) > 1})


async def unheard(arena: Arena) -> list[str]:
    """Notices of the outbox that the webhook should have got and did not."""
    got = {one.id for one in arena.world.cloud.inbox.of("webhook")}
    until = arena.clock.now() + timedelta(days=1)
    page = await arena.made.stores.outbox.query(since=arena.opened_at - timedelta(days=1), until=until, limit=500)
    return [one.notice.id for one in page.notices if not one.notice.recipient and one.notice.id not in got]


async def kinds_told(arena: Arena) -> set[str]:
    """Kinds of notices to everybody."""
    until = arena.clock.now() + timedelta(days=1)
    page = await arena.made.stores.outbox.query(since=arena.opened_at - timedelta(days=1), until=until, limit=500)
    return {one.notice.kind for one in page.notices}
