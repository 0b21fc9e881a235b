"""The dispatcher stands still: completions stop, the queue rises, and more instances would not help."""

import random
from dataclasses import replace

from local.workload import Arrivals, Surge
from tests.virtual.arena import QUICK, policy_text
from tests.virtual.conftest import VIRTUAL, OpenArena
from tests.virtual.test_told import told

pytestmark = VIRTUAL


async def test_it_is_seen_and_growth_stops_until_it_goes_on(open_arena: OpenArena) -> None:
    shape = replace(QUICK, capacity=3, dispatcher_concurrency=24)
    policy = policy_text(min=3, max=12, cold_start_s=60, not_capacity_bound_after_s=300)
    async with open_arena(shape=shape, policy=policy) as arena:
        steady = Surge(base_rate=0.12, surge_rate=0.12, starts_at_s=0, lasts_s=1, duration_s=3600)
        arena.world.play(Arrivals.of_surge(steady, random.Random(5)))
        await arena.pass_time(300)
        before, depth = arena.world.dispatcher.counts.completed, arena.world.depth()
        assert before > 0

        arena.world.dispatcher.freeze()
        await arena.pass_time(1200)
        assert arena.world.dispatcher.counts.completed == before
        assert arena.world.depth() > depth + 90
        shown = await arena.call("GET", "targets/chat", status=200)
        assert "(not_capacity_bound)" in shown["now"]["sentence"]
        assert "nothing is completed" in shown["now"]["sentence"]
        assert shown["now"]["measured"]["completions_per_s"].startswith("0, fresh")
        frozen_at = arena.capacity()
        unkept = await told(arena, "promise_unkept")
        assert (unkept[-1].severity, unkept[-1].facts["rule"]) == ("warning", "not_capacity_bound")
        assert {notice.severity for notice in unkept} == {"warning"}, "nothing was over in between"
        await arena.pass_time(300)
        assert arena.capacity() == frozen_at < 12

        arena.world.dispatcher.thaw()
        await arena.pass_time(1200)
        assert arena.world.dispatcher.counts.completed > before + 100
        assert arena.world.depth() < depth + 90
        assert "not_capacity_bound" not in (await arena.call("GET", "targets/chat"))["now"]["sentence"]
        over = (await told(arena, "promise_unkept"))[-1]
        assert (over.severity, over.facts["rule"]) == ("info", "not_capacity_bound")
