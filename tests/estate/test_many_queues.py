"""More queues than a sweep may read: what moves is read, and of what does not Azure Monitor says that it is empty."""

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from local.cloud.faults import Fault
from local.cloud.queues import FixedQueues
from local.cloud.queues import QueueCounts as Broker
from local.cloud.throttling import ArmThrottle, BucketSizes
from shared.domain import DeploymentId, Fresh, Measurement, Missing, QueueId, ScalingSnapshot, aged
from shared.estate import queues as queues_module
from shared.estate.arm import Arm, ArmReply
from shared.estate.idle import depth_of
from shared.estate.metrics import LOOK_BACK, MostActive
from shared.estate.queues import QueueCounts, QueueReader
from shared.estate.reader import WatchSpec
from tests.estate.azure import BLUE, GROUP, NAMESPACE, SUBSCRIPTION, Azure, Ticking, running_azure, small_estate, spec

NAMES = [f"q{number}" for number in range(12)]
READS = 4
METRIC = "metric ActiveMessages"


@asynccontextmanager
async def crowded(
    monkeypatch: pytest.MonkeyPatch, series: str = "zero"
) -> AsyncIterator[tuple[Azure, FixedQueues, list[WatchSpec]]]:
    """Twelve queues, four reads a sweep, and a deployment for each; metrics of three minutes."""
    monkeypatch.setattr(queues_module.QueueReader.__init__, "__defaults__", (READS,))
    estate: dict[str, Any] = small_estate()
    subscription = estate["subscriptions"][0]
    subscription["namespaces"][0]["queues"] = NAMES
    [endpoint] = subscription["workspaces"][0]["endpoints"]
    endpoint["deployments"] += [endpoint["deployments"][0] | {"name": f"d{number}"} for number in range(12)]
    async with running_azure(estate, assumptions={"monitor.idle_queue_series": series}) as azure:
        queues = FixedQueues("intake", NAMES)
        azure.cloud.attach_queues(queues)
        await azure.minutes(3)
        specs = [
            spec(
                DeploymentId.parse(BLUE.arm_id.replace("/blue", f"/d{number}")),
                QueueId.parse(f"{NAMESPACE}/queues/{name}"),
            )
            for number, name in enumerate(NAMES)
        ]
        yield azure, queues, specs


def depths(snapshots: dict[str, ScalingSnapshot]) -> dict[str, Any]:
    """By queue's name its depth, as (value, source) or None if it is missing."""
    found = {}
    for number, name in enumerate(NAMES):
        measured = snapshots[BLUE.key.replace("/blue", f"/d{number}")].depth
        found[name] = (measured.value, measured.source) if isinstance(measured, Fresh) else None
    return found


async def test_the_first_sweep_knows_every_idle_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    async with crowded(monkeypatch) as (azure, _, specs):
        # Until a read has named the namespace's region, its metrics are looked for where the deployments are.
        await azure.reader.observe(specs)
        await azure.minutes(0.25)
        found = depths(await azure.reader.observe(specs))
        read = {r.path.rsplit("/", 1)[1] for r in azure.cloud.requests if "/queues/q" in r.path}
    assert len(read) == 2 * READS - 1, "one was the list's"
    assert all(depth is not None and depth[0] == 0 for depth in found.values())
    assert any(depth is not None and depth[1] == METRIC for depth in found.values())


