"""Floods become one message: what is sent singly, what waits, what goes into a digest. Pure.

Each lane (a channel and, for mail, a recipient) gets at most `limit` single notices in a window. What comes beyond
that waits until the window ends and is then told in one digest. What is critical and what is for one person to decide
never waits and is not counted.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.domain import ChannelState, Delivery, Notice, entry_id
from shared.policy.notices import Digest

LISTED = 8
"""So many notices a digest names; it counts the rest. The whole list is at `GET /api/notices/ID`."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A delivery that is due, with what it tells."""

    notice: Notice
    delivery: Delivery


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do with what waits in a lane; `window_started_at` and `sent` are the lane's from then on."""

    single: tuple[Waiting, ...]
    digest: tuple[Waiting, ...]
    window_started_at: datetime | None
    sent: int


def comes_singly(notice: Notice) -> bool:
    """Whether it may never wait for a digest."""
    return notice.severity == "critical" or bool(notice.recipient) or notice.kind in ("digest", "approval_requested")


def plan(waiting: Sequence[Waiting], lane: ChannelState, settings: Digest, now: datetime, *, quiet: bool) -> Plan:
    """The plan for what waits, oldest first. A `quiet` channel gets digests only."""
    at_once = tuple(one for one in waiting if comes_singly(one.notice))
    others = tuple(one for one in waiting if not comes_singly(one.notice))
    limit = 0 if quiet else settings.limit
    started, sent = lane.window_started_at, lane.sent
    is_over = started is not None and now >= started + timedelta(seconds=settings.window_s)
    if not others:
        return Plan(at_once, (), None if is_over else started, 0 if is_over else sent)
    if started is None or now < started:  # the first for a while; a clock that was set back must not hold anything up
        return Plan((*at_once, *others[:limit]), (), now, min(limit, len(others)))
    if not is_over:
        free = max(0, limit - sent)
        return Plan((*at_once, *others[:free]), (), started, sent + min(free, len(others)))
    if len(others) > 1 and (sent >= limit or len(others) > limit):
        return Plan(at_once, others, now, 1)
    return Plan((*at_once, *others), (), now, len(others))


def digest_of(members: Sequence[Notice], lane: str, window_s: float, now: datetime) -> Notice:
    """One notice that tells of several; the same members of a lane make the same id."""
    names = hashlib.sha256("|".join([lane, *(member.id for member in members)]).encode()).hexdigest()[:12]
    at = max(now, *(member.at for member in members))
    by_kind = Counter(member.kind for member in members)
    words = ", ".join(f"{count} x {kind.replace('_', ' ')}" for kind, count in by_kind.most_common())
    newest = list(reversed(members[-LISTED:]))
    facts = {f"{n}. {m.at:%H:%M:%S} {m.target or m.kind}": m.subject for n, m in enumerate(newest, start=1)}
    more = f" The newest {LISTED} are listed." if len(members) > LISTED else ""
    return Notice(
        id=entry_id(at, f"digest-{names}"),
        kind="digest",
        severity="warning" if any(member.severity == "warning" for member in members) else "info",
        at=at,
        subject=f"{len(members)} notices in {round(window_s)} seconds: {words}",
        text=f"More was to be told than one wants to read singly: {words}.{more}",
        facts=facts,
    )
