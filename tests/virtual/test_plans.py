"""What is known ahead, in the whole app: scheduled loads, budgets, and freezes that have not begun yet."""

import random
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from local.workload import Arrivals, Surge
from shared.domain import ScalingSnapshot
from shared.records.codec import from_plain
from shared.replay import replay
from tests.virtual.arena import PRODUCTION, QUICK, Arena, policy_text
from tests.virtual.conftest import VIRTUAL, OpenArena
from tests.virtual.test_gates import freeze

pytestmark = VIRTUAL

HOUR_S = 3600.0


def nightly(begins: datetime, minutes: int, least: int) -> list[dict[str, Any]]:
    """A load in Berlin's time, which is not UTC."""
    berlin = ZoneInfo("Europe/Berlin")
    start, until = (f"{at.astimezone(berlin):%Y-%m-%d %H:%M}" for at in (begins, begins + timedelta(minutes=minutes)))
    zone = "W. Europe Standard Time"
    return [{"name": "nightly", "zone": zone, "once": {"from": start, "until": until}, "min": least}]


async def recorded(arena: Arena) -> list[Any]:
    """The bodies of the decisions, each of which replays bit for bit."""
    bodies: list[Any] = [entry.body for entry in await arena.entries("decision")]
    assert [replay(body) for body in bodies if not replay(body).matches] == []
    return bodies


async def test_a_scheduled_load_is_served_from_its_first_minute_and_given_back_after_it(open_arena: OpenArena) -> None:
    async with open_arena(shape=PRODUCTION) as arena:
        begins = (arena.clock.now() + timedelta(minutes=40)).replace(second=0, microsecond=0)
        arena.set_policy(policy_text(schedule=nightly(begins, 20, 3)))
        await arena.pass_time((begins - arena.clock.now()).total_seconds() - 1260)
        assert arena.capacity() == 1, "not a cold start, a quarter of it and a sweep ahead yet"
        await arena.pass_time(1260)
        assert arena.world.instances() == (3, 0), "ready as it begins, and none pending"
        await arena.pass_time(1.5 * HOUR_S)
        assert arena.capacity() == 1
        up, down = await recorded(arena)
        assert up["decision"]["rule"] == "scheduled_load"
        assert "The scheduled load 'nightly' begins" in up["decision"]["reason"]
        assert (up["decision"]["to"], down["decision"]["to"]) == (3, 1)


async def test_a_budget_holds_a_surge_at_what_it_pays_for(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK) as arena:
        arena.set_policy(policy_text(budget_usd_per_hour=7, price_usd_per_hour=2))
        surge = Surge(base_rate=0.02, surge_rate=0.5, starts_at_s=0, lasts_s=1500, duration_s=1500)
        arena.world.play(Arrivals.of_surge(surge, random.Random(3)))
        await arena.pass_time(1500)
        assert arena.capacity() == 3
        told = await arena.call("GET", "targets/chat", status=200)
        assert "the budget of 7 USD an hour allows 3" in str(told)
        await recorded(arena)


async def test_a_freeze_that_is_ahead_is_recorded_with_what_was_seen(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK) as arena:
        begins = arena.clock.now() + timedelta(hours=2)
        arena.set_policy(policy_text(min=2, extra=freeze(begins, 3)))
        await arena.pass_time(240)
        (body,) = await recorded(arena)
        seen = from_plain(ScalingSnapshot, body["snapshot"])
        assert (seen.freeze_begins_at, seen.freeze_ends_at) == (
            begins.replace(second=0, microsecond=0),
            (begins + timedelta(hours=3)).replace(second=0, microsecond=0),
        )
