"""Every gate inside the real act, on fresh state, with the words that the ledger keeps; and how it opens again."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from local.world import DEPLOYMENT
from shared.domain import Notice
from shared.records.exemptions import Exemption
from tests.virtual.arena import QUICK, Arena, policy_text
from tests.virtual.conftest import VIRTUAL, OpenArena

pytestmark = VIRTUAL

BUSY = {"error": {"code": "Conflict", "message": "another operation is running"}}
HOUR_S = 3600


def freeze(since: datetime, hours: float, **fields: Any) -> str:
    """A freeze in Berlin's time, which is not UTC."""
    from zoneinfo import ZoneInfo

    berlin = ZoneInfo("Europe/Berlin")
    start, until = (f"{at.astimezone(berlin):%Y-%m-%d %H:%M}" for at in (since, since + timedelta(hours=hours)))
    more = "".join(f"\n            {name}: {value}" for name, value in fields.items())
    return f"""
        freezes:
          - name: drill
            reason: A drill.
            zone: W. Europe Standard Time
            once: {{from: {start}, until: {until}}}{more}
    """


async def end_of(arena: Arena, code: str) -> str:
    """The reason of the one refusal with this code that the ledger has."""
    (outcome,) = [one for one in await arena.outcomes() if one.code == code]
    assert outcome.kind == "refused"
    return outcome.reason


async def gate(arena: Arena, name: str, act: str) -> Any:
    """What operators see of one gate now."""
    told = await arena.call("GET", "targets/chat", status=200)
    (state,) = [one for one in told["gates"][act] if one["gate"] == name]
    return state


async def notices(arena: Arena, kind: str) -> list[Notice]:
    since, until = arena.opened_at - timedelta(days=1), arena.clock.now() + timedelta(hours=1)
    page = await arena.made.stores.outbox.query(since=since, until=until, limit=500)
    return [posted.notice for posted in page.notices if posted.notice.kind == kind]


# ---- freeze windows


async def test_a_freeze_that_begins_between_decision_and_act(open_arena: OpenArena) -> None:
    """Azure was busy when the act first tried; by the second try the window has begun."""
    async with open_arena(shape=QUICK, policy=policy_text(min=3)) as arena:
        arena.fault("PATCH", "deployments", 409, body=BUSY, times=1)
        await arena.evaluate()
        assert len(arena.sent()) == 1
        now = arena.clock.now()
        arena.set_policy(policy_text(min=3, extra=freeze(now, 1)))
        await arena.pass_time(120)
        assert len(arena.sent()) == 1
        reason = await end_of(arena, "frozen")
        assert "Freeze window 'drill': no growth until" in reason
        assert "(W. Europe Standard Time). A drill. It opens by itself at" in reason
        assert (await gate(arena, "freeze", "growth"))["code"] == "frozen"
        await arena.pass_time(HOUR_S)
        assert arena.capacity() == 3
        assert (await gate(arena, "freeze", "growth"))["open"]


async def test_a_long_freeze_is_told_once_and_acted_on_as_soon_as_it_ends(open_arena: OpenArena) -> None:
    async with open_arena(shape=replace(QUICK, capacity=6), policy=policy_text(max=8)) as arena:
        arena.set_policy(policy_text(max=3, extra=freeze(arena.clock.now(), 6)))
        await arena.pass_time(5.9 * HOUR_S)
        assert arena.sent() == []
        decisions, outcomes = await arena.decisions(), await arena.outcomes()
        assert [one.act for one in decisions] == ["shrink"]
        assert [one.code for one in outcomes] == ["frozen"]
        await arena.pass_time(600)
        assert arena.capacity() <= 3
        assert [one.kind for one in await arena.outcomes()][:2] == ["refused", "succeeded"]


async def test_no_cool_down_begins_with_what_a_gate_refuses(open_arena: OpenArena) -> None:
    """A shrink would otherwise wait for fifteen minutes more, though nothing was changed."""
    async with open_arena(shape=replace(QUICK, capacity=6), policy=policy_text(max=8)) as arena:
        arena.set_policy(policy_text(max=3, extra=freeze(arena.clock.now(), 0.1)))
        await arena.pass_time(0.1 * HOUR_S - 60)
        assert [one.code for one in await arena.outcomes()] == ["frozen"]
        await arena.pass_time(180)
        assert arena.capacity() == 3


async def test_what_a_freeze_allows_goes_on(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text()) as arena:
        arena.set_policy(policy_text(min=3, extra=freeze(arena.clock.now(), 6, allow="[growth]")))
        await arena.pass_time(240)
        assert arena.capacity() == 3
        assert (await gate(arena, "freeze", "growth"))["open"]
        assert not (await gate(arena, "freeze", "shrink"))["open"]


