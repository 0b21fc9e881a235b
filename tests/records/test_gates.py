"""What the gates remember: exemptions, places in budgets taken once, breakers changed by compare and swap."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from threading import Thread
from typing import Any

import pytest

from shared.domain import Place
from shared.records import CorruptRow, InvalidQuestion, SchemaTooNew, Tables, open_tables
from shared.records.breakers import KEPT, Breaker, Mark
from shared.records.changes_made import Change
from shared.records.exemptions import Exemption
from shared.records.gates import TABLE, GateStore
from shared.records.rows import Entity
from tests.records.builders import NOW
from tests.records.lossy_proxy import LossyProxy

OCR = Place(loop="scaling", target="ocr", project="invoices", workspace_id="/subscriptions/s/workspaces/Paper")


@pytest.fixture
def gates(tables: Tables) -> GateStore:
    return GateStore(tables)


@pytest.fixture
async def another(azurite: str, prefix: str) -> AsyncIterator[GateStore]:
    """The same tables, through the client of another process."""
    async with open_tables({"AzureWebJobsStorage": azurite}, prefix=prefix) as opened:
        yield GateStore(opened)


def exemption(**changes: Any) -> Exemption:
    fields: dict[str, Any] = {
        "scope": "project:invoices",
        "acts": "all",
        "reason": "year-end closing",
        "owner": "finance@example.com",
        "by": "ada",
        "at": NOW,
        "expires_at": NOW + timedelta(days=2),
    }
    return Exemption(**fields | changes)


def change(number: int, **changes: Any) -> Change:
    fields: dict[str, Any] = {"key": f"k{number}", "at": NOW, "target": f"t{number}", "project": "p", "workspace": "/w"}
    return Change(**fields | changes)


def at_most(limit: int) -> Callable[[Sequence[Change]], str | None]:
    def refuse(made: Sequence[Change]) -> str | None:
        return None if len(made) < limit else f"{len(made)} are enough"

    return refuse


async def test_nothing_is_remembered_at_first(gates: GateStore) -> None:
    found = await gates.load()
    assert (found.exemptions.stored, found.made, found.breakers) == ((), {}, {})


# ---- exemptions


async def test_an_exemption_covers_its_scope_and_acts_until_it_runs_out(gates: GateStore) -> None:
    await gates.exemptions.put(exemption())
    await gates.exemptions.put(exemption(scope="target:chat", acts="shrink"))
    found = (await gates.load()).exemptions
    assert found.covering(OCR, "growth", NOW) == exemption()
    assert found.covering(OCR, "growth", NOW + timedelta(days=2)) is None
    chat = Place(loop="scaling", target="chat")
    assert found.covering(chat, "growth", NOW) is None
    assert found.covering(chat, "shrink", NOW) is not None
    assert len(found.expired(NOW + timedelta(days=2))) == 2


async def test_a_new_one_takes_the_place_of_the_same_scope_and_acts(gates: GateStore) -> None:
    await gates.exemptions.put(exemption(scope="workspace:PAPER"))
    await gates.exemptions.put(exemption(scope="workspace:paper", reason="longer", expires_at=NOW + timedelta(days=5)))
    (kept,) = (await gates.load()).exemptions.stored
    assert kept.reason == "longer"
    assert (await gates.exemptions.clear("workspace:Paper", "all")) == kept
    assert (await gates.exemptions.clear("workspace:Paper", "all")) is None
    with pytest.raises(InvalidQuestion):
        await gates.exemptions.clear("everything", "all")


async def test_only_the_one_that_was_announced_is_forgotten(gates: GateStore) -> None:
    renewed = exemption(expires_at=NOW + timedelta(days=9))
    await gates.exemptions.put(renewed)
    await gates.exemptions.forget(exemption())
    assert (await gates.load()).exemptions.stored == (renewed,)
    await gates.exemptions.forget(renewed)
    assert (await gates.load()).exemptions.stored == ()


def test_an_id_names_one_exemption() -> None:
    assert exemption().id == exemption(by="bob", at=NOW - timedelta(days=1)).id
    others = [exemption(reason="x"), exemption(owner="x@y.z"), exemption(acts="shrink"), exemption(scope="all")]
    assert len({one.id for one in (exemption(), *others)}) == 5
    assert exemption().id.startswith("20260107T")


# ---- places in a budget


async def test_a_repetition_counts_once_and_is_never_refused(gates: GateStore) -> None:
    assert await gates.budgets.take("reductions", change(1), at_most(1)) is None
    assert await gates.budgets.take("reductions", change(1), at_most(1)) is None
    assert await gates.budgets.take("reductions", change(2), at_most(1)) == "1 are enough"
    assert await gates.budgets.take("growths", change(2), at_most(1)) is None, "a budget of its own"
    assert [one.key for one in (await gates.load()).made["reductions"].changes] == ["k1"]


async def test_what_is_given_back_is_free_again(gates: GateStore) -> None:
    await gates.budgets.take("reductions", change(1), at_most(1))
    await gates.budgets.give_back("reductions", "k1")
    await gates.budgets.give_back("reductions", "never there")
    assert await gates.budgets.take("reductions", change(2), at_most(1)) is None


async def test_places_are_free_after_an_hour(gates: GateStore) -> None:
    await gates.budgets.take("reductions", change(1), at_most(1))
    almost = change(2, at=NOW + timedelta(minutes=59, seconds=59))
    assert await gates.budgets.take("reductions", almost, at_most(1)) is not None
    assert await gates.budgets.take("reductions", change(2, at=NOW + timedelta(hours=1)), at_most(1)) is None
    assert [one.key for one in (await gates.load()).made["reductions"].changes] == ["k2"], "old ones are not kept"


async def test_of_two_processes_that_race_for_the_last_place_one_gets_it(gates: GateStore, another: GateStore) -> None:
    for round_ in range(8):
        rivals = [change(10 * round_ + n, at=NOW + timedelta(hours=2 * round_)) for n in range(6)]
        stores = [gates, another] * 3
        asked = zip(stores, rivals, strict=True)
        answers = await asyncio.gather(*(store.budgets.take("reductions", one, at_most(1)) for store, one in asked))
        assert [answer is None for answer in answers].count(True) == 1


async def test_who_read_before_another_wrote_finds_the_place_taken(azurite: str, prefix: str, gates: GateStore) -> None:
    """The other takes the last place after we have read that it is free and before we write."""
    answers: list[str | None] = []

    async def other_process() -> None:
        async with open_tables({"AzureWebJobsStorage": azurite}, prefix=prefix) as opened:
            answers.append(await GateStore(opened).budgets.take("reductions", change(2), at_most(1)))

    def refuse(made: Sequence[Change]) -> str | None:
        if not answers:
            assert made == ()
            other = Thread(target=asyncio.run, args=(other_process(),))
            other.start()
            other.join()
        return at_most(1)(made)

    answers_of_ours = await gates.budgets.take("reductions", change(1), refuse)
    assert (answers, answers_of_ours) == ([None], "1 are enough")
    assert [one.key for one in (await gates.load()).made["reductions"].changes] == ["k2"]


async def test_many_at_once_are_all_counted(gates: GateStore, another: GateStore) -> None:
    taken = [(gates, another)[n % 2].budgets.take("growths", change(n), at_most(30)) for n in range(24)]
    assert await asyncio.gather(*taken) == [None] * 24
    assert len((await gates.load()).made["growths"].changes) == 24


async def test_a_place_whose_answer_was_lost_is_counted_once(proxy: LossyProxy, prefix: str, gates: GateStore) -> None:
    async with open_tables({"AzureWebJobsStorage": proxy.connection_string}, prefix=prefix) as lossy:
        store = GateStore(lossy)
        await store.budgets.take("growths", change(1), at_most(9))
        proxy.losing = 1
        await store.budgets.take("growths", change(2), at_most(9))
    assert [one.key for one in (await gates.load()).made["growths"].changes] == ["k1", "k2"]


# ---- breakers, and rows that cannot be read


async def test_a_breaker_is_changed_by_what_it_was(gates: GateStore, another: GateStore) -> None:
    def opened(old: Breaker | None) -> Breaker:
        return Breaker(scope="all", why=f"{old.why if old else ''}x")

    await asyncio.gather(*(store.breakers.change("all", opened) for store in [gates, another] * 4))
    assert (await gates.load()).breakers["all"].why == "x" * 8
    assert await gates.breakers.change("all", lambda _: None) is None
    assert (await gates.load()).breakers == {}


async def test_a_row_that_cannot_be_read_is_an_error(tables: Tables, gates: GateStore) -> None:
    broken = Entity(partition="exemption", row="all,all", columns={"schema": 1, "value": "{}"})
    etag = await tables.table(TABLE).insert(broken)
    with pytest.raises(CorruptRow, match="exemption all,all in WatchkeeperGates"):
        await gates.load()
    await tables.table(TABLE).delete(broken.partition, broken.row, etag)
    await tables.table(TABLE).insert(Entity(partition="lease", row="x", columns={"schema": 1, "value": "{}"}))
    with pytest.raises(SchemaTooNew, match="unknown kind"):
        await gates.load()


def opened_breaker(scope: str) -> Breaker:
    return Breaker(scope=scope, opened_at=NOW, cause="failures", why="three failed")


async def put_closed(gates: GateStore, scope: str, at: datetime) -> None:
    await gates.breakers.change(scope, lambda _: Breaker(scope=scope, changes=(Mark(key="k", at=at, act="growth"),)))


async def test_an_act_reads_the_breakers_that_stop_and_no_others(gates: GateStore) -> None:
    """Every target that was ever changed has a closed one: an act must not cost more the more there are."""
    for number in range(3):
        await put_closed(gates, f"target:t{number}", NOW)
    await gates.breakers.change("project:p", lambda _: opened_breaker("project:p"))
    await gates.exemptions.put(exemption())
    await gates.budgets.take("growths", change(1), at_most(5))
    found = await gates.load_for_acts()
    assert (set(found.breakers), len(found.exemptions.stored), set(found.made)) == ({"project:p"}, 1, {"growths"})
    await gates.breakers.change("project:p", lambda old: old and replace(old, opened_at=None))
    assert (await gates.load_for_acts()).breakers == {}
    assert len((await gates.load()).breakers) == 4


async def test_closed_breakers_are_forgotten_once_nothing_counts(gates: GateStore) -> None:
    await put_closed(gates, "target:old", NOW)
    await put_closed(gates, "target:new", NOW + timedelta(days=2))
    await gates.breakers.change("all", lambda _: opened_breaker("all"))
    assert await gates.breakers.prune(NOW + KEPT - timedelta(seconds=1)) == 0
    assert await gates.breakers.prune(NOW + KEPT + timedelta(days=1)) == 1
    assert set((await gates.load()).breakers) == {"target:new", "all"}
