"""Queue depth from Azure Resource Manager: `countDetails`, with no more right than to read the queue.

Never `messageCount`, which adds up every state, dead letters and scheduled messages included.

Requests of each operation:
* `read`: GET {queue}
* `sweep`: GET {queue}, or GET {namespace}/queues and its next pages where one list serves several queues and carries
  the counts (assumption servicebus.list_carries_counts, learned as we go and kept for the life of the process)
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

from shared.domain import InvalidResourceId, Missing, QueueId
from shared.estate import api
from shared.estate.arm import LONGEST_PAUSE_S, Arm
from shared.estate.deployments import normalised_region
from shared.estate.failures import ArmError, ArmFailure, ArmThrottled
from shared.estate.idle import EmptySpell, EmptySpells

SOURCE = "servicebus countDetails"
READS_PER_SWEEP = 200
"""Per subscription: a 15 s sweep then draws 13 reads a second of the 25 that Azure Resource Manager refills."""

PARALLEL_READS = 20

LONGEST_UNREAD_SHARE = 10
"""One read in so many goes to whatever was not read for longest, so that a busy estate starves nobody."""

UNMENTIONED_SHARE = 0.6
"""Of the reads, at most, for what only a read can tell of: 1,500 idle queues then have one every three minutes, as a
proof of idleness needs them (`idle.LONGEST_GAP`), however busy the others are."""

UNMENTIONED_DUE = timedelta(minutes=2)
"""Before that age what moves is worth more."""

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueCounts:
    """Messages by state, as read at `read_at`.

    `active` ones wait, or are locked by a receiver (assumption servicebus.locked_are_active). `region` is the
    namespace's, normalised, "" where the answer does not name it.
    """

    active: int
    dead_letter: int
    scheduled: int
    read_at: datetime
    region: str = ""


class QueueReader:
    """Reads depths, and remembers from sweep to sweep what it read last and what a list is good for.

    Not more than `reads_per_sweep` requests per subscription and sweep: first what is due because nothing but a read
    tells of it, then what may have changed (it held messages, or its metrics moved), then what was not read for
    longest. A subscription that Azure throttles is left alone for as long as Azure asks; its queues keep their last
    counts, with their age.
    """

    def __init__(self, arm: Arm, now: Callable[[], datetime], reads_per_sweep: int = READS_PER_SWEEP) -> None:
        self._arm = arm
        self._now = now
        self._reads_per_sweep = reads_per_sweep
        self._last: dict[str, QueueCounts] = {}
        self._list_carries_counts: bool | None = None
        self._pages: dict[str, int] = {}
        self._regions: dict[str, str] = {}
        self._throttled_until: dict[str, datetime] = {}
        self._empty = EmptySpells()
        self._failed: frozenset[str] = frozenset()

    async def read(self, queue: QueueId) -> QueueCounts:
        """One fresh GET.

        Raises:
            ArmFailure: not readable, or the answer carries no counts.
        """
        reply = await self._arm.get(queue.arm_id, api.SERVICE_BUS)
        counts = _counts(reply.body, self._now())
        if counts is None:
            raise ArmError(f"GET {queue.arm_id}", 200, "<no countDetails>", "the answer carries no countDetails")
        self._remember(queue, counts)
        return counts

    def region_of(self, queue: QueueId) -> str:
        """The region of the queue's namespace, "" while no answer has named it."""
        return self._regions.get(_namespace(queue), "")

    def empty_spell(self, queue: QueueId) -> EmptySpell | None:
        """Since when each read of the queue found it empty; None if the last one did not."""
        return self._empty.of(queue.key)

    async def sweep(
        self, queues: Sequence[QueueId], active: Collection[str], unmentioned: Collection[str] = ()
    ) -> dict[str, QueueCounts | Missing]:
        """The counts of each queue by key: read now, or else the last ones with their age, or why there are none.

        Args:
            queues: each at most once.
            active: keys of queues with a sign of traffic.
            unmentioned: keys of those that the last sweep did not read and of which Azure Monitor said nothing.
        """
        by_subscription = groupby(sorted(queues, key=_subscription), key=_subscription)
        failures: dict[str, str] = {}
        await asyncio.gather(*(self._sweep_one(list(own), active, unmentioned, failures) for _, own in by_subscription))
        self._failed = (self._failed - {queue.key for queue in queues}) | failures.keys()
        return {queue.key: self._outcome(queue, failures) for queue in queues}

    async def counts(self, queues: Sequence[QueueId], within: timedelta) -> dict[str, QueueCounts | Missing]:
        """What was read of each within that time or, as far as a sweep's reads go, is read now; by key.

        What there is no read to spare for has what was read of it last, and is left out if nothing ever was.
        """
        due = [queue for queue in queues if self._read_at(queue) < self._now() - within]
        read = await self.sweep(due, ()) if due else {}
        known = {queue.key: read.get(queue.key) or self._last[queue.key] for queue in queues}
        return {key: found for key, found in known.items() if isinstance(found, QueueCounts) or key in self._failed}

    def left_out(self, queues: Sequence[QueueId], since: datetime) -> list[QueueId]:
        """Those that nobody has read since, though not because the last sweep could not: it had no read to spare."""

        def is_left_out(key: str) -> bool:
            last = self._last.get(key)
            return key not in self._failed and (last is None or last.read_at < since)

        return [queue for queue in queues if is_left_out(queue.key)]

    def _outcome(self, queue: QueueId, failures: Mapping[str, str]) -> QueueCounts | Missing:
        if queue.key in failures:
            return Missing(reason=failures[queue.key], source=SOURCE)
        waiting = f"not read yet: {self._reads_per_sweep} reads per sweep and subscription are used up"
        if self._is_throttled(queue):
            waiting = (
                f"not read yet: Azure throttles reads until {self._throttled_until[_subscription(queue)]:%H:%M:%S}"
            )
        return self._last.get(queue.key) or Missing(reason=waiting, source=SOURCE)

    def _is_throttled(self, queue: QueueId) -> bool:
        return self._now() < self._throttled_until.get(_subscription(queue), _NEVER)

    def _throttle(self, queue: QueueId, throttled: ArmThrottled) -> None:
        pause_s = LONGEST_PAUSE_S if throttled.retry_after_s is None else throttled.retry_after_s
        self._throttled_until[_subscription(queue)] = self._now() + timedelta(seconds=pause_s)

    async def _sweep_one(
        self, queues: list[QueueId], active: Collection[str], unmentioned: Collection[str], failures: dict[str, str]
    ) -> None:
        """Lists first, one after the other (the first teaches whether lists are any use), then single reads at once."""
        budget = self._reads_per_sweep
        single: list[QueueId] = []
        for _, group in groupby(sorted(queues, key=_namespace), key=_namespace):
            own = list(group)
            pages = self._pages.get(_namespace(own[0]), 1)
            if self._list_carries_counts is False or len(own) <= pages or pages > budget:
                single += own
                continue
            budget -= pages
            single += await self._read_by_list(own, failures)
        chosen = self._most_worth_reading(single, active, unmentioned, budget)
        gate = asyncio.Semaphore(PARALLEL_READS)
        await asyncio.gather(*(self._read_noting(queue, gate, failures) for queue in chosen))

    async def _read_by_list(self, queues: list[QueueId], failures: dict[str, str]) -> list[QueueId]:
        """Read the namespace's list; returns the queues whose counts it did not give."""
        wanted = {queue.key: queue for queue in queues}
        pages = 0
        if self._is_throttled(queues[0]):
            return []
        try:
            async for page in self._arm.pages(f"{queues[0].namespace_id}/queues", api.SERVICE_BUS):
                pages += 1
                for row in page.get("value") or ():
                    self._take(row, wanted)
                if self._list_carries_counts is False:
                    break
        except ArmThrottled as throttled:
            self._throttle(queues[0], throttled)
            return []
        except ArmFailure as failure:
            failures.update(dict.fromkeys(wanted, str(failure)))
            return []
        self._pages[_namespace(queues[0])] = max(1, pages)
        return list(wanted.values())

    def _take(self, row: Mapping[str, Any], wanted: dict[str, QueueId]) -> None:
        counts = _counts(row, self._now())
        self._list_carries_counts = counts is not None
        try:
            queue = wanted.get(QueueId.parse(str(row.get("id", ""))).key)
        except InvalidResourceId:
            return
        if queue is not None and counts is not None:
            del wanted[queue.key]
            self._remember(queue, counts)

    def _remember(self, queue: QueueId, counts: QueueCounts) -> None:
        self._last[queue.key] = counts
        self._empty.note(queue.key, counts.active, counts.read_at)
        if counts.region:
            self._regions[_namespace(queue)] = counts.region

    async def _read_noting(self, queue: QueueId, gate: asyncio.Semaphore, failures: dict[str, str]) -> None:
        async with gate:
            if self._is_throttled(queue):
                return
            try:
                await self.read(queue)
            except ArmThrottled as throttled:
                self._throttle(queue, throttled)
            except ArmFailure as failure:
                failures[queue.key] = str(failure)

    def _most_worth_reading(
        self, queues: list[QueueId], active: Collection[str], unmentioned: Collection[str], budget: int
    ) -> list[QueueId]:
        """Some of what was not read for longest and some of what is due; then what moves; then the longest unread."""
        if len(queues) <= budget:
            return queues
        due_at = self._now() - UNMENTIONED_DUE
        oldest_first = sorted(queues, key=self._read_at)
        reserved = budget // LONGEST_UNREAD_SHARE
        chosen, rest = oldest_first[:reserved], oldest_first[reserved:]
        due = [queue for queue in rest if queue.key in unmentioned and self._read_at(queue) <= due_at]
        chosen += due[: int(budget * UNMENTIONED_SHARE) - reserved]
        taken = {queue.key for queue in chosen}
        rest = [queue for queue in rest if queue.key not in taken]
        rest.sort(key=lambda queue: not (queue.key in active or self._held_messages(queue)))  # stable: oldest first
        return chosen + rest[: budget - len(chosen)]

    def _read_at(self, queue: QueueId) -> datetime:
        last = self._last.get(queue.key)
        return last.read_at if last else _NEVER

    def _held_messages(self, queue: QueueId) -> bool:
        last = self._last.get(queue.key)
        return last is not None and last.active > 0


def carries_counts(row: Mapping[str, Any]) -> bool:
    """Whether a queue's document carries the counts that we need."""
    return _counts(row, _NEVER) is not None


def _subscription(queue: QueueId) -> str:
    return queue.subscription.lower()


def _namespace(queue: QueueId) -> str:
    return queue.namespace_id.lower()


def _counts(row: Mapping[str, Any], now: datetime) -> QueueCounts | None:
    """The counts of one queue's document, None if it carries none. All three are needed: an absent one is not zero."""
    details = (row.get("properties") or {}).get("countDetails") or {}
    names = ("activeMessageCount", "deadLetterMessageCount", "scheduledMessageCount")
    values = [details[name] for name in names if type(details.get(name)) is int]
    if len(values) < len(names):
        return None
    active, dead_letter, scheduled = values
    region = normalised_region(row.get("location"))
    return QueueCounts(active=active, dead_letter=dead_letter, scheduled=scheduled, read_at=now, region=region)