async def test_in_observe_the_decision_says_what_would_have_refused_it(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text("observe")) as arena:
        arena.set_policy(policy_text("observe", min=3, extra=freeze(arena.clock.now(), 6)))
        await arena.pass_time(120)
        (entry,) = await arena.entries("decision")
        assert entry.summary.endswith("Would be refused: frozen.")
        refused_by: Any = entry.body["refused_by"]
        assert [one["code"] for one in refused_by] == ["frozen"]


# ---- kill switch


@pytest.mark.parametrize("scope", ["workspace:DEMO", "workspace:" + DEPLOYMENT.split("/onlineEndpoints")[0]])
async def test_the_kill_switch_of_a_workspace_stops_what_was_decided(open_arena: OpenArena, scope: str) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3)) as arena:
        arena.fault("PATCH", "deployments", 409, body=BUSY, times=1)
        await arena.evaluate()
        await arena.control("PUT", "kill-switch", scope=scope)
        await arena.pass_time(120)
        assert len(arena.sent()) == 1
        assert "Kill switch for workspace:" in await end_of(arena, "kill_switch")


async def test_the_kill_switch_of_a_project(open_arena: OpenArena) -> None:
    text = policy_text(min=3).replace("  - name: chat", "  - project: talk\n    name: chat")
    async with open_arena(shape=QUICK, policy=text) as arena:
        arena.fault("PATCH", "deployments", 409, body=BUSY, times=1)
        await arena.evaluate()
        await arena.control("PUT", "kill-switch", scope="project:talk")
        await arena.pass_time(120)
        assert "Kill switch for project:talk" in await end_of(arena, "kill_switch")
        await arena.control("DELETE", "kill-switch", scope="project:talk")
        await arena.pass_time(240)
        assert arena.capacity() == 3


# ---- blast radius

ONE_GROWTH = """
    limits:
      blast_radius:
        growths: {target_per_hour: 1}
"""


async def test_a_budget_that_is_used_up(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=2, extra=ONE_GROWTH)) as arena:
        await arena.pass_time(180)
        assert arena.capacity() == 2
        arena.set_policy(policy_text(min=3, extra=ONE_GROWTH))
        await arena.pass_time(0.5 * HOUR_S)
        assert arena.capacity() == 2
        reason = await end_of(arena, "blast_radius")
        assert "1 growths were begun in target:chat within the last hour; the policy allows 1." in reason
        assert "limits.blast_radius.growths.target_per_hour" in reason
        (told,) = await notices(arena, "limit_reached")
        assert told.facts["scope"] == "target:chat"
        await arena.pass_time(0.7 * HOUR_S)
        assert arena.capacity() == 3
        assert [one.kind for one in await arena.outcomes()] == ["succeeded", "refused", "succeeded"]


async def test_a_request_that_is_repeated_takes_one_place(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3, extra=ONE_GROWTH)) as arena:
        arena.fault("PATCH", "deployments", 429, times=3)
        await arena.pass_time(300)
        assert len(arena.sent()) == 4
        assert arena.capacity() == 3
        made = (await arena.made.stores.gates.load()).made["growths"]
        assert len(made.changes) == 1


# ---- exemptions


async def exempt(arena: Arena, **fields: Any) -> Any:
    body = {"scope": "target:chat", "owner": "team@example.com", "for_s": HOUR_S}
    return await arena.control("PUT", "exemptions", **body | fields)


async def test_an_exemption_refuses_in_the_act_and_its_end_is_announced(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3)) as arena:
        arena.fault("PATCH", "deployments", 409, body=BUSY, times=1)
        await arena.evaluate()
        await exempt(arena)
        await arena.pass_time(120)
        reason = await end_of(arena, "exempt")
        assert "target:chat is exempt from all changes until" in reason
        assert "(team@example.com, by ada): a test." in reason
        assert await notices(arena, "exemption_expired") == []
        await arena.pass_time(1.1 * HOUR_S)
        assert arena.capacity() == 3
        (told,) = await notices(arena, "exemption_expired")
        assert told.owners == ("team@example.com",)
        controls = [entry.summary for entry in await arena.entries("control")]
        assert controls[-1] == (
            "target:chat is no longer exempt from all changes: the exemption of team@example.com ran out (a test)"
        )
        assert (await arena.call("GET", "exemptions", status=200))["exemptions"] == []


