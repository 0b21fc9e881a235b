"""Carries what waits in the outbox to people, at least once, and says in the ledger how that went.

Any process may run it, at any time: who hears of a notice is inserted once, a lane is served by whoever swaps its row
(`lanes`), and a notice ends by a swap.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal

from shared.domain import Delivery, Notice, NoticeState
from shared.people import receipts
from shared.people.channels.base import Sender
from shared.people.lanes import RUN, Lane, Means, Report
from shared.people.routing import owners_of, routes
from shared.policy import Policy, PolicyCache, PolicyUnavailable
from shared.policy.notices import ChannelKind
from shared.records.errors import AnswerLost, Conflict
from shared.records.ledger import Ledger
from shared.records.outbox import Outbox, Work

log = logging.getLogger("watchkeeper")

_AT_ONCE = 16

TagsOf = Callable[[str], Awaitable[Mapping[str, str]]]
"""Tags of the Azure resource behind a target, by the target's name."""

Told = Literal["unknown", "waiting", "delivered", "failed", "nobody"]


async def delivered(outbox: Outbox, notice_id: str) -> Told:
    """Whether a notice reached those for whom it is: for whoever may not act before it did.

    A notice for one person counts as delivered once it reached that person with its links, any other once it reached
    somebody.
    """
    row = await outbox.get(notice_id)
    if row is None:
        return "unknown"
    known = [one.value for one in await outbox.deliveries(notice_id)]
    ways = [one for one in known if one.with_links] if row.value.notice.recipient else known
    digests = {one.digest for one in ways if one.state == "digested"}
    if any(one.state == "delivered" for one in ways):
        return "delivered"
    states = [await delivered(outbox, digest) for digest in digests]
    if "delivered" in states:
        return "delivered"
    if row.value.state == "nobody" or (known and not ways):
        return "nobody"
    waits = not known or "waiting" in states or any(not one.is_over for one in ways)
    return "waiting" if waits else "failed"


class Deliverer:
    """See the module. `senders` by the kind of channel; `tags_of` finds owners that the policy does not name."""

    def __init__(
        self,
        *,
        outbox: Outbox,
        ledger: Ledger,
        policies: PolicyCache,
        senders: Mapping[ChannelKind, Sender],
        tags_of: TagsOf,
        public_url: str,
        now: Callable[[], datetime],
    ) -> None:
        self._outbox, self._ledger, self._policies = outbox, ledger, policies
        self._senders, self._tags_of, self._now = senders, tags_of, now
        self._means = Means(outbox, senders, public_url, now)

    async def run(self) -> Report:
        """Route what is new, serve every lane that is due, end what has ended. Raises only what storage raises."""
        report = Report()
        try:
            policy = await self._policies.current()
        except PolicyUnavailable:
            return report  # nobody knows yet who is to hear what; it waits
        work = await self._outbox.work()
        await self._each(self._routed(policy), _untouched(work), report)
        work = await self._outbox.work()
        lanes = [(channel, recipient) for channel, waits in work.waiting.items() for recipient in _recipients(waits)]
        until = self._now() + RUN

        async def serve(lane: tuple[str, str]) -> None:
            ids = [notice_id for notice_id, recipient in work.waiting[lane[0]] if recipient == lane[1]]
            await Lane(self._means, policy, *lane, until=until, report=report).serve(ids)

        await self._each(serve, lanes, report)
        await self._end(report)
        return report

    async def close(self) -> None:
        for sender in set(self._senders.values()):
            await sender.close()

    # ---- who hears of it

    def _routed(self, policy: Policy) -> Callable[[str], Awaitable[None]]:
        async def route(notice_id: str) -> None:
            row = await self._outbox.get(notice_id)
            if row is None or row.value.state != "open":
                return await self._outbox.unmark_open(notice_id)
            if await self._outbox.deliveries(notice_id):
                return None  # they are over: `_end` sees to it
            found = await self._deliveries(policy, row.value.notice)
            if found:
                await self._outbox.add_deliveries(found)
            else:
                await self._outbox.end(row, "nobody", self._now())
            return None

        return route

    async def _deliveries(self, policy: Policy, notice: Notice) -> list[Delivery]:
        now = self._now()
        owners = await self._owners(policy, notice)
        return [
            Delivery(
                notice=notice.id,
                channel=route.channel.name,
                recipient=route.recipient,
                with_links=route.with_links,
                created_at=now,
                gives_up_at=now + timedelta(seconds=policy.notices.give_up_after_s),
                next_at=now,
            )
            for route in routes(notice, policy.notices, owners)
        ]

    async def _owners(self, policy: Policy, notice: Notice) -> tuple[str, ...]:
        if notice.owners or not notice.target:
            return ()
        known = owners_of(policy, notice.target)
        if known or not any(channel.kind == "mail" and channel.to_owners for channel in policy.notices.channels):
            return known
        try:
            return owners_of(policy, notice.target, dict(await self._tags_of(notice.target)))
        except Exception as error:  # a tag that cannot be read keeps nobody else from hearing of it
            log.warning("the owner tag of %s could not be read: %s", notice.target, error)
            return ()

    # ---- the end

    async def _end(self, report: Report) -> None:
        """End every notice whose deliveries are all over; digests first, because their members wait for them."""
        over = _untouched(await self._outbox.work())

        async def end(notice_id: str) -> None:
            row = await self._outbox.get(notice_id)
            if row is None or row.value.state != "open":
                return await self._outbox.unmark_open(notice_id)
            ways = [one.value for one in await self._outbox.deliveries(notice_id)]
            state = await self._state_of(ways)
            if not ways or state == "open":
                return None
            entry = receipts.entry_of(row.value, ways, state)
            if entry is not None:
                await self._ledger.append(entry)
            await self._outbox.end(row, state, self._now())
            report.ended += 1
            return None

        digests = [notice_id for notice_id in over if "T-digest-" in notice_id]
        await self._each(end, digests, report)
        await self._each(end, [notice_id for notice_id in over if "T-digest-" not in notice_id], report)

    async def _state_of(self, ways: Sequence[Delivery]) -> NoticeState:
        states = set[str]()
        for one in ways:
            if not one.is_over:
                return "open"
            if one.state != "digested":
                states.add(one.state)
                continue
            digest = await self._outbox.get(one.digest)
            states.add(digest.value.state if digest else "delivered")  # one that was told long ago is removed
        if "open" in states:
            return "open"
        if states == {"delivered"}:
            return "delivered"
        return "partly" if states & {"delivered", "partly"} else "failed"

    async def _each[T](self, work: Callable[[T], Awaitable[None]], items: Iterable[T], report: Report) -> None:
        """Do the work for each, some at a time; one that fails hinders no other."""
        slots = asyncio.Semaphore(_AT_ONCE)

        async def one(item: T) -> None:
            async with slots:
                try:
                    await work(item)
                except (Conflict, AnswerLost) as error:
                    log.info("notices: %s: another process is at it, or storage did not answer: %s", item, error)
                except Exception as error:
                    log.exception("notices: %s", item)
                    report.problems.append(f"{item}: {type(error).__name__}: {error}")

        await asyncio.gather(*(one(item) for item in items))


def _untouched(work: Work) -> list[str]:
    """Notices of which nothing waits: nobody has been chosen yet, or all is over."""
    waiting = {notice_id for waits in work.waiting.values() for notice_id, _ in waits}
    return [notice_id for notice_id in work.open if notice_id not in waiting]


def _recipients(waits: Sequence[tuple[str, str]]) -> list[str]:
    return list(dict.fromkeys(recipient for _, recipient in waits))
