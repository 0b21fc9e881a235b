"""The outbox: a notice is kept once until it has been told; what waits is found; old ones go."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.domain import ChannelState, Delivery, Notice
from shared.records import Conflict, InvalidQuestion, Outbox
from shared.records.outbox import KEPT_DAYS
from tests.records.builders import NOW

DAY = timedelta(days=1)


def notice(number: int = 1, **changes: Any) -> Notice:
    at = changes.get("at", NOW + timedelta(seconds=number))
    fields: dict[str, Any] = {
        "id": f"{at:%Y%m%d}T{number:06}-manual-change-chat",
        "kind": "manual_change",
        "severity": "warning",
        "at": at,
        "subject": "Somebody changed chat",
        "text": "Capacity went from 2 to 5.",
        "target": "chat",
    }
    return Notice(**fields | changes)


def delivery(told: Notice, **changes: Any) -> Delivery:
    fields: dict[str, Any] = {
        "notice": told.id,
        "channel": "oncall",
        "created_at": told.at,
        "gives_up_at": told.at + DAY,
        "next_at": told.at,
    }
    return Delivery(**fields | changes)


async def test_a_notice_is_kept_once_whoever_repeats_it(outbox: Outbox) -> None:
    told = notice()
    results = await asyncio.gather(*(outbox.put(told) for _ in range(5)))
    assert sorted(results) == [False, False, False, False, True]
    assert not await outbox.put(replace(told, text="in other words"))
    row = await outbox.get(told.id)
    assert row is not None
    assert (row.value.notice, row.value.state) == (told, "open")
    work = await outbox.work()
    assert (work.open, work.waiting) == ((told.id,), {})


@pytest.mark.parametrize("bad", ["manual-change", "20260102T1-x", "20260106T1-x", "20260105T", "20260105Ta b"])
async def test_an_id_that_is_not_of_its_day_is_refused(outbox: Outbox, bad: str) -> None:
    with pytest.raises(InvalidQuestion, match="20260105T"):
        await outbox.put(notice(id=bad))


async def test_deliveries_wait_until_they_are_over(outbox: Outbox) -> None:
    told = notice()
    await outbox.put(told)
    one, other = delivery(told), delivery(told, channel="mail", recipient="ada@example.com")
    await outbox.add_deliveries([one, other])
    with pytest.raises(Conflict):  # another process had the same idea
        await outbox.add_deliveries([one])
    assert (await outbox.work()).waiting == {"oncall": [(told.id, "")], "mail": [(told.id, "ada@example.com")]}

    row = await outbox.get_delivery(told.id, "oncall", "")
    assert row is not None
    sent = await outbox.put_delivery(row, replace(row.value, state="following", attempts=1))
    assert "oncall" in (await outbox.work()).waiting
    with pytest.raises(Conflict):
        await outbox.put_delivery(row, replace(row.value, state="failed"))
    await outbox.put_delivery(sent, replace(sent.value, state="delivered", receipt="4711", ended_at=NOW))
    assert list((await outbox.work()).waiting) == ["mail"]
    assert {row.value.channel: row.value.state for row in await outbox.deliveries(told.id)} == {
        "oncall": "delivered",
        "mail": "waiting",
    }


async def test_an_ended_notice_is_no_work_and_can_be_opened_again(outbox: Outbox) -> None:
    told = notice()
    await outbox.put(told, deliveries=[delivery(told, state="waiting")])
    (row,) = await outbox.deliveries(told.id)
    failed = await outbox.put_delivery(row, replace(row.value, state="failed", problem="404", ended_at=NOW))
    posted = await outbox.get(told.id)
    assert posted is not None
    ended = await outbox.end(posted, "failed", NOW)
    work = await outbox.work()
    assert (work.open, work.waiting) == ((), {})

    later = NOW + 2 * DAY
    await outbox.reopen(ended, [failed], later)
    work = await outbox.work()
    assert (work.open, work.waiting) == ((told.id,), {"oncall": [(told.id, "")]})
    (again,) = await outbox.deliveries(told.id)
    assert (again.value.state, again.value.next_at, again.value.gives_up_at) == ("waiting", later, later + DAY)


async def test_channels_are_compared_and_swapped(outbox: Outbox) -> None:
    assert await outbox.channel("oncall") is None
    first = await outbox.put_channel(None, ChannelState(name="oncall", sent=1))
    with pytest.raises(Conflict):
        await outbox.put_channel(None, ChannelState(name="oncall"))
    await outbox.put_channel(first, replace(first.value, sent=2))
    with pytest.raises(Conflict):
        await outbox.put_channel(first, replace(first.value, sent=3))
    assert await outbox.channels() == (ChannelState(name="oncall", sent=2),)


async def test_pages_newest_first_with_filters(outbox: Outbox) -> None:
    for number in range(5):
        await outbox.put(notice(number, at=NOW + number * DAY / 2))
    await outbox.put(notice(9, at=NOW, kind="unwatched", target=""))
    span: dict[str, Any] = {"since": NOW, "until": NOW + 4 * DAY}

    first = await outbox.query(**span, kind="manual_change", limit=3)
    assert [posted.notice.id[9:15] for posted in first.notices] == ["000004", "000003", "000002"]
    rest = await outbox.query(**span, kind="manual_change", limit=3, cursor=first.next_cursor)
    assert [posted.notice.id[9:15] for posted in rest.notices] == ["000001", "000000"]
    assert rest.next_cursor is None
    assert [p.notice.kind for p in (await outbox.query(**span, target="")).notices] == ["unwatched"]
    assert (await outbox.query(**span, state="failed")).notices == ()
    assert len((await outbox.query(since=NOW + DAY, until=NOW + 2 * DAY)).notices) == 2
    with pytest.raises(InvalidQuestion, match="cursor of the notices"):
        await outbox.query(**span, cursor="nonsense")


async def test_old_ones_go_but_for_those_that_are_still_open(outbox: Outbox) -> None:
    old, open_still, young = notice(1, at=NOW - 40 * DAY), notice(2, at=NOW - 40 * DAY), notice(3)
    for told in (old, open_still, young):
        await outbox.put(told, deliveries=[delivery(told)])
    for told in (old, young):
        posted = await outbox.get(told.id)
        assert posted is not None
        await outbox.end(posted, "delivered", NOW)
    assert KEPT_DAYS >= 7
    assert await outbox.prune(NOW) == 2
    kept = [(await outbox.get(told.id)) is not None for told in (old, open_still, young)]
    assert kept == [False, True, True]