async def test_an_exemption_is_honoured_in_observe_exactly_as_in_enforce(open_arena: OpenArena) -> None:
    plans = {}
    for mode in ("observe", "enforce"):
        async with open_arena(shape=QUICK, policy=policy_text(mode, min=3)) as arena:
            await exempt(arena, acts="growth")
            await arena.pass_time(120)
            assert arena.sent() == []
            (entry,) = await arena.entries("decision")
            refused_by: Any = entry.body["refused_by"]
            plans[mode] = (entry.body["plan"], [one["code"] for one in refused_by])
            assert entry.summary.endswith("Would be refused: exempt.") == (mode == "observe")
    assert plans["observe"] == plans["enforce"]


async def test_a_tag_on_the_deployment_exempts(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3)) as arena:
        until = arena.clock.now() + timedelta(hours=1)
        await arena.person_changes(tags={"watchkeeper-exempt": f"a load test|until={until:%Y-%m-%dT%H:%MZ}"})
        await arena.pass_time(120)
        assert arena.sent() == []
        assert "exempt by its tag watchkeeper-exempt" in await end_of(arena, "exempt")
        await arena.pass_time(1.1 * HOUR_S)
        assert arena.capacity() == 3
        assert len(await notices(arena, "exemption_expired")) == 1


async def test_exemptions_over_http(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text("observe")) as arena:
        made = await exempt(arena, acts="shrink", scope="workspace:Demo")
        assert made["exemption"]["scope"] == "workspace:demo"
        await exempt(arena)
        listed = await arena.call("GET", "exemptions?limit=1", status=200)
        again = await arena.call("GET", f"exemptions?limit=1&cursor={listed['next_cursor']}", status=200)
        assert {one["acts"] for page in (listed, again) for one in page["exemptions"]} == {"all", "shrink"}
        assert again["next_cursor"] is None
        assert len((await arena.call("GET", "exemptions?target=chat", status=200))["exemptions"]) == 2
        ended = await arena.control("DELETE", "exemptions", scope="workspace:DEMO", acts="shrink")
        assert ended == {"scope": "workspace:DEMO", "acts": "shrink", "was_exempt": True, "still_exempt": []}
        assert (await arena.control("DELETE", "exemptions", scope="workspace:DEMO"))["was_exempt"] is False
        told = [entry.summary for entry in await arena.entries("control")]
        assert told[0].startswith("ada exempted workspace:demo from shrink until ")
        assert told[-1] == "ada ended the exemption of workspace:DEMO from all changes, where there was none: a test"


async def test_who_ends_an_exemption_hears_what_is_left(open_arena: OpenArena) -> None:
    async with open_arena(policy=policy_text("observe")) as arena:
        await exempt(arena, acts="shrink")
        now = arena.clock.now()
        over = Exemption(
            scope="target:chat", acts="growth", reason="r", owner="a@example.com", by="ada", at=now, expires_at=now
        )
        await arena.made.stores.gates.exemptions.put(over)
        ended = await arena.control("DELETE", "exemptions", scope="target:chat")
        assert ended["was_exempt"] is False
        assert [one["acts"] for one in ended["still_exempt"]] == ["shrink"]
        ended = await arena.control("DELETE", "exemptions", scope="target:chat", acts="growth")
        assert (ended["was_exempt"], [one["acts"] for one in ended["still_exempt"]]) == (False, ["shrink"])
        summaries = [entry.summary for entry in await arena.entries("control")]
        assert "ada ended the exemption of target:chat from growth, which had run out: a test" in summaries
        body = {"scope": "target:chta", "reason": "a test", "by": "ada"}
        wrong = await arena.request("DELETE", "exemptions", json=body)
        assert (wrong.status, wrong.body["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"owner": "nobody"}, 400, "e-mail address"),
        ({"for_s": None}, 400, "ends by itself"),
        ({"for_s": 91 * 86_400}, 400, "the policy allows 90 days (limits.exemption_max_days)"),
        ({"acts": "scale"}, 400, "possible: all, growth"),
        ({"scope": "target:chta"}, 404, "chat"),
        ({"scope": "everything"}, 400, "target:<name>"),
        ({"reason": " "}, 400, "reason"),
    ],
)
async def test_an_exemption_that_makes_no_sense(
    open_arena: OpenArena, change: dict[str, Any], status: int, words: str
) -> None:
    async with open_arena(policy=policy_text("observe")) as arena:
        body = {"scope": "target:chat", "owner": "t@e.org", "for_s": 60, "reason": "r", "by": "ada"} | change
        answer = await arena.request("PUT", "exemptions", json=body)
        assert answer.status == status, answer
        assert words in answer.body["detail"]
        assert (await arena.made.stores.gates.load()).exemptions.stored == ()


# ---- regions


