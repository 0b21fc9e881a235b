"""Others who change the same capacity: people, whose change is respected for a while, and Azure's own autoscale."""

from dataclasses import replace

import pytest

from tests.virtual.arena import QUICK, policy_text
from tests.virtual.conftest import VIRTUAL, OpenArena

pytestmark = VIRTUAL


async def test_a_person_s_change_is_left_alone_for_a_while_and_told_once(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3, respect_manual_s=600)) as arena:
        await arena.pass_time(120)
        assert arena.capacity() == 3
        await arena.person_sets(2)
        await arena.pass_time(570)
        assert arena.capacity() == 2
        (notice,) = await arena.entries("notice")
        assert "from 3 to 2 by a change that Watchkeeper did not make" in notice.summary
        assert [decision.to for decision in await arena.decisions()] == [3]
        shown = await arena.call("GET", "targets/chat", status=200)
        assert [intent["rule"] for intent in shown["standing_intents"]] == ["manual_change"]
        await arena.pass_time(210)
        assert arena.capacity() == 3
        assert [(one.current, one.to) for one in await arena.decisions()] == [(1, 3), (2, 3)]
        assert len(await arena.entries("notice")) == 1


async def test_a_person_who_puts_it_back_is_respected_too(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3, respect_manual_s=600)) as arena:
        await arena.pass_time(120)
        await arena.person_sets(2)
        await arena.pass_time(120)
        await arena.person_sets(3)
        await arena.pass_time(240)
        told = [notice.summary for notice in await arena.entries("notice")]
        assert [text.partition(" by ")[0] for text in told] == [
            "Capacity went from 3 to 2",
            "Capacity went from 2 to 3",
        ]
        assert len(arena.patches()) == 1


async def test_a_person_s_change_between_decision_and_act(open_arena: OpenArena) -> None:
    """The plan does not fit what is there any more: not sent, and the person's number stays."""
    async with open_arena(shape=QUICK, policy=policy_text(min=3, respect_manual_s=600)) as arena:
        arena.fault("PATCH", "deployments", 409, times=1)
        await arena.evaluate()
        await arena.person_sets(2)
        await arena.pass_time(240)
        assert len(arena.sent()) == 1
        assert arena.patches() == []
        assert arena.capacity() == 2
        (outcome,) = await arena.outcomes()
        assert outcome.kind in ("refused", "superseded")
        (notice,) = await arena.entries("notice")
        assert "from 1 to 2" in notice.summary


async def test_a_person_s_change_after_a_failure_of_ours(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3, respect_manual_s=600)) as arena:
        arena.fault("PATCH", "deployments", 400, times=1)
        await arena.evaluate()
        await arena.pass_time(35)
        await arena.person_sets(2)
        await arena.pass_time(300)
        assert arena.capacity() == 2
        assert len(arena.sent()) == 1
        (notice,) = await arena.entries("notice")
        assert "from 1 to 2" in notice.summary


@pytest.mark.parametrize("age_s", ["0", "30"])
@pytest.mark.parametrize("shown", ["old_capacity", "new_capacity"])
async def test_our_own_change_is_not_taken_for_a_person_s(open_arena: OpenArena, age_s: str, shown: str) -> None:
    """Resource Graph shows the old capacity for a while after our change has ended."""
    assumptions = {"graph.age_s": age_s, "deployment.get_during_update": shown}
    async with open_arena(shape=QUICK, policy=policy_text(min=3), assumptions=assumptions) as arena:
        await arena.pass_time(90)
        for _ in range(20):
            await arena.pass_time(5)
            await arena.call("POST", "evaluate", {"target": "all"}, status=202)
        assert await arena.entries("notice") == []
        assert [decision.to for decision in await arena.decisions()] == [3]
        assert len(arena.sent()) == 1


async def test_a_foreign_operation_is_waited_for(open_arena: OpenArena) -> None:
    """A person's update runs: nothing is sent into it; nobody's wish is lost."""
    async with open_arena(shape=QUICK, policy=policy_text(min=3, respect_manual_s=60)) as arena:
        await arena.pass_time(120)
        arena.next_operation(kind="never")
        await arena.person_sets(2)
        await arena.pass_time(600)
        assert len(arena.sent()) == 1
        shown = await arena.call("GET", "targets/chat", status=200)
        assert "Updating by an operation that is not ours" in shown["now"]["sentence"]


async def test_an_enabled_azure_autoscale_setting_is_not_fought(open_arena: OpenArena) -> None:
    shape = replace(QUICK, autoscale_enabled=True)
    async with open_arena(shape=shape, policy=policy_text(min=3)) as arena:
        await arena.pass_time(120)
        assert arena.sent() == []
        assert await arena.decisions() == []
        sentence = (await arena.call("GET", "targets/chat", status=200))["now"]["sentence"]
        assert "/autoscalesettings/by-cpu' is enabled" in sentence
        assert "Disable or delete it, or set this target's mode to off" in sentence


async def test_a_disabled_one_is_no_conflict(open_arena: OpenArena) -> None:
    shape = replace(QUICK, autoscale_enabled=False)
    async with open_arena(shape=shape, policy=policy_text(min=3)) as arena:
        await arena.evaluate()
        assert len(arena.patches()) == 1


async def test_one_that_was_enabled_since_the_last_look(open_arena: OpenArena) -> None:
    """The loop's copy of the settings is minutes old; the act reads them afresh."""
    shape = replace(QUICK, autoscale_enabled=False)
    async with open_arena(shape=shape, policy=policy_text()) as arena:
        await arena.pass_time(60)
        (setting,) = arena.world.cloud.estate.autoscale_settings()
        setting.body["properties"]["enabled"] = True
        arena.set_policy(policy_text(min=3))
        await arena.pass_time(60)
        assert arena.sent() == []
        (outcome,) = await arena.outcomes()
        assert (outcome.kind, outcome.code, outcome.observed) == ("refused", "azure_autoscale_present", 1)
        assert "by-cpu" in outcome.reason
        assert "Disable it" in outcome.reason
        await arena.pass_time(300)
        assert len(await arena.decisions()) <= 3
