"""A gated change waits for people: they are asked, their answer starts it, and what they approved runs once."""

import asyncio
import json
import re

import jwt
import pytest

from local.world import LINK_KEY
from shared.changes import capacity
from shared.domain import Answer
from shared.safety.approvals.desk import ApprovalDesk
from tests.virtual.approvals import ADA, BEA, asked, ends, follow, gated, links, notices, open_page, questions, told
from tests.virtual.arena import QUICK, Arena, policy_text
from tests.virtual.conftest import VIRTUAL, OpenArena

pytestmark = VIRTUAL


async def test_a_growth_waits_for_a_yes_by_link_and_is_sent_once(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3, extra=gated())) as arena:
        request = await asked(arena)
        assert (request.state, request.requirement.recipients) == ("pending", (ADA, BEA))
        await arena.pass_time(120)
        assert arena.sent() == []
        yes = (await links(arena, ADA))["approve"]

        page = await follow(arena, yes, "GET")
        assert (page.status, page.content_type) == (200, "text/html")
        assert "1 -&gt; 3 instances" in page.body
        await arena.pass_time(60)
        assert arena.sent() == []

        said = await follow(arena, yes, reason="we expect <b>load</b>")
        assert (said.status, "You said yes" in said.body) == (200, True)
        assert len(arena.patches()) == 1
        again = await follow(arena, yes)
        assert (again.status, "You have answered already" in again.body) == (200, True)
        await arena.pass_time(180)
        assert (arena.capacity(), len(arena.sent())) == (3, 1)
        assert await ends(arena) == [("succeeded", "verified")]
        (shown,) = await questions(arena)
        assert (shown["state"], shown["answers"][0]["why"]) == ("used", "we expect <b>load</b>")
        lines = await told(arena)
        assert [line.partition(" ")[0] for line in lines] == ["Asked", "Approved", "Used:"]
        assert lines[1] == f"Approved by {ADA} (by the link that was sent to this address): we expect <b>load</b>"


async def test_the_link_is_in_the_mail_that_each_of_them_gets(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3, extra=gated())) as arena:
        await asked(arena)
        await arena.pass_time(200)  # mail is accepted first, and followed to its end later
        mails = [arena.world.cloud.inbox.of("mail", who) for who in (ADA, BEA)]
        assert [len(mail) for mail in mails] == [1, 1]
        for who, (mail,) in zip((ADA, BEA), mails, strict=True):
            text = mail.body["content"]["plainText"]
            mine, hers = await links(arena, who), await links(arena, BEA if who == ADA else ADA)
            assert mine["approve"] in text
            assert mine["deny"] in text
            assert hers["approve"] not in text
        found = next(url for url in re.findall(r"https?://\S+token=\S+", text) if url != mine["deny"])
        await follow(arena, found)
        assert len(arena.patches()) == 1
        (shown,) = await questions(arena)
        assert (shown["undeliverable"], shown["delivered_at"] is not None) == ([], True)


async def test_it_is_explained_with_who_approved_it(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3, extra=gated())) as arena:
        request = await asked(arena)
        before = await arena.call("GET", f"explain/{request.id}", status=200)
        assert f"It waits for approval by 1 of {ADA}, {BEA} (every)." in before["sentence"]
        assert before["approval"]["state"] == "pending"
        await follow(arena, (await links(arena, ADA))["approve"])
        await arena.pass_time(120)
        after = await arena.call("GET", f"explain/{request.id}", status=200)
        assert f"It was approved by {ADA} and has been carried out" in after["sentence"]
        assert after["sentence"].endswith("Read back 3 instances, as decided.")


async def test_no_token_is_in_the_ledger_or_in_what_operators_see(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3, extra=gated())) as arena:
        request = await asked(arena)
        tokens = [url.partition("token=")[2] for who in (ADA, BEA) for url in (await links(arena, who)).values()]
        signatures = [token.rpartition(".")[2] for token in tokens if token]
        assert len(signatures) == 4
        seen = json.dumps([await arena.call("GET", f"approvals/{request.id}", status=200), await questions(arena)])
        seen += json.dumps([dict(entry.body) for entry in await arena.entries()])
        assert [signature for signature in signatures if signature in seen] == []


async def test_a_double_click_has_one_effect(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3, extra=gated(needed=2))) as arena:
        request = await asked(arena)
        yes = (await links(arena, ADA))["approve"]
        clicks = await asyncio.gather(*(open_page(arena, yes, "POST") for _ in range(4)))
        await arena.clock.settle()
        assert [click.status for click in clicks] == [200] * 4
        assert sorted("You said yes" in click.body for click in clicks) == [False, False, False, True]
        stored = await arena.made.stores.approvals.about(request.id)
        assert stored is not None
        assert (stored.state, len(stored.answers)) == ("pending", 1)


