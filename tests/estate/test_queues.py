"""Queue depth: countDetails and nothing else, within a budget."""

from datetime import timedelta
from typing import Any

import pytest

from local.cloud.faults import Fault
from local.cloud.queues import FixedQueues, QueueCounts
from local.cloud.throttling import BucketSizes
from shared.domain import Missing, QueueId
from shared.estate.arm import ArmError
from shared.estate.queues import PARALLEL_READS, QueueReader
from tests.estate.azure import IMAGES, NAMESPACE, SUBSCRIPTION, TEXTS, Azure, running_azure


def reader(azure: Azure, **options: Any) -> QueueReader:
    return QueueReader(azure.arm, azure.now, **options)


def lists(azure: Azure) -> int:
    return azure.count("GET", "/queues")


def reads(azure: Azure) -> list[str]:
    paths = [r.path for r in azure.cloud.requests if "/queues/" in r.path]
    return [path.rsplit("/", 1)[1] for path in paths]


async def active(reader: QueueReader, *queues: QueueId) -> dict[str, int | str]:
    outcomes = await reader.sweep(queues, ())
    return {key: o.reason if isinstance(o, Missing) else o.active for key, o in outcomes.items()}


async def test_depth_is_the_active_messages_and_never_all_of_them(azure: Azure) -> None:
    azure.counts("images", active=3, locked=2, dead_letter=7, scheduled=11)
    counts = await reader(azure).read(IMAGES)
    assert (counts.active, counts.dead_letter, counts.scheduled) == (5, 7, 11)
    assert counts.read_at == azure.now()
    assert counts.region == "northeurope"


@pytest.mark.parametrize(
    "details", [None, {}, {"activeMessageCount": 4}, {"activeMessageCount": "4"}], ids=["none", "empty", "part", "text"]
)
async def test_an_answer_without_counts_is_not_zero(azure: Azure, details: Any) -> None:
    body = {"id": IMAGES.arm_id, "properties": {"messageCount": 9, "countDetails": details}}
    azure.cloud.faults.add(Fault(path="queues/images", status=200, body=body, times=2))
    with pytest.raises(ArmError, match="countDetails"):
        await reader(azure).read(IMAGES)
    outcome = (await reader(azure).sweep([IMAGES], ()))[IMAGES.key]
    assert isinstance(outcome, Missing)


async def test_a_list_that_carries_counts_serves_a_namespace_in_one_request() -> None:
    async with running_azure(assumptions={"servicebus.list_carries_counts": "yes"}) as azure:
        azure.counts("images", active=4)
        azure.counts("texts", active=6)
        depths = reader(azure)
        for _ in range(3):
            assert await active(depths, IMAGES, TEXTS) == {IMAGES.key: 4, TEXTS.key: 6}
        assert (lists(azure), reads(azure)) == (3, [])


async def test_a_list_without_counts_is_tried_once_in_the_life_of_the_process() -> None:
    async with running_azure(assumptions={"servicebus.list_carries_counts": "no"}) as azure:
        azure.counts("images", active=4)
        depths = reader(azure)
        for _ in range(3):
            assert await active(depths, IMAGES, TEXTS) == {IMAGES.key: 4, TEXTS.key: 0}
        assert (lists(azure), len(reads(azure))) == (1, 6)


async def test_one_queue_of_a_namespace_is_not_worth_a_list() -> None:
    async with running_azure(assumptions={"servicebus.list_carries_counts": "yes"}) as azure:
        await active(reader(azure), IMAGES)
        assert (lists(azure), reads(azure)) == (0, ["images"])


async def test_a_queue_that_is_not_there_hides_no_other(azure: Azure) -> None:
    azure.counts("images", active=4)
    lost = QueueId.parse(f"{NAMESPACE}/queues/lost")
    outcomes = await active(reader(azure), IMAGES, lost)
    assert outcomes[IMAGES.key] == 4
    assert "404" in str(outcomes[lost.key])


async def test_a_failing_list_is_the_reason_of_its_own_queues(azure: Azure) -> None:
    azure.cloud.faults.add(Fault(path="/queues$", status=403, times=9))
    outcomes = await active(reader(azure), IMAGES, TEXTS)
    assert all("403" in str(reason) for reason in outcomes.values())


def wide_estate(queues: list[str]) -> dict[str, Any]:
    namespace = {"name": "intake", "group": "rg-ml", "region": "westeurope", "queues": queues}
    return {"subscriptions": [{"id": SUBSCRIPTION, "namespaces": [namespace]}]}


async def sweeps(azure: Azure, depths: QueueReader, names: list[str], moving: set[str], number: int) -> list[list[str]]:
    """Which queues were read singly in each of `number` sweeps, a minute apart."""
    ids = [QueueId.parse(f"{NAMESPACE}/queues/{name}") for name in names]
    read_in = []
    for _ in range(number):
        before = len(reads(azure))
        await depths.sweep(ids, {queue.key for queue in ids if queue.queue in moving})
        read_in.append(reads(azure)[before:])
        await azure.minutes(1)
    return read_in


