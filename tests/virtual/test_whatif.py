"""POST /api/whatif: what another policy would have made of a load, from a trace or from what Azure Monitor recorded."""

import asyncio
from typing import Any

import pytest

from tests.virtual.arena import PRODUCTION, QUICK, policy_text
from tests.virtual.conftest import VIRTUAL, OpenArena

pytestmark = VIRTUAL

ROWS = [{"timestamp": f"2026-01-05T{n // 60:02}:{n % 60:02}:00Z", "value": 9 if n < 60 else 1} for n in range(180)]
CSV = "t_s\n" + "\n".join(str(20 * n) for n in range(200))


async def test_variants_are_compared_with_todays_policy_at_azures_price(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text("observe", cold_start_s=300, scale_in_hold_s=60)) as arena:
        body = {"target": "chat", "trace": ROWS, "variants": [{"max": 1}, {"drain_within_s": 3600}]}
        told = await arena.call("POST", "whatif", body, status=200)
        today, small, patient = told["variants"]
        assert [one["variant"] for one in told["variants"]] == ["today", "max=1", "drain_within_s=3600"]
        assert told["target"] == "chat"
        assert (told["price"]["source"], told["price"]["usd_per_instance_and_hour"] > 0) == ("Azure ML size list", True)
        assert told["load"] == {"days": 0.125, "items": 660, "service_s": 20.0}
        assert small["late_share"] > today["late_share"]
        assert small["cost_usd_per_day"] < today["cost_usd_per_day"]
        assert (small["instances_most"], small["share_at_max"]) == (1, 1.0)
        assert patient["late_share_as_today"] >= patient["late_share"]
        for one in told["variants"]:
            price = told["price"]["usd_per_instance_and_hour"]
            assert one["cost_usd_per_day"] == pytest.approx(one["instance_hours_per_day"] * price, rel=1e-4)
        assert arena.sent() == []
        assert await arena.entries() == []


async def test_a_fragment_of_a_policy_with_its_own_price(open_arena: OpenArena) -> None:
    async with open_arena() as arena:
        scaling = {"max": 4, "service_rate": {"per_instance_per_s": 0.1}, "price_usd_per_hour": 2.0}
        told = await arena.call("POST", "whatif", {"scaling": scaling, "trace": CSV}, status=200)
        assert told["target"] is None
        assert told["price"] == {"usd_per_instance_and_hour": 2.0, "source": "policy"}
        (only,) = told["variants"]
        assert only["promise_s"] == 1800
        assert only["cost_usd_per_day"] == pytest.approx(2 * only["instance_hours_per_day"], rel=1e-4)


async def test_what_azure_monitor_recorded_is_replayed(open_arena: OpenArena) -> None:
    async with open_arena(shape=PRODUCTION, policy=policy_text("observe")) as arena:
        for messages in (4, 0, 0, 6, 0, 2):
            arena.send(messages)
            await arena.pass_time(60)
        await arena.pass_time(300)
        told = await arena.call("POST", "whatif", {"target": "chat", "recorded": {"days": 1}}, status=200)
        assert told["load"]["items"] == 12
        assert any("Recorded by Azure Monitor" in one for one in told["assumed"])
        arena.fault("POST", "metrics:getBatch", 403)
        got = await arena.request("POST", "whatif", json={"target": "chat", "recorded": {"days": 1}})
        assert (got.status, got.body["code"]) == (503, "unavailable")
        assert "could not be read" in got.body["detail"]


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"target": "chat"}, 400, "Give the load"),
        ({"trace": CSV}, 400, "Give the policy"),
        ({"target": "chta", "trace": CSV}, 404, "no target is named 'chta'"),
        ({"target": "chat", "trace": "t_s\n"}, 400, "has a header but no rows"),
        ({"target": "chat", "trace": []}, 400, "no rows"),
        ({"target": "chat", "trace": CSV, "variants": [{"mox": 2}]}, 400, "variant 1: mox: is not a field"),
        ({"target": "chat", "trace": CSV, "variants": [{"max": 2, "min": 3}]}, 400, "min is 3, more than max"),
        ({"target": "chat", "trace": CSV, "variants": [{"max": n} for n in range(2, 8)]}, 400, "at most 5"),
        ({"target": "chat", "trace": CSV, "variants": {"max": 2}}, 400, "variants is no list of objects"),
        ({"target": "chat", "trace": "t_s\n0\n4000000\n"}, 413, "at most 31"),
        ({"target": "chat", "recorded": {"days": 40}}, 413, "at most 31"),
        ({"target": "chat", "recorded": {"days": "all"}}, 400, "recorded is {'days': 'all'}"),
        ({"target": "chat", "recorded": {"days": 1}}, 400, "too few"),
        ({"scaling": {"max": 2}, "recorded": {"days": 1}}, 400, "give target"),
    ],
)
async def test_what_cannot_be_replayed_is_told(open_arena: OpenArena, body: Any, status: int, said: str) -> None:
    async with open_arena(policy=policy_text("observe")) as arena:
        got = await arena.request("POST", "whatif", json=body)
        assert (got.status, got.content_type) == (status, "application/problem+json"), got
        assert said in got.body["detail"]


async def test_one_at_a_time_and_the_app_answers_meanwhile(open_arena: OpenArena) -> None:
    async with open_arena() as arena:
        body = {"scaling": {"max": 4}, "trace": CSV}
        first, second, health = await asyncio.gather(
            arena.request("POST", "whatif", json=body),
            arena.request("POST", "whatif", json=body),
            arena.request("GET", "health"),
        )
        assert sorted((first.status, second.status)) == [200, 409]
        assert health.status == 200
