"""One lane: a channel, and for mail a recipient. What waits in it goes out in order, or into a digest.

A lane is served by whoever swaps its row; a process that dies leaves a lease that runs out. Before each request it is
written down that it is made, so a crash between a request and its receipt shows, and the receivers know a repetition
by the notice's id.

A lane whose other side does not take anything is left alone for a while, ever longer. So a dead channel costs one
request now and then, and hinders no other.
"""

import asyncio
import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from shared.domain import ChannelState, Delivery, Notice
from shared.people.channels.base import Parcel, Result, Sender
from shared.people.digest import Plan, Waiting, digest_of, plan
from shared.people.templates import message_of
from shared.policy import Policy
from shared.policy.notices import Channel, ChannelKind
from shared.records.outbox import Outbox
from shared.records.state import Row

log = logging.getLogger("watchkeeper")

LEASE = timedelta(seconds=120)
# A run begins no new request after this, so the last one ends well before the lease does.
RUN = timedelta(seconds=45)
# After a failure nothing is tried for this long, twice as long after each further one in a row. One process at a time
# serves a lane, so there is nobody to spread.
BACKOFF_S, LONGEST_BACKOFF_S = 15.0, 900.0
FOLLOW_AFTER_S = 5.0
_AT_ONCE = 16
_NAMESPACE = uuid.UUID("6d1c1c2e-8f5b-4b0c-9a83-5c0b9d3f7a61")


@dataclass(frozen=True, slots=True)
class Means:
    """What every lane works with."""

    outbox: Outbox
    senders: Mapping[ChannelKind, Sender]
    public_url: str
    now: Callable[[], datetime]


@dataclass(slots=True)
class Report:
    """What one run did; `problems` are sentences for the log."""

    delivered: int = 0
    accepted: int = 0
    digested: int = 0
    failed: int = 0
    ended: int = 0
    problems: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Held:
    """A delivery as stored, with what it tells."""

    notice: Notice
    row: Row[Delivery]

    @property
    def waiting(self) -> Waiting:
        return Waiting(self.notice, self.row.value)


