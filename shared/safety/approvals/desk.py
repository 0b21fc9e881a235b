"""Asks people, takes their answers, and sees every request to its end. All of it may run twice and be cut off anywhere.

The request's row decides: whoever swaps it wins, and everybody else is told what it is now. Ledger, notices and marks
follow from the row, have ids of their own, and are written again by `tend` where a crash kept them from being written.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from shared.domain import (
    Answer,
    ApprovalRequest,
    Ask,
    Decision,
    Order,
    Requirement,
)
from shared.estate.secret_failures import SecretFailure, VaultUnreachable
from shared.policy import Target
from shared.records.approvals import ApprovalStore
from shared.records.errors import Conflict
from shared.records.ledger import Ledger
from shared.records.outbox import Outbox
from shared.records.state import Row, StateStore
from shared.safety.approvals import rules, words
from shared.safety.approvals.links import KeyUnusable, Link, LinkSigner

log = logging.getLogger("watchkeeper")

_AT_ONCE = 8
# A mark without its request is left by a crash between the two; a slower process than this is none.
_MARK_KEPT = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Given:
    """What an answer came to: `request` as it stands now, and the order whose act can start or end by it, if any."""

    request: ApprovalRequest
    order: Order | None


class UnknownApproval(LookupError):
    """There is no request of this id."""


class ApprovalDesk:
    """One per process."""

    def __init__(
        self,
        *,
        store: ApprovalStore,
        state: StateStore,
        ledger: Ledger,
        outbox: Outbox,
        signer: LinkSigner,
        now: Callable[[], datetime],
    ) -> None:
        self.store, self.signer = store, signer
        self._state, self._ledger, self._outbox, self._now = state, ledger, outbox, now
        self._finished: dict[str, ApprovalRequest] = {}

    # ---- asking

    async def about(self, decision_id: str) -> ApprovalRequest | None:
        """The question about this decision, as it must be taken now; None if nobody was asked."""
        row = await self.store.get(decision_id)
        return None if row is None else rules.as_of(row.value, self._now())

    async def resting(self, decision: Decision) -> ApprovalRequest | None:
        """What people denied or did not answer lately, if this decision is much the same plan."""
        last = await self.store.rest_of(decision.target, decision.dimension)
        return last if last is not None and rules.rests(last, decision, self._now()) else None

    async def ask(self, decision: Decision, target: Target, loop: str, needs: Requirement) -> ApprovalRequest:
        """Put the question to everybody who is named, once; the request as it stands.

        Raises:
            VaultUnreachable: the links cannot be signed now; ask again later.
        """
        row = await self.store.get(decision.id)
        if row is None:
            await self.store.mark_open(decision.id, self._now())
            try:
                row = await self.store.insert(self._request(decision, target, loop, needs))
            except Conflict:
                row = await self._row(decision.id)
        if row.value.told or not row.value.is_open:
            return row.value
        await self._tell(row.value)
        await self._record(row.value)
        return await self._change(decision.id, lambda request: replace(request, told=True))

    def _request(self, decision: Decision, target: Target, loop: str, needs: Requirement) -> ApprovalRequest:
        return ApprovalRequest(
            id=decision.id,
            plan=decision.plan_hash,
            decision=decision,
            endpoint_key=target.deployment_id.endpoint_key,
            target_name=target.name,
            project=target.project or "",
            loop=loop,
            requirement=needs,
            asked_at=self._now(),
        )

    async def _tell(self, request: ApprovalRequest) -> None:
        for recipient in request.requirement.recipients:
            links, without = await self._links(request, recipient)
            await self._outbox.put(words.asked_notice(request, recipient, links | self._explain(request), without))

    async def _links(self, request: ApprovalRequest, recipient: str) -> tuple[dict[str, str], str]:
        """The links of one person, or none and why."""
        try:
            links = dict(await self.signer.links(request, recipient, self._now()))
        except VaultUnreachable:
            raise
        except (SecretFailure, KeyUnusable) as failure:
            log.error("%s is asked without links: %s", request.id, failure)
            return {}, f"no links, because the key that signs them cannot be used: {failure}"
        return links, "" if links else "no links: WATCHKEEPER_PUBLIC_URL or WATCHKEEPER_VAULT_URL is not set"

    def _explain(self, request: ApprovalRequest) -> dict[str, str]:
        url = self.signer.public_url
        return {"explain": f"{url}/api/explain/{request.decision.id}"} if url else {}

    # ---- answers

    async def by_link(self, token: str) -> tuple[Link, ApprovalRequest]:
        """What a link says, and the request that it is for. Changes nothing.

        Raises:
            LinkInvalid, SecretFailure, KeyUnusable: see `LinkSigner.read`.
            UnknownApproval: its request is gone.
        """
        link = await self.signer.read(token, self._now())
        request = await self.about(link.request)
        if request is None or request.plan != link.plan:
            raise UnknownApproval(f"There is no approval {link.request} of plan {link.plan} any more.")
        return link, request

    async def answer(self, request_id: str, answer: Answer) -> Given:
        """Take one answer.

        Raises:
            UnknownApproval: there is no such request.
            NotCounted: it changes nothing; the words are for whoever gave it.
        """
        if await self.store.get(request_id) is None:
            raise _unknown(request_id)
        request = await self._change(request_id, lambda known: rules.answered(known, answer))
        await self._finish(request)
        log.info("%s: %s by %s (%s): %s", request.target_name, answer.verdict, answer.who, answer.how, request.state)
        return Given(request, None if request.state == "pending" else _order(request))

    # ---- ends

    async def use(self, decision_id: str) -> None:
        """The act begins now: the approval is used up. Says nothing where this act has used it before.

        Raises:
            NotCounted: it is not approved any more, so the act must not begin.
        """
        row = await self._row(decision_id)
        if row.value.state == "used":
            return
        request = await self._change(decision_id, lambda known: rules.begun(known, self._now()))
        await self._finish(request)

    async def replaced(self, request_id: str, why: str) -> bool:
        """Its plan is given up for a newer decision; whether that was still possible: an act that began goes on."""
        try:
            request = await self._change(request_id, lambda known: self._ended(known, "replaced", why))
        except rules.NotCounted:
            return False
        await self._finish(request)
        return True

    def _ended(self, known: ApprovalRequest, state: Literal["replaced", "expired"], why: str) -> ApprovalRequest:
        known = rules.as_of(known, self._now())
        if known.state == "used":
            raise rules.NotCounted("already_ended", rules.standing(known))
        return rules.ended(known, state, why, self._now()) if known.is_open else known

    # ---- what time and crashes do

    async def tend(self) -> list[Order]:
        """See to all that has not ended: deliveries, deadlines, plans that are gone, what a crash left half done.

        The orders are of decisions that can now be carried out, or that must be told that they cannot.
        """
        marks, slots = await self.store.open_marks(), asyncio.Semaphore(_AT_ONCE)
        self._finished = {name: request for name, request in self._finished.items() if name in marks}

        async def one(request_id: str, since: datetime) -> Order | None:
            async with slots:
                return await self._tend_marked(request_id, since)

        orders = await asyncio.gather(*(one(*mark) for mark in marks.items()))
        return [order for order in orders if order is not None]

    async def _tend_marked(self, request_id: str, since: datetime) -> Order | None:
        try:
            row = await self.store.get(request_id)
            if row is not None:
                return await self._tend(row)
            if self._now() - since > _MARK_KEPT:
                await self.store.unmark_open(request_id)
        except Conflict:
            log.info("approval %s was changed by another; the next sweep looks again", request_id)
        except Exception:  # one that cannot be read hinders no other
            log.exception("approval %s could not be looked after", request_id)
        return None

    async def _tend(self, row: Row[ApprovalRequest]) -> Order | None:
        request = row.value
        given_up = await self._given_up(request)
        if request.is_open and given_up:
            await self.replaced(request.id, given_up)
            return None
        if request.state == "pending" and request.told and request.delivered_at is None:
            request = await self._delivered(row)
        current = rules.as_of(request, self._now())
        if current != row.value:
            current = await self._change(
                request.id, lambda known: rules.as_of(_with_delivery(known, request), self._now())
            )
        if self._finished.get(current.id) != current:  # else this process has written all of it, as it stands
            await self._finish(current)
            self._finished[current.id] = current
        return None if given_up or current.state == "pending" else _order(current)

    async def _given_up(self, request: ApprovalRequest) -> str:
        """Why its decision does not stand any more, "" while it does and is not over."""
        decision = request.decision
        desired = await self._state.get_desired(request.endpoint_key, decision.target, decision.dimension)
        if desired is None:
            return "Its decision is gone."
        if desired.value.id != decision.id:
            newer = desired.value
            return f"Given up for {newer.current} -> {newer.to} ({newer.rule}): {newer.reason}"
        action = await self._state.get_action(request.endpoint_key, decision.target, decision.dimension)
        if action is None or action.value.key != decision.id or not action.value.is_over:
            return ""
        outcome = action.value.outcome
        return f"It came to its end without this: {outcome.reason if outcome else action.value.state}"

    async def _delivered(self, row: Row[ApprovalRequest]) -> ApprovalRequest:
        """The request with what is known of its notices' deliveries."""
        request = row.value
        arrived: dict[str, datetime] = {}
        lost = dict(request.undeliverable)
        for who in request.requirement.recipients:
            notice_id = words.asked_id(request, who)
            posted = await self._outbox.get(notice_id)
            with_links = posted is not None and "approve" in posted.value.notice.links
            for delivery in await self._outbox.deliveries(notice_id):
                at = delivery.value.ended_at
                if delivery.value.state == "delivered" and at and (delivery.value.with_links or not with_links):
                    arrived[who] = min(at, arrived.get(who, at))
            if who not in arrived and posted is not None and posted.value.state != "open":
                lost.setdefault(who, posted.value.ended_at or self._now())
        since = _since_enough(request.requirement, arrived)
        left = {who: at for who, at in lost.items() if who not in arrived}
        return replace(request, delivered_at=since, undeliverable=left)

    # ---- what follows from a request's row

    async def _finish(self, request: ApprovalRequest) -> None:
        """Write what its state asks for: ledger, notices, marks."""
        await self._record(request)
        for notice in words.told_notices(request, self._explain(request)):
            await self._outbox.put(notice)
        if request.is_open:
            return
        if request.state in ("denied", "expired"):
            await self.store.set_rest(request.decision.target, request.decision.dimension, request.id)
        await self.store.unmark_open(request.id)

    async def _record(self, request: ApprovalRequest) -> None:
        for entry in words.entries(request):
            await self._ledger.append(entry)

    async def _row(self, request_id: str) -> Row[ApprovalRequest]:
        row = await self.store.get(request_id)
        if row is None:
            raise _unknown(request_id)
        return row

    async def _change(self, request_id: str, change: Callable[[ApprovalRequest], ApprovalRequest]) -> ApprovalRequest:
        """The request after `change`, compared and swapped. Nothing is written if `change` raises."""

        def changed(known: ApprovalRequest | None) -> ApprovalRequest:
            if known is None:
                raise _unknown(request_id)
            return change(known)

        return await self.store.change(request_id, changed)


def _unknown(request_id: str) -> UnknownApproval:
    return UnknownApproval(f"There is no approval {request_id!r}; GET /api/approvals lists them.")


def _order(request: ApprovalRequest) -> Order:
    decision = request.decision
    return Order(endpoint_key=request.endpoint_key, target=decision.target, dimension=decision.dimension)


def _with_delivery(known: ApprovalRequest, seen: ApprovalRequest) -> ApprovalRequest:
    if known.state != "pending" or known.delivered_at is not None:
        return known
    return replace(known, delivered_at=seen.delivered_at, undeliverable=seen.undeliverable)


def _since_enough(needs: Requirement, arrived: Mapping[str, datetime]) -> datetime | None:
    """Since when every rule has enough people who were told; None: not yet."""
    moments = [_moment(ask, arrived) for ask in needs.asks]
    known = [moment for moment in moments if moment is not None]
    return max(known) if known and len(known) == len(moments) else None


def _moment(ask: Ask, arrived: Mapping[str, datetime]) -> datetime | None:
    told = sorted(arrived[who] for who in ask.who if who in arrived)
    return told[ask.needed - 1] if len(told) >= ask.needed else None
