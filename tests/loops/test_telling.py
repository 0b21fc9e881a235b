"""What two looks at once see is told once: over the real ledger and outbox."""

from datetime import timedelta

import pytest

from shared.domain import TargetRecord
from shared.loops.telling import OVER_AFTER, Telling
from shared.people.door import Door
from shared.records import Ledger, Outbox, StateStore, Tables
from tests.safety.builders import NOW, plan, policy


class Sight:
    """Two processes that look a few seconds apart, the second before the first has remembered."""

    def __init__(self, tables: Tables) -> None:
        self.state, self.ledger, self.outbox = StateStore(tables), Ledger(tables), Outbox(tables)
        (self.target,) = policy().targets
        self.id = self.target.deployment_id

    async def both(self, rule: str, minutes: float = 0, alarms: tuple[str, ...] = (), slower: str = "") -> None:
        """The first remembers, the second (that saw `slower`, if given) loses the swap: it has told only."""
        loaded = await self.state.load(self.id.endpoint_key, NOW)
        row = loaded.targets.get(self.id.key)
        records = []
        for late_s, seen in ((0, rule), (7, slower or rule)):
            now = NOW + timedelta(minutes=minutes, seconds=late_s)
            telling = Telling(Door(self.ledger, self.outbox), self.target, "scaling", now)
            record = await telling.of_rule(row.value if row else TargetRecord(), seen, f"Because of {seen}.")
            records.append(await telling.of_alarms(record, plan(rule=seen, alarms=alarms)))
        await self.state.put_target(self.id.endpoint_key, self.id.key, records[0], row.etag if row else None)

    async def told(self) -> list[tuple[str, str]]:
        page = await self.outbox.query(since=NOW - timedelta(days=1), until=NOW + timedelta(days=1), limit=100)
        notices = [posted.notice for posted in page.notices]
        entries = await self.ledger.query(NOW - timedelta(days=1), NOW + timedelta(days=1), kind="notice", limit=100)
        assert {one.id for one in notices} == {one.id for one in entries.entries}
        return sorted((one.kind, one.text) for one in notices)


async def test_a_promise_that_cannot_be_kept_its_end_and_its_coming_back(tables: Tables) -> None:
    sight = Sight(tables)
    first, second = ("promise_unkept", "Because of limited_by_max."), ("promise_unkept", "Because of limited_by_quota.")
    await sight.both("limited_by_max")
    await sight.both("limited_by_max", minutes=1)
    assert await sight.told() == [first]
    await sight.both("limited_by_quota", minutes=2)
    assert await sight.told() == [first, second]
    over = OVER_AFTER / timedelta(minutes=1)
    await sight.both("enough", minutes=3)
    await sight.both("enough", minutes=4 + over)
    ended = ("promise_unkept", "No longer limited_by_quota: Because of enough.")
    assert await sight.told() == [first, second, ended]
    await sight.both("limited_by_max", minutes=5 + over)
    assert await sight.told() == [first, first, second, ended]


async def test_what_a_look_told_and_could_not_remember_is_not_told_again(tables: Tables) -> None:
    """Azure throttled the read of the faster one: it remembers, and what it remembers is that nobody sees."""
    sight = Sight(tables)
    max_allows, quota_allows = "Because of limited_by_max.", "Because of limited_by_quota."
    await sight.both("depth_unknown", slower="limited_by_max")
    await sight.both("limited_by_max", minutes=1)
    assert await sight.told() == [("promise_unkept", max_allows)]
    await sight.both("depth_unknown", minutes=2, slower="limited_by_quota")
    await sight.both("limited_by_quota", minutes=3)
    assert await sight.told() == [("promise_unkept", max_allows), ("promise_unkept", quota_allows)]


@pytest.mark.parametrize("rule", ["depth_unknown", "capacity_unknown", "autoscale_unknown"])
async def test_what_could_not_be_read_is_news_once_it_lasts(tables: Tables, rule: str) -> None:
    sight = Sight(tables)
    await sight.both(rule)
    await sight.both(rule, minutes=0.5)
    assert await sight.told() == []
    await sight.both(rule, minutes=1)
    assert await sight.told() == [("loop_blind", f"Because of {rule}.")]


async def test_a_hold_below_a_floor_is_told_once_while_it_lasts_whatever_the_rule(tables: Tables) -> None:
    sight = Sight(tables)
    alarm = ("hold_below_floor", "Held at 2 below 3.")
    await sight.both("held", alarms=("Held at 2 below 3.",))
    await sight.both("paused", minutes=1, alarms=("Held at 2 below 3.",))
    assert await sight.told() == [alarm]
    await sight.both("enough", minutes=2)
    await sight.both("held", minutes=3, alarms=("Held at 2 below 3.",))
    assert await sight.told() == [alarm, alarm]