class Lane:
    """See the module. One instance a run."""

    def __init__(
        self, means: Means, policy: Policy, channel: str, recipient: str, *, until: datetime, report: Report
    ) -> None:
        self._means, self._settings, self._until, self._report = means, policy.notices, until, report
        self._channel, self._recipient = channel, recipient
        self._name = f"{channel} {recipient}".strip()
        self._row = Row(ChannelState(name=self._name), "")

    async def serve(self, ids: Sequence[str]) -> None:
        """Send what is due of these notices, oldest first.

        Raises:
            Conflict, AnswerLost: another process serves the lane, or storage did not answer.
        """
        found, now = await self._means.outbox.channel(self._name), self._means.now()
        state = found.value if found else self._row.value
        if _ahead(state.leased_until, now) or _ahead(state.not_before, now):
            return
        self._row = await self._means.outbox.put_channel(found, replace(state, leased_until=now + LEASE))
        try:
            await self._work(ids)
        finally:
            await self._keep(leased_until=None)

    async def _work(self, ids: Sequence[str]) -> None:
        await self._finish_digest()
        held = await self._load(ids)
        channel = self._settings.channel(self._channel)
        due: list[_Held] = []
        for one in held:
            way, now = one.row.value, self._means.now()
            if channel is None:
                await self._fail(one.row, "the policy has no such channel any more")
            elif now >= way.gives_up_at:
                await self._fail(one.row, f"given up after {way.attempts} attempts: {way.problem or 'never sent'}")
            elif now >= way.next_at:
                due.append(one)
        if channel is not None and await self._follow(channel, [one for one in due if _follows(one)]):
            await self._tell(channel, [one for one in due if not _follows(one)])

    async def _follow(self, channel: Channel, accepted: Sequence[_Held]) -> bool:
        """Ask how it goes with what the other side took; False if it does not answer."""
        for one in accepted:
            result = await self._attempt(channel, one.notice, one.row.value, follow=True)
            if not await self._settle(one.row, result):
                return False
        return True

    async def _tell(self, channel: Channel, due: Sequence[_Held]) -> None:
        by_id = {one.notice.id: one for one in due}
        todo = plan(
            [one.waiting for one in due], self._row.value, self._settings.digest, self._means.now(), quiet=channel.quiet
        )
        singles = [by_id[one.notice.id] for one in todo.single]
        unsent = 0
        for number, one in enumerate(singles):
            if self._means.now() >= self._until or not await self._send(channel, one):
                unsent = len(singles) - number
                break
        await self._keep(window_started_at=todo.window_started_at, sent=max(0, todo.sent - unsent))
        if todo.digest and not unsent:
            await self._digest(channel, todo, by_id)

    # ---- digests

    async def _digest(self, channel: Channel, todo: Plan, by_id: Mapping[str, _Held]) -> None:
        """Put the digest into the outbox, mark its members, send it. A crash in between is finished by the next run."""
        now, members = self._means.now(), [one.notice for one in todo.digest]
        digest = digest_of(members, self._name, self._settings.digest.window_s, now)
        way = Delivery(
            notice=digest.id,
            channel=self._channel,
            recipient=self._recipient,
            created_at=now,
            gives_up_at=now + timedelta(seconds=self._settings.give_up_after_s),
            next_at=now,
        )
        await self._keep(digest=digest.id)
        await self._means.outbox.put(digest, members=[member.id for member in members], deliveries=[way])
        await self._mark(digest.id, [by_id[member.id].row for member in members])
        await self._keep(digest="")
        row = await self._means.outbox.get_delivery(digest.id, self._channel, self._recipient)
        if row is not None and not row.value.is_over:
            await self._send(channel, _Held(digest, row))

    async def _finish_digest(self) -> None:
        """Mark what a digest tells that a process left unfinished."""
        name = self._row.value.digest
        if not name:
            return
        posted = await self._means.outbox.get(name)
        for member in posted.value.members if posted else ():
            row = await self._means.outbox.get_delivery(member, self._channel, self._recipient)
            if row is not None and row.value.state == "waiting":
                await self._mark(name, [row])
        await self._keep(digest="")

    async def _mark(self, digest: str, rows: Sequence[Row[Delivery]]) -> None:
        slots = asyncio.Semaphore(_AT_ONCE)

        async def mark(row: Row[Delivery]) -> None:
            async with slots:
                told = replace(row.value, state="digested", digest=digest, ended_at=self._means.now())
                await self._means.outbox.put_delivery(row, told)
                self._report.digested += 1

        await asyncio.gather(*(mark(row) for row in rows))

    # ---- one delivery

    async def _send(self, channel: Channel, one: _Held) -> bool:
        """One attempt; False if the other side takes nothing now."""
        way = one.row.value
        tried = replace(way, attempts=way.attempts + 1, sent_at=self._means.now(), operation=_operation(way))
        row = await self._means.outbox.put_delivery(one.row, tried)
        return await self._settle(row, await self._attempt(channel, one.notice, tried, follow=False))

    async def _attempt(self, channel: Channel, notice: Notice, way: Delivery, *, follow: bool) -> Result:
        """One request to the other side."""
        sender = self._means.senders[channel.kind]
        parcel = Parcel(
            channel=channel,
            notice=notice,
            message=message_of(notice, self._means.public_url, with_links=way.with_links),
            recipient=way.recipient,
            operation=_operation(way),
            tried=way.attempts > 1,
        )
        try:
            return await (sender.follow(parcel) if follow else sender.send(parcel))
        except Exception as error:
            log.exception("notice %s by %s", notice.id, channel.name)
            return Result(kind="later", problem=f"{type(error).__name__} while it was sent; the log has the details")

    async def _settle(self, row: Row[Delivery], result: Result) -> bool:
        """Write down what came of an attempt; False if the lane is left alone for a while."""
        now, way = self._means.now(), row.value
        if result.kind == "later":
            return await self._back_off(row, result)
        if result.kind == "refused":
            await self._fail(row, result.problem)
            return True
        if result.kind == "accepted":
            next_at = now + timedelta(seconds=FOLLOW_AFTER_S if result.retry_after_s is None else result.retry_after_s)
            new = replace(way, state="following", next_at=next_at, receipt=result.receipt, problem="")
            self._report.accepted += 1
        else:
            new = replace(way, state="delivered", ended_at=now, receipt=result.receipt, problem="")
            self._report.delivered += 1
        await self._means.outbox.put_delivery(row, new)
        if self._row.value.failures:
            await self._keep(failures=0, not_before=None, problem="")
        return True

    async def _back_off(self, row: Row[Delivery], result: Result) -> bool:
        failures = self._row.value.failures + 1
        wait_s = min(LONGEST_BACKOFF_S, BACKOFF_S * 2.0 ** min(failures - 1, 10))
        if result.retry_after_s is not None:
            wait_s = max(1.0, result.retry_after_s)
        next_at = self._means.now() + timedelta(seconds=wait_s)
        log.warning("notices by %s: %s; again at %s", self._channel, result.problem, next_at.isoformat())
        await self._means.outbox.put_delivery(row, replace(row.value, next_at=next_at, problem=result.problem))
        await self._keep(failures=failures, not_before=next_at, problem=result.problem)
        self._report.problems.append(f"{self._name}: {result.problem}")
        return False

    async def _fail(self, row: Row[Delivery], problem: str) -> None:
        now = self._means.now()
        log.error("notice %s could not be told by %s: %s", row.value.notice, self._channel, problem)
        await self._means.outbox.put_delivery(row, replace(row.value, state="failed", ended_at=now, problem=problem))
        self._report.failed += 1

    # ---- rows

    async def _load(self, ids: Sequence[str]) -> list[_Held]:
        """What waits, oldest first. A mark that was left behind is removed."""
        slots = asyncio.Semaphore(_AT_ONCE)

        async def load(notice_id: str) -> _Held | None:
            async with slots:
                row = await self._means.outbox.get_delivery(notice_id, self._channel, self._recipient)
                posted = await self._means.outbox.get(notice_id)
            if row is None or posted is None or row.value.is_over:
                await self._means.outbox.unmark_waiting(notice_id, self._channel, self._recipient)
                return None
            return _Held(posted.value.notice, row)

        found = await asyncio.gather(*(load(notice_id) for notice_id in ids))
        return sorted((one for one in found if one is not None), key=lambda one: one.notice.at)

    async def _keep(self, **changes: Any) -> None:
        self._row = await self._means.outbox.put_channel(self._row, replace(self._row.value, **changes))


def _follows(one: _Held) -> bool:
    return one.row.value.state == "following"


def _ahead(moment: datetime | None, now: datetime) -> bool:
    """Whether a moment is still to come; one further away than any that is set was set by another clock."""
    return moment is not None and now < moment <= now + timedelta(hours=2)


def _operation(way: Delivery) -> str:
    """One id for all attempts of a delivery, known before the first; another for one that is told again later."""
    return str(uuid.uuid5(_NAMESPACE, "|".join([way.notice, way.channel, way.recipient, way.created_at.isoformat()])))