async def test_a_region_that_is_not_allowed(open_arena: OpenArena) -> None:
    limits = "\nlimits:\n  allowed_regions: [northeurope]\n"
    async with open_arena(shape=QUICK, policy=policy_text(min=3, extra=limits)) as arena:
        await arena.pass_time(HOUR_S)
        assert arena.sent() == []
        assert "policy allows changes in northeurope" in await end_of(arena, "region_not_allowed")
        assert (await gate(arena, "region", "growth"))["code"] == "region_not_allowed"


# ---- circuit breaker

TWO_FAILURES = """
    limits:
      breaker: {target_failures: 2, cool_down_s: 7200}
"""


async def broken(arena: Arena) -> None:
    """Two changes of the target fail, and its breaker opens."""
    arena.fault("PATCH", "deployments", 400, body={"error": {"code": "BadArgument", "message": "no"}}, times=2)
    await arena.pass_time(0.5 * HOUR_S)
    assert [one.kind for one in await arena.outcomes()][:2] == ["failed", "failed"]


async def test_failures_open_the_breaker_and_a_person_closes_it(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3, extra=TWO_FAILURES)) as arena:
        await broken(arena)
        sent = len(arena.sent())
        assert sent == 2
        reason = await end_of(arena, "breaker_open")
        assert "The circuit breaker of target:chat is open since" in reason
        assert "2 changes failed within 60 minutes (BadArgument)." in reason
        assert 'POST /api/breaker/reset {"scope": "target:chat"' in reason
        (told,) = await notices(arena, "breaker_tripped")
        assert told.severity == "critical"
        assert [entry.summary for entry in await arena.entries("notice") if "circuit breaker" in entry.summary] == [
            "The circuit breaker of target:chat opened: 2 changes failed within 60 minutes (BadArgument)."
        ]
        (shown,) = [
            one for one in (await arena.call("GET", "breaker", status=200))["breakers"] if one["scope"] == "target:chat"
        ]
        assert (shown["state"], shown["failures"]) == ("open", 2)
        await arena.pass_time(600)
        assert len(arena.sent()) == sent
        reset = await arena.control("POST", "breaker/reset", scope="target:chat")
        assert reset == {"scope": "target:chat", "was_open": True, "still_open": []}
        await arena.pass_time(180)
        assert arena.capacity() == 3
        assert (await arena.entries("control"))[-1].summary == ("ada reset the circuit breaker of target:chat: a test")


async def test_by_itself_it_lets_one_change_through_for_trial(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3, extra=TWO_FAILURES)) as arena:
        await broken(arena)
        arena.fault("PATCH", "deployments", 400, body={"error": {"code": "BadArgument", "message": "no"}}, times=1)
        await arena.pass_time(2 * HOUR_S)
        assert len(arena.sent()) == 3, "the trial failed, and it is open anew"
        await arena.pass_time(1.5 * HOUR_S)
        assert len(arena.sent()) == 3
        await arena.pass_time(0.7 * HOUR_S)
        assert arena.capacity() == 3
        stored = (await arena.made.stores.gates.load()).breakers["target:chat"]
        assert stored.opened_at is None
        assert len(await notices(arena, "breaker_tripped")) == 2


async def test_a_reset_of_what_is_not_open(open_arena: OpenArena) -> None:
    async with open_arena(policy=policy_text("observe")) as arena:
        told = await arena.control("POST", "breaker/reset", scope="target:chat")
        assert told == {"scope": "target:chat", "was_open": False, "still_open": []}
        for scope, status, code in (("x", 400, "invalid_request"), ("project:none", 404, "not_found")):
            wrong = await arena.request("POST", "breaker/reset", json={"scope": scope, "reason": "r", "by": "ada"})
            assert (wrong.status, wrong.body["code"]) == (status, code)


async def test_operators_see_every_gate(open_arena: OpenArena) -> None:
    """Without a change to make, for each kind of change; with one, for that."""
    async with open_arena(shape=QUICK, policy=policy_text("observe")) as arena:
        await arena.control("PUT", "kill-switch", scope="all")
        told = await arena.call("GET", "targets/chat", status=200)
        assert list(told["gates"]) == ["growth", "shrink"]
        codes = {one["gate"]: one.get("code") for one in told["gates"]["shrink"]}
        assert codes["kill_switch"] == "kill_switch"
        assert codes["mode"] == "mode_observe"
        assert {codes[name] for name in ("freeze", "exemption", "region", "breaker", "blast_radius")} == {None}
        arena.set_policy(policy_text("observe", min=3))
        await arena.pass_time(10)
        assert list((await arena.call("GET", "targets/chat", status=200))["gates"]) == ["growth"]
