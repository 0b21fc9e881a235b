"""Scaling as it is in production: instances that take fifteen minutes to arrive, metrics that are minutes late."""

import random

from local.workload import Arrivals, Surge
from tests.virtual.conftest import VIRTUAL, OpenArena

pytestmark = VIRTUAL

HOUR_S = 3600.0


async def test_a_surge_is_met_and_capacity_comes_back(open_arena: OpenArena) -> None:
    async with open_arena() as arena:
        surge = Surge(base_rate=0.02, surge_rate=0.2, starts_at_s=600, lasts_s=HOUR_S, duration_s=1.5 * HOUR_S)
        player = arena.world.play(Arrivals.of_surge(surge, random.Random(3)))
        await arena.pass_time(1.1 * HOUR_S)
        assert arena.capacity() >= 4
        assert arena.world.depth() < 600 * 0.2
        await arena.pass_time(2.4 * HOUR_S)
        assert arena.capacity() <= 2  # a surge that nothing announced is remembered for some hours
        assert arena.world.dispatcher.counts.completed == player.sent == len(player.arrivals.times_s)
        decisions, outcomes = await arena.entries("decision"), await arena.entries("outcome")
        assert len(decisions) == len(outcomes) == len(arena.patches())
        assert all("(verified)" in outcome.summary for outcome in outcomes)