async def test_two_different_people_where_two_are_asked(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3, extra=gated(needed=2))) as arena:
        request = await asked(arena)
        await follow(arena, (await links(arena, ADA))["approve"])
        same = await arena.control("POST", f"approvals/{request.id}/approve", by=ADA)
        assert same["state"] == "pending"
        assert "You approved it" in same["note"]
        await arena.pass_time(60)
        assert arena.sent() == []
        done = await arena.control("POST", f"approvals/{request.id}/approve", by=BEA.upper(), reason="load test")
        assert (done["state"], [answer["how"] for answer in done["answers"]]) == ("approved", ["link", "stated"])
        await arena.clock.settle()
        assert len(arena.patches()) == 1


async def test_who_was_not_asked_cannot_answer(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3, extra=gated())) as arena:
        request = await asked(arena)
        body = {"by": "eve@example.com", "reason": "mine"}
        got = await arena.request("POST", f"approvals/{request.id}/approve", json=body)
        assert (got.status, got.body["code"]) == (403, "not_allowed")
        for path in (f"approvals/{request.id[:-1]}x/deny", "approvals/20260101T000001-0123456789abcdef/approve"):
            got = await arena.request("POST", path, json=body)
            assert (got.status, got.body["code"]) == (404, "not_found")
        await arena.pass_time(60)
        assert arena.sent() == []


@pytest.mark.parametrize("change", ["sub", "req", "plan", "verdict", "aud", "iss", "exp", "none", "other key", "cut"])
async def test_a_link_that_was_changed_is_worth_nothing(open_arena: OpenArena, change: str) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3, extra=gated())) as arena:
        await asked(arena)
        base, _, token = (await links(arena, ADA))["deny"].partition("token=")
        claims = jwt.decode(token, options={"verify_signature": False})
        kid = jwt.get_unverified_header(token)["kid"]
        real = arena.world.vault.secrets[LINK_KEY][-1].value
        forged = {"verdict": "approve", "exp": claims["exp"] + 9999}.get(change, "another")
        if change == "none":
            wrong = jwt.encode(claims | {"verdict": "approve"}, "", algorithm="none", headers={"kid": kid})
        elif change == "cut":
            wrong = token[:-2]
        elif change in ("aud", "iss"):  # signed by us, for something else
            wrong = jwt.encode(claims | {change: "another"}, real, algorithm="HS256", headers={"kid": kid})
        elif change == "other key":
            wrong = jwt.encode(claims, "x" * 48, algorithm="HS256", headers={"kid": kid})
        else:
            wrong = jwt.encode(claims | {change: forged}, "x" * 48, algorithm="HS256", headers={"kid": kid})
        got = await follow(arena, f"{base}token={wrong}")
        assert (got.status, "This link is not valid" in got.body) == (403, True)
        (shown,) = await questions(arena)
        assert (shown["state"], shown["answers"]) == ("pending", [])


async def test_a_link_for_another_plan_than_the_one_that_was_asked_is_gone(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3, extra=gated())) as arena:
        await asked(arena)
        base, _, token = (await links(arena, ADA))["approve"].partition("token=")
        claims = jwt.decode(token, options={"verify_signature": False})
        key = arena.world.vault.secrets[LINK_KEY][-1]
        other = jwt.encode(claims | {"plan": "0" * 16}, key.value, algorithm="HS256", headers={"kid": key.id})
        assert (await follow(arena, f"{base}token={other}")).status == 404
        assert arena.sent() == []


async def test_a_rotation_of_the_key_breaks_no_link(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3, extra=gated(needed=2))) as arena:
        await asked(arena)
        first = await links(arena, ADA)
        arena.world.vault.set(LINK_KEY, "n" * 48, arena.clock.now())
        await arena.call("POST", "caches/drop", {"name": "all", "reason": "rotated", "by": "ada"}, status=202)
        assert (await follow(arena, first["approve"])).status == 200
        (shown,) = await questions(arena)
        assert [answer["who"] for answer in shown["answers"]] == [ADA]


async def test_a_version_that_is_disabled_takes_its_links_back(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3, extra=gated())) as arena:
        await asked(arena)
        yes = (await links(arena, ADA))["approve"]
        arena.world.vault.set(LINK_KEY, "n" * 48, arena.clock.now())
        arena.world.vault.secrets[LINK_KEY][0].enabled = False
        await arena.pass_time(3600)
        got = await follow(arena, yes)
        assert (got.status, "This link is not valid" in got.body) == (403, True)


async def test_an_approval_whose_order_was_not_started_is_found_by_the_sweep(open_arena: OpenArena) -> None:
    """The process died after the answer was stored."""
    async with open_arena(shape=QUICK, policy=policy_text(min=3, extra=gated())) as arena:
        request = await asked(arena)
        answer = Answer(who=ADA, verdict="approve", why="", at=arena.clock.now(), how="link")
        await arena.made.stores.approvals.answer(request.id, answer)
        await arena.clock.settle()
        assert arena.sent() == []
        await arena.pass_time(150)
        assert (arena.capacity(), len(arena.sent())) == (3, 1)


