"""Says when dead letters wait for somebody for too long, or when nobody can see whether they do."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from shared.domain import Notice, entry_id
from shared.estate.dead_letter_failures import DeadLetterFailure
from shared.estate.dead_letters import Overview
from shared.loops.dead_letter_sources import LATELY, Looked, NotCountedYet, Watched, count, look, watched
from shared.policy import PolicyUnavailable
from shared.upkeep.base import Chore, Done, Run

# A broker that fails over is back within minutes.
UNSEEN_FOR = timedelta(hours=1)
_TARGETS = "@targets"  # no entity's name begins so
_SHOWN = 5


def aged_notice(one: Watched, found: Overview, now: datetime) -> Notice | None:
    """The notice about one entity: once a day while its oldest dead letter is older than the policy says."""
    if found.oldest_at is None or now - found.oldest_at < one.older_than:
        return None
    hours = (now - found.oldest_at).total_seconds() / 3600
    count = f"{found.count}" if found.complete else f"more than {found.count}"
    reasons = ", ".join(f"{reason} ({n})" for reason, n in sorted(found.reasons.items(), key=lambda item: -item[1])[:5])
    return _notice(
        one,
        now,
        subject=f"Dead letters of {one.name} have waited for {hours:.0f} hours",
        text=(
            f"{count} messages of {one.entity} could not be taken by anybody and wait in its dead-letter queue. They "
            "have no effect until somebody submits them again, or discards them."
        ),
        facts={
            "messages": count,
            "oldest": f"{found.oldest_at:%Y-%m-%d %H:%M} UTC",
            "reasons": reasons,
            "to do": f"GET /api/dead-letters/{one.name}, then POST .../resubmit or .../discard",
        },
    )


def unseen_notice(one: Watched, why: str, since: datetime, now: datetime) -> Notice | None:
    """The notice that nobody knows whether there are dead letters: once a day after `UNSEEN_FOR`."""
    if now - since < UNSEEN_FOR:
        return None
    return _notice(
        one,
        now,
        subject=f"The dead letters of {one.name} cannot be read",
        text=f"Since {since:%Y-%m-%d %H:%M} UTC nobody knows whether messages wait there: {why}",
        facts={"entity": str(one.entity)},
    )


def blind_notice(blind: Sequence[Looked], since: datetime, now: datetime) -> Notice | None:
    """The same for the queues of targets, all in one: once a day after `UNSEEN_FOR`."""
    if now - since < UNSEEN_FOR:
        return None
    waiting = sum(looked.counted or 0 for looked in blind)
    return Notice(
        id=entry_id(now, "dead-letters-unseen-of-targets"),
        kind="dead_letters_aged",
        severity="warning",
        at=now,
        subject=f"The dead letters of {len(blind)} targets' queues cannot be read",
        text=f"Since {since:%Y-%m-%d %H:%M} UTC not all of them can be: {waiting} messages are known to wait there.",
        facts={
            **{looked.watched.name: str(looked.found) for looked in blind[:_SHOWN]},
            "to do": "mend what is said, or write `dead_letters: false` at the targets",
        },
    )


def _notice(one: Watched, now: datetime, *, subject: str, text: str, facts: dict[str, str]) -> Notice:
    what = "aged" if "oldest" in facts else "unseen"
    return Notice(
        id=entry_id(now, f"dead-letters-{what}-{one.name}"),
        kind="dead_letters_aged",
        severity="warning",
        at=now,
        subject=subject,
        text=text,
        project=one.project,
        owners=(one.owner,) if one.owner else (),
        facts=facts,
    )


async def _run(run: Run) -> Done:
    ones = await _watched(run)
    counts = await count(run.made.reader.queues, ones, LATELY)
    found = await look(run.made.dead_letters, ones, counts)
    notices, marks, said = [], {}, []
    for looked in found:
        one = looked.watched
        if isinstance(looked.found, Overview):
            notices.append(aged_notice(one, looked.found, run.now))
        elif one.target_queue is None:
            since = marks[one.name] = run.marks.get(one.name, run.now.isoformat())
            notices.append(unseen_notice(one, str(looked.found), datetime.fromisoformat(since), run.now))
            said.append(f"{one.name} cannot be read")
    if blind := [looked for looked in found if _is_blind(looked)]:
        since = marks[_TARGETS] = run.marks.get(_TARGETS, run.now.isoformat())
        notices.append(blind_notice(blind, datetime.fromisoformat(since), run.now))
        said.append(f"{len(blind)} targets' queues cannot be read")
    for notice in notices:
        if notice is not None:
            await run.made.door.tell(notice)
            said.append(notice.subject)
    return Done("; ".join(said), marks)


def _is_blind(looked: Looked) -> bool:
    """A target's queue that cannot be read: told of with all others, because one missing role hides thousands."""
    unseen = isinstance(looked.found, DeadLetterFailure) and not isinstance(looked.found, NotCountedYet)
    return unseen and looked.watched.target_queue is not None


async def _watched(run: Run) -> tuple[Watched, ...]:
    try:
        policy = await run.made.policies.current()
    except PolicyUnavailable:
        policy = None
    return watched(policy, run.made.settings)


CHORE = Chore(name="dead_letters", every=timedelta(minutes=15), run=_run)
