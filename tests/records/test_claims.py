"""Claims in a real table: one taker for each signal, whoever comes when, and what is old goes."""

import asyncio
import uuid
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.domain import Signal
from shared.records import AnswerLost, Tables, open_tables
from shared.records.claims import CLAIM, KEPT, LEASE, Claim, Claims, new_claim, signal_key
from shared.records.origin import Origin
from tests.records.builders import ENDPOINT, NOW
from tests.records.lossy_proxy import LossyProxy

QUEUE = Origin(trigger="service_bus", queue="signals", message="m-1", attempts=2)
WRITTEN = (
    '{"at":"2026-01-05T12:30:00Z","done_at":null,"endpoint_key":"/e","entry":"20260105T-signal-1","leased_until":'
    '"2026-01-05T12:32:00Z","origin":{"attempts":2,"message":"m-1","queue":"signals","trigger":"service_bus"},"owner":'
    '"a","schema":1,"signal":{"at":"2026-01-05T12:30:00Z","fields":{"entity":"work"},"id":"e-1","kind":'
    '"resource.written","source":"/subscriptions/s","subjects":["/e"]},"takes":1}'
)


def signal(number: int | str = 1, **changes: Any) -> Signal:
    fields: dict[str, Any] = {
        "id": f"e-{number}",
        "source": "/subscriptions/s",
        "kind": "resource.written",
        "at": NOW,
        "subjects": (ENDPOINT,),
    }
    return Signal(**fields | changes)


def claim(of: Signal | None = None, owner: str = "a", now: Any = NOW) -> Claim:
    return new_claim(of or signal(), QUEUE, ENDPOINT, owner, now)


@pytest.fixture
def claims(tables: Tables) -> Claims:
    return Claims(tables)


def test_a_claim_of_the_first_version_is_read() -> None:
    """Whoever changes `Claim` (or `Signal` in it) so that this fails raises its version and adds the upgrade."""
    assert CLAIM.encode(CLAIM.decode(WRITTEN)) == WRITTEN


def test_source_and_id_are_the_signal_and_nothing_else_is() -> None:
    same = signal(kind="another", at=NOW + timedelta(days=1), subjects=(), source="/SUBSCRIPTIONS/S")
    assert signal_key(same) == signal_key(signal())
    others = [signal(2), signal(source="/subscriptions/t"), signal(id="E-1"), signal(source="azure", id="-monitor")]
    assert len({signal_key(each) for each in (signal(), *others, signal(source="azure-", id="monitor"))}) == 6


async def test_of_many_who_come_at_once_one_takes_it(azurite: str, prefix: str) -> None:
    async with (
        open_tables({"AzureWebJobsStorage": azurite}, prefix=prefix) as one,
        open_tables({"AzureWebJobsStorage": azurite}, prefix=prefix) as other,
    ):
        stores = [Claims(one), Claims(other)]
        takings = await asyncio.gather(*(stores[n % 2].take(claim(owner=f"p{n}"), NOW) for n in range(12)))
    assert sorted(taking for taking, _ in takings) == ["busy"] * 11 + ["mine"]


async def test_what_is_done_stays_done_across_midnight_and_for_a_day(claims: Claims) -> None:
    late = NOW.replace(hour=23, minute=59, second=59)
    _, row = await claims.take(claim(now=late), late)
    await claims.finish(row, late)
    for later in (timedelta(seconds=2), timedelta(hours=23), KEPT):
        now = late + later
        assert await claims.purge(now) == 0
        taking, found = await claims.take(claim(owner="b", now=now), now)
        assert taking == "done"
        assert found.value.entry == row.value.entry
    assert await claims.purge(late + KEPT + timedelta(seconds=1)) == 1
    assert (await claims.take(claim(owner="b"), NOW))[0] == "mine"