async def test_the_budget_goes_first_to_what_may_have_changed() -> None:
    names = [f"q{number:02}" for number in range(30)]
    async with running_azure(wide_estate(names)) as azure:
        queues = FixedQueues("intake", names)
        azure.cloud.attach_queues(queues)
        queues.set("q07", QueueCounts(active=5))
        read_in = await sweeps(azure, reader(azure, reads_per_sweep=10), names, {"q11"}, 12)
    assert all("q11" in read for read in read_in), "its metrics moved"
    assert all("q07" in read for read in read_in[3:]), "it held messages"
    assert [len(read) for read in read_in] == [9] + 11 * [10], "the first sweep spent one on a list"


async def test_a_busy_estate_starves_no_quiet_queue() -> None:
    names = [f"q{number:02}" for number in range(30)]
    async with running_azure(wide_estate(names)) as azure:
        azure.cloud.attach_queues(FixedQueues("intake", names))
        depths = reader(azure, reads_per_sweep=10)
        read_in = await sweeps(azure, depths, names, set(names[:29]), 12)
    assert any("q29" in read for read in read_in[:6])
    assert any("q29" in read for read in read_in[6:])


async def test_what_the_budget_did_not_reach_says_so() -> None:
    names = ["a", "b", "c"]
    async with running_azure(wide_estate(names)) as azure:
        azure.cloud.attach_queues(FixedQueues("intake", names))
        ids = [QueueId.parse(f"{NAMESPACE}/queues/{name}") for name in names]
        outcomes = await reader(azure, reads_per_sweep=2).sweep(ids, ())
    missing = [outcome.reason for outcome in outcomes.values() if isinstance(outcome, Missing)]
    assert len(missing) == 2
    assert all("not read yet" in reason for reason in missing)


async def test_a_throttled_subscription_is_left_alone_as_long_as_azure_asks() -> None:
    names = [f"q{number:02}" for number in range(60)]
    async with running_azure(wide_estate(names), buckets=BucketSizes(reads=10, reads_per_s=0.05)) as azure:
        azure.cloud.attach_queues(FixedQueues("intake", names))
        ids = [QueueId.parse(f"{NAMESPACE}/queues/{name}") for name in names]
        depths = reader(azure)
        outcomes = await depths.sweep(ids, ())
        asked = len(reads(azure)) + lists(azure)
        assert asked <= 10 + PARALLEL_READS, "those that were on their way"
        reasons = [outcome.reason for outcome in outcomes.values() if isinstance(outcome, Missing)]
        assert len(reasons) == 60 - 9
        assert all("Azure throttles reads until" in reason for reason in reasons)
        await depths.sweep(ids, ())
        assert len(reads(azure)) + lists(azure) == asked
        await azure.minutes(1)
        await depths.sweep(ids, ())
        assert len(reads(azure)) + lists(azure) > asked


async def test_a_throttled_list_is_left_alone_too() -> None:
    async with running_azure() as azure:
        azure.cloud.faults.add(Fault(path="/queues$", status=429, headers={"Retry-After": "30"}, times=9))
        depths = reader(azure)
        for _ in range(3):
            outcomes = await depths.sweep([IMAGES, TEXTS], ())
        assert all(isinstance(outcome, Missing) for outcome in outcomes.values())
        assert (lists(azure), reads(azure)) == (1, [])


async def test_an_unread_queue_keeps_its_last_counts_with_their_age() -> None:
    names = ["a", "b"]
    async with running_azure(wide_estate(names)) as azure:
        queues = FixedQueues("intake", names)
        azure.cloud.attach_queues(queues)
        ids = [QueueId.parse(f"{NAMESPACE}/queues/{name}") for name in names]
        depths = reader(azure, reads_per_sweep=1)
        await depths.sweep([ids[0]], ())
        first = azure.now()
        await azure.minutes(2)
        outcomes = await depths.sweep(ids, ())
    outcome = outcomes[ids[0].key]
    assert not isinstance(outcome, Missing)
    assert outcome.read_at == first


async def test_counts_that_are_recent_enough_cost_no_read_and_what_is_left_out_is_not_called_unreadable() -> None:
    names = ["a", "b", "c"]
    async with running_azure(wide_estate(names)) as azure:
        azure.cloud.attach_queues(FixedQueues("intake", names))
        ids = [QueueId.parse(f"{NAMESPACE}/queues/{name}") for name in names]
        depths = reader(azure, reads_per_sweep=1)
        within = timedelta(minutes=1)
        await depths.sweep([ids[0]], ())
        before = len(reads(azure)) + lists(azure)
        assert list(await depths.counts([ids[0]], within)) == [ids[0].key]
        assert len(reads(azure)) + lists(azure) == before
        assert list(await depths.counts(ids, within)) == [ids[0].key], "the one read went to the namespace's list"
        assert list(await depths.counts(ids, within)) == [ids[0].key, ids[1].key]
        azure.cloud.faults.add(Fault(path="/queues/c$", status=403, times=9))
        known = await depths.counts(ids, within)
        assert list(known) == [one.key for one in ids]
        assert isinstance(known[ids[2].key], Missing)
        await azure.minutes(2)
        assert isinstance((await depths.counts(ids[2:], within))[ids[2].key], Missing)
