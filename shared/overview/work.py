"""What waits for somebody: questions, changes without an end, malformed input, dead letters, notices nobody got."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.domain import NoticeState
from shared.loops.dead_letter_sources import LATELY, NotCountedYet, count, look, may_hold_some, watched
from shared.loops.dead_letter_views import overview_view
from shared.overview.parts import MOST, Plain, Shown, text
from shared.safety.approvals.rules import as_of
from shared.upkeep.stuck_actions import STUCK_AFTER, is_stuck

if TYPE_CHECKING:
    from shared.services import Services

# Questions and notices are looked for this long back; what is older has had its end.
_QUESTIONS, _NOTICES = timedelta(days=30), timedelta(days=7)
_PAGE = 500
_UNDELIVERED: tuple[NoticeState, ...] = ("failed", "partly", "nobody")


async def approvals(made: "Services", now: datetime) -> Shown:
    """Questions that wait for an answer, and approved plans that were not carried out yet."""
    store, until = made.stores.approvals.store, now + timedelta(seconds=1)
    pending = (await store.query(now - _QUESTIONS, until, state="pending", limit=_PAGE)).requests
    approved = (await store.query(now - _QUESTIONS, until, state="approved", limit=_PAGE)).requests
    waiting = [one for one in (as_of(request, now) for request in pending) if one.state == "pending"]
    views = [
        {
            "id": one.id,
            "target": one.target_name,
            "change": {"from": one.decision.current, "to": one.decision.to},
            "asked_at": text(one.asked_at),
            "deadline": text(one.deadline),
            "undeliverable": list(one.undeliverable),
        }
        for one in waiting
    ]
    words = (f"Waiting for approval: {len(waiting)} (GET /api/approvals?state=pending)",) if waiting else ()
    return Shown({"pending": len(waiting), "approved": len(approved), "waiting": views[:MOST]}, words)


async def actions(made: "Services", now: datetime) -> Shown:
    """How many changes are under way, and those whose end is overdue."""
    unfinished = [
        row.value
        async for state in made.stores.state.load_all(now)
        for row in state.actions.values()
        if row.value.is_unfinished
    ]
    targets = {target.deployment_id.key: target.name for target in (await made.policies.current()).targets}
    stuck = [one for one in unfinished if is_stuck(one, now)]
    views = [
        {
            "decision": one.key,
            "target": targets.get(one.target, one.target),
            "state": one.state,
            "since": text(one.sent_at or one.claimed_at),
        }
        for one in stuck
    ]
    minutes = STUCK_AFTER.total_seconds() / 60
    words = tuple(f"A change of {one['target']} has no end after {minutes:.0f} minutes" for one in views[:MOST])
    return Shown({"under_way": len(unfinished), "stuck": views[:MOST]}, words)


async def quarantine(made: "Services", now: datetime) -> Shown:
    """How much malformed input waits, and for how long the oldest has."""
    page = await made.intake.quarantine.query(state="open", limit=_PAGE)
    oldest = await made.intake.quarantine.oldest_open()
    view = {
        "open": len(page.entries),
        "more": page.next_cursor is not None,
        "oldest_age_s": None if oldest is None else (now - oldest.open_since).total_seconds(),
    }
    count = f"more than {_PAGE}" if page.next_cursor else f"{len(page.entries)}"
    return Shown(view, (f"Waiting in the quarantine: {count} (GET /api/quarantine)",) if page.entries else ())


async def dead_letters(made: "Services", now: datetime) -> Shown:
    """Every entity that the app or the policy names, and of the targets' queues those where some may wait."""
    ones = watched(await made.policies.current(), made.settings)
    counts = await count(made.reader.queues, ones, LATELY)
    listed = [one for one in ones if may_hold_some(one, counts) and not isinstance(counts.get(one.name), NotCountedYet)]
    found = await look(made.dead_letters, listed[:MOST], counts)
    views = [overview_view(looked, now) for looked in found]
    failed = [(looked, view) for looked, view in zip(found, views, strict=True) if "unreadable" in view]
    words = [
        f"Dead letters of {view['name']} cannot be read: {view['unreadable']}"
        for looked, view in failed
        if not looked.watched.target_queue
    ]
    blind = [str(view["unreadable"]) for looked, view in failed if looked.watched.target_queue]
    words += [f"Dead letters of {len(blind)} targets' queues cannot be read, such as {blind[0]}"] if blind else []
    words += [
        f"Dead letters of {view['name']}: {view['count']} (GET /api/dead-letters)" for view in views if view["count"]
    ]
    return Shown({"watched": len(ones), "entities": views}, tuple(words))


async def notices(made: "Services", now: datetime) -> Shown:
    """What people did not get within the last days, and the ways that do not work."""
    since, until = now - _NOTICES, now + timedelta(seconds=1)
    view: Plain = {}
    for state in ("open", *_UNDELIVERED):
        page = await made.stores.outbox.query(since=since, until=until, state=state, limit=_PAGE)
        view[state] = len(page.notices)
    broken = [lane for lane in await made.stores.outbox.channels() if lane.failures]
    view["channels_failing"] = [
        {"lane": lane.name, "failures_in_a_row": lane.failures, "problem": lane.problem} for lane in broken
    ]
    words = [f"Notices by {lane.name} fail: {lane.problem}" for lane in broken]
    if view["failed"]:
        words.append(f"Notices of 7 days that reached nobody: {view['failed']} (GET /api/notices?state=failed)")
    if view["nobody"]:
        words.append(f"Notices of 7 days without a channel: {view['nobody']} (GET /api/notices?state=nobody)")
    return Shown(view, tuple(words))