async def test_a_step_that_dies_between_use_and_request_goes_on(
    open_arena: OpenArena, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The approval is used, and the request was never sent: the same act sends it, once."""
    send = capacity.request
    died: list[int] = []

    async def dies(*args: object) -> object:
        if not died:
            died.append(1)
            raise ConnectionResetError("the process is gone")
        return await send(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(capacity, "request", dies)
    async with open_arena(shape=QUICK, policy=policy_text(min=3, extra=gated())) as arena:
        await asked(arena)
        await follow(arena, (await links(arena, ADA))["approve"])
        assert (await questions(arena))[0]["state"] == "used"
        assert arena.sent() == []
        await arena.pass_time(200)
        assert died
        assert (arena.capacity(), len(arena.sent())) == (3, 1)
        assert await ends(arena) == [("succeeded", "verified")]


async def test_a_no_in_the_last_moment_stops_the_act(open_arena: OpenArena, monkeypatch: pytest.MonkeyPatch) -> None:
    """After every gate was open and the row says that it is on its way, and before the approval is used."""
    use = ApprovalDesk.use

    async def late(desk: ApprovalDesk, decision_id: str) -> None:
        answer = Answer(who=ADA, verdict="deny", why="stop", at=desk._now(), how="link")
        await desk.answer(decision_id, answer)
        await use(desk, decision_id)

    async with open_arena(shape=QUICK, policy=policy_text(min=3, extra=gated())) as arena:
        await asked(arena)
        monkeypatch.setattr(ApprovalDesk, "use", late)
        await follow(arena, (await links(arena, ADA))["approve"])
        await arena.pass_time(120)
        assert arena.sent() == []
        assert await ends(arena) == [("refused", "approval_denied")]


async def test_the_kill_switch_stops_what_is_approved(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3, extra=gated())) as arena:
        await asked(arena)
        yes = (await links(arena, ADA))["approve"]
        await arena.control("PUT", "kill-switch", scope="all")
        assert (await follow(arena, yes)).status == 200
        await arena.pass_time(120)
        assert arena.sent() == []
        assert await ends(arena) == [("refused", "kill_switch")]
        (shown,) = await questions(arena)
        assert shown["state"] == "replaced"
        assert "It came to its end without this: Kill switch" in shown["ended_why"]
        assert [notice.recipient for notice in await notices(arena, "approval_ended")].count(BEA) == 2


async def test_what_policy_does_not_gate_waits_for_nobody(open_arena: OpenArena) -> None:
    rule = gated(when="{direction: shrink}")
    async with open_arena(shape=QUICK, policy=policy_text(min=3, extra=rule)) as arena:
        await arena.evaluate()
        assert len(arena.sent()) == 1
        assert await questions(arena) == []


async def test_in_observe_nobody_is_asked_and_the_decision_says_that_it_would_wait(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text("observe", min=3, extra=gated())) as arena:
        await arena.pass_time(120)
        (entry,) = await arena.entries("decision")
        assert entry.summary.endswith(f"It would wait for approval by 1 of {ADA}, {BEA} (every).")
        assert await questions(arena) == []
        assert await notices(arena, "approval_requested") == []


async def test_the_list_is_filtered_and_paged(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3, extra=gated(ask_again_after_s=0))) as arena:
        for _ in range(3):
            await asked(arena)
            await follow(arena, (await links(arena, BEA))["deny"])
        everything = (await arena.call("GET", "approvals", status=200))["approvals"]
        assert len(everything) == 3
        denied = await arena.call("GET", "approvals?state=denied&target=chat&limit=2", status=200)
        rest = await arena.call("GET", f"approvals?state=denied&limit=2&cursor={denied['next_cursor']}", status=200)
        assert [*denied["approvals"], *rest["approvals"]] == everything
        assert rest["next_cursor"] is None
        assert (await arena.call("GET", "approvals?target=nobody", status=200))["approvals"] == []
        for query, word in (("state=maybe", "possible: pending"), ("cursor=x", "cursor"), ("since=now", "'now'")):
            got = await arena.request("GET", f"approvals?{query}")
            assert (got.status, got.body["code"]) == (400, "invalid_request")
            assert word in got.body["detail"]


async def bare(arena: Arena) -> list[str]:
    return [notice.facts.get("how to answer", "") for notice in await notices(arena, "approval_requested")]


async def test_without_a_key_people_are_asked_without_links(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3, extra=gated())) as arena:
        arena.world.vault.delete(LINK_KEY)
        request = await asked(arena)
        assert "approve" not in await links(arena, ADA)
        assert all(f"POST /api/approvals/{request.id}/approve" in how for how in await bare(arena))
        await arena.control("POST", f"approvals/{request.id}/approve", by=BEA)
        await arena.clock.settle()
        assert len(arena.patches()) == 1
