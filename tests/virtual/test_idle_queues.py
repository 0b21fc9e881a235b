"""An idle queue's instances are given back, however Azure shows that nothing happens."""

from dataclasses import replace

import pytest

from shared.assumptions import BY_NAME
from shared.estate.queues import QueueReader
from tests.virtual.arena import QUICK, policy_text
from tests.virtual.conftest import VIRTUAL, OpenArena

pytestmark = VIRTUAL

LOOK_BACK_S = 360
HOLD_S = 120


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (name, value)
        for name in (
            "monitor.idle_totals",
            "monitor.idle_queue_series",
            "monitor.capacity_states",
            "monitor.capacity_counts",
            "monitor.delay_s",
        )
        for value in BY_NAME[name].values
    ],
)
async def test_instances_of_an_idle_queue_are_given_back(open_arena: OpenArena, name: str, value: str) -> None:
    growing = policy_text(min=3, scale_in_hold_s=HOLD_S, scale_in_cooldown_s=0, respect_manual_s=0)
    async with open_arena(shape=QUICK, policy=growing, assumptions={name: value}) as arena:
        await arena.pass_time(150)
        assert arena.capacity() == 3
        arena.set_policy(growing.replace("min: 3", "min: 1"))
        await arena.pass_time(LOOK_BACK_S + HOLD_S + 60)
        assert arena.capacity() == 1
        assert (await arena.decisions())[-1].rule == "less_suffices"
        assert [outcome.code for outcome in await arena.outcomes()] == ["verified", "verified"]


@pytest.mark.parametrize(("series", "left"), [("zero", 1), ("absent", 3)])
async def test_a_queue_that_no_sweep_could_read_shrinks_only_if_azure_monitor_says_that_it_is_empty(
    open_arena: OpenArena, monkeypatch: pytest.MonkeyPatch, series: str, left: int
) -> None:
    monkeypatch.setattr(QueueReader.__init__, "__defaults__", (0,))
    policy = policy_text(scale_in_hold_s=HOLD_S, scale_in_cooldown_s=0)
    switches = {"monitor.idle_queue_series": series}
    async with open_arena(shape=replace(QUICK, capacity=3), policy=policy, assumptions=switches) as arena:
        await arena.pass_time(LOOK_BACK_S + HOLD_S + 60)
        assert arena.capacity() == left
        told = ["", *(notice.summary for notice in await arena.entries("notice"))]
        assert ("queue depth could not be read: not read yet" in told[-1]) == (series == "absent"), told