async def test_a_claim_whose_owner_died_is_taken_over_after_its_lease_in_its_old_place(claims: Claims) -> None:
    before_midnight = NOW.replace(hour=23, minute=59)
    _, first = await claims.take(claim(now=before_midnight), before_midnight)
    soon, later = before_midnight + LEASE - timedelta(seconds=1), before_midnight + LEASE
    assert (await claims.take(claim(owner="b", now=soon), soon))[0] == "busy"
    takings = await asyncio.gather(*(claims.take(claim(owner=owner, now=later), later) for owner in "bcd"))
    assert sorted(taking for taking, _ in takings) == ["busy", "busy", "mine"]
    (taken,) = (row for taking, row in takings if taking == "mine")
    assert (taken.value.entry, taken.value.at, taken.value.takes) == (first.value.entry, before_midnight, 2)
    await claims.finish(first, later)  # the first owner lives after all: too late
    assert (await claims.take(claim(owner="e"), later))[0] == "busy"
    await claims.finish(taken, later)
    assert (await claims.take(claim(owner="e"), later))[0] == "done"


async def test_who_failed_takes_its_own_claim_again_at_once(claims: Claims) -> None:
    await claims.take(claim(), NOW)
    assert (await claims.take(claim(), NOW))[0] == "mine"


@pytest.mark.parametrize("arriving", [True, False])
async def test_a_claim_whose_answer_was_lost_is_ours_or_taken_again(
    proxy: LossyProxy, prefix: str, arriving: bool
) -> None:
    async with open_tables({"AzureWebJobsStorage": proxy.connection_string}, prefix=prefix) as opened:
        claims = Claims(opened)
        await claims.take(claim(signal(0)), NOW)
        proxy.losing, proxy.arriving = 1, arriving
        if arriving:
            assert (await claims.take(claim(), NOW))[0] == "mine"
        else:
            with pytest.raises(AnswerLost):  # so the signal is delivered again
                await claims.take(claim(), NOW)
            assert (await claims.take(claim(), NOW))[0] == "mine"
        assert (await claims.take(claim(owner="b"), NOW))[0] == "busy"


async def test_what_was_left_is_found_and_what_is_not_done_is_never_purged(claims: Claims) -> None:
    rows = [(await claims.take(claim(signal(n)), NOW))[1] for n in range(3)]
    await claims.finish(rows[0], NOW)
    later = NOW + LEASE + timedelta(seconds=1)
    assert [row async for row in claims.left(NOW)] == []
    assert {row.value.signal.id async for row in claims.left(later)} == {"e-1", "e-2"}
    assert await claims.purge(NOW + 10 * KEPT) == 1
    assert {row.value.signal.id async for row in claims.left(later)} == {"e-1", "e-2"}


async def test_more_than_a_transaction_holds_is_purged(claims: Claims) -> None:
    async def done(number: int) -> None:
        _, row = await claims.take(claim(signal(number)), NOW)
        await claims.finish(row, NOW)

    await asyncio.gather(*(done(number) for number in range(230)))
    assert await claims.purge(NOW + 2 * KEPT) == 230
    assert await claims.purge(NOW + 2 * KEPT) == 0


STEPS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(("take", "finish", "die", "wait"))), min_size=1, max_size=14
)


@given(steps=STEPS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_whatever_happens_in_whatever_order_it_is_done_once(tables: Tables, steps: list[tuple[str, str]]) -> None:
    """Three processes (a life is a process) take, finish, die and let time pass: never two who may act under a lease,
    and once it is done nobody may.
    """
    claims, one, now = Claims(tables), signal(uuid.uuid4().hex), NOW
    lives = dict.fromkeys("abc", 0)
    holding: dict[str, Any] = {}
    done = False
    for who, what in steps:
        owner = f"{who}{lives[who]}"
        if what == "wait":
            now += LEASE / 2
        elif what == "die":
            lives[who] += 1
            holding.pop(owner, None)
        elif what == "take":
            taking, row = await claims.take(claim(one, owner, now), now)
            assert (taking == "done") == done
            if taking == "mine":
                assert all(now >= other.value.leased_until for name, other in holding.items() if name != owner)
                holding[owner] = row
        elif owner in holding:
            row = holding.pop(owner)
            await claims.finish(row, now)
            done = done or (await claims.take(claim(one, owner, now), now))[0] == "done"