async def test_what_azure_monitor_sees_messages_in_is_read_next_and_not_called_empty(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with crowded(monkeypatch) as (azure, queues, specs):
        for _ in range(4):  # every queue was read, and empty
            await azure.reader.observe(specs)
            await azure.minutes(0.25)
        queues.set("q0", Broker(active=5))
        read_after_s, waited_s = None, 0.0
        while read_after_s is None and waited_s < 300:
            found = depths(await azure.reader.observe(specs))
            if found["q0"] is not None and found["q0"][0] == 5:
                read_after_s = waited_s
            waited_s += 15
            await azure.minutes(0.25)
        assert read_after_s is not None
        for _ in range(12):
            found = depths(await azure.reader.observe(specs))
            assert found["q0"] == (5, queues_module.SOURCE)
            await azure.minutes(0.25)


async def test_a_queue_that_azure_monitor_does_not_mention_is_read_and_never_called_empty(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Half of the queues keep the reads busy; of the other half Azure Monitor says nothing."""
    async with crowded(monkeypatch, "absent") as (azure, queues, specs):
        for name in NAMES[:6]:
            queues.set(name, Broker(active=5))
        await azure.minutes(3)
        for number in range(24):
            found = depths(await azure.reader.observe(specs))
            for name, depth in found.items():
                assert depth in (None, (5 if name in NAMES[:6] else 0, queues_module.SOURCE)), "what a read said"
                assert depth is not None or number < 5
            await azure.minutes(0.25)


async def test_silence_about_a_queue_that_fills_does_not_make_its_last_read_any_newer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with crowded(monkeypatch, "absent") as (azure, queues, specs):
        for _ in range(4):
            await azure.reader.observe(specs)
            await azure.minutes(0.25)
        filled_at = azure.now()
        for name in NAMES:
            queues.set(name, Broker(active=5))
        for _ in range(20):
            snapshots = await azure.reader.observe(specs)
            for depth in (one.depth for one in snapshots.values()):
                assert isinstance(depth, Fresh)
                assert (depth.value == 5) == (depth.at >= filled_at)
            await azure.minutes(0.25)
        assert all(depth == (5, queues_module.SOURCE) for depth in depths(snapshots).values())


async def test_a_queue_that_cannot_be_read_is_missing_whatever_azure_monitor_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with crowded(monkeypatch) as (azure, _, specs):
        await azure.reader.observe(specs)
        azure.cloud.faults.add(Fault(path="/queues/q", status=403, times=99))
        await azure.minutes(2)
        snapshots = await azure.reader.observe(specs)
    refused = [one.depth for one in snapshots.values() if isinstance(one.depth, Missing) and "403" in one.depth.reason]
    assert len(refused) == READS


async def test_where_every_queue_is_read_azure_monitor_is_not_asked_for_depths(azure: Azure) -> None:
    await azure.minutes(3)
    await azure.reader.observe([spec()])
    before = azure.count("POST", "metrics:getBatch")
    await azure.reader.observe([spec()])
    assert azure.count("POST", "metrics:getBatch") - before == 2, "rates and instances"


class BucketArm:
    """Answers for queues out of memory, and no more often than Resource Manager's own bucket of a subscription."""

    def __init__(self, clock: Ticking, depths: dict[str, int]) -> None:
        self._clock, self._depths, self._throttle = clock, depths, ArmThrottle(BucketSizes())

    async def get(self, path: str, _version: str) -> ArmReply:
        self._throttle.admit(SUBSCRIPTION, "us", "GET", self._clock())
        counts = {"activeMessageCount": self._depths[path], "deadLetterMessageCount": 0, "scheduledMessageCount": 0}
        return ArmReply(status=200, body={"id": path, "location": "westeurope", "properties": {"countDetails": counts}})

    async def pages(self, _path: str, _version: str) -> AsyncIterator[dict[str, Any]]:
        self._throttle.admit(SUBSCRIPTION, "us", "GET", self._clock())
        yield {"value": [{"id": path, "properties": {}} for path in list(self._depths)[:1]]}


def estate_of_1500(busy_pct: int) -> tuple[list[QueueId], set[str]]:
    """A subscription's third of 4,500 targets' queues, on 33 namespaces, and the keys of those with messages."""
    ids = [
        QueueId.parse(f"{GROUP}/Microsoft.ServiceBus/namespaces/bus-{number % 33}/queues/q{number}")
        for number in range(1500)
    ]
    return ids, {queue.key for number, queue in enumerate(ids) if number % 100 < busy_pct}


class Sweeps:
    """Sweeps as the reader makes them, each 15 s, within the subscription's bucket; the others do as it does.

    Azure Monitor shows at 180 s after its end a minute in which only the busy queues held anything: the others as zero,
    or not at all.
    """

    def __init__(self, busy_pct: int, *, idle_series: str) -> None:
        self.ids, self.busy = estate_of_1500(busy_pct)
        self.clock = Ticking(datetime(2026, 1, 5, tzinfo=UTC))
        arm = BucketArm(self.clock, {queue.arm_id: 7 if queue.key in self.busy else 0 for queue in self.ids})
        self.reader = QueueReader(cast("Arm", arm), self.clock)
        self._idle_series = idle_series
        self._moving: set[str] = set()
        self._unmentioned: set[str] = set()

    async def depths(self) -> dict[str, Measurement]:
        """One sweep; then 15 s pass."""
        counts = await self.reader.sweep(self.ids, self._moving, self._unmentioned)
        left_out = {queue.key for queue in self.reader.left_out(self.ids, self.clock())}
        minute_end = self.clock().replace(second=0) - timedelta(seconds=180)
        seen = {
            key: MostActive(most=7 if key in self.busy else 0, start=minute_end - timedelta(minutes=1), end=minute_end)
            for key in left_out
            if key in self.busy or self._idle_series == "zero"
        }
        self._moving = {key for key, one in seen.items() if one.most}
        self._unmentioned = left_out - seen.keys()
        known = {queue.key: known_depth(counts[queue.key], seen.get(queue.key), self.clock()) for queue in self.ids}
        self.clock.passes(15)
        return known


@pytest.mark.parametrize("busy_pct", [5, 15, 40])
async def test_every_depth_of_4500_targets_is_fresh_in_every_sweep(busy_pct: int) -> None:
    sweeps = Sweeps(busy_pct, idle_series="zero")
    for number in range(60):
        known = await sweeps.depths()
        # Until each busy one had its turn (600 of them, 180 reads a sweep) a sweep has not seen all.
        unread = {key for key, depth in known.items() if not isinstance(depth, Fresh)}
        assert unread <= sweeps.busy
        assert number < 5 or not unread
        assert values_of(known, sweeps.busy) <= {7.0}


@pytest.mark.parametrize("busy_pct", [0, 5, 15, 40])
async def test_every_depth_of_4500_targets_stays_fresh_if_azure_monitor_is_silent_about_idle_queues(
    busy_pct: int,
) -> None:
    """Reads alone tell: all are known after three minutes, and an idle queue is read often enough to prove it idle."""
    sweeps = Sweeps(busy_pct, idle_series="absent")
    for number in range(60):
        known = await sweeps.depths()
        assert number < 12 or all(isinstance(depth, Fresh) for depth in known.values())
        assert values_of(known, sweeps.busy) <= {7.0}
        assert values_of(known, known.keys() - sweeps.busy) <= {0.0}
    spells = [sweeps.reader.empty_spell(queue) for queue in sweeps.ids if queue.key not in sweeps.busy]
    assert all(spell is not None and spell.until - spell.since > LOOK_BACK for spell in spells)


def values_of(known: Mapping[str, Measurement], keys: Collection[str]) -> set[float]:
    """The depths of those that are fresh."""
    return {depth.value for key, depth in known.items() if key in keys and isinstance(depth, Fresh)}


def known_depth(counts: QueueCounts | Missing, seen: MostActive | None, now: datetime) -> Measurement:
    if isinstance(counts, Missing):
        assert "not read yet" in counts.reason, "Azure throttled us"
        return aged(depth_of(counts, None, seen), now, 300)
    read = Fresh(value=float(counts.active), at=counts.read_at, source="read")
    return aged(depth_of(read, counts.read_at, seen), now, 300)
