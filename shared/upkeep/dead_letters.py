"""Says when dead letters wait for somebody for too long, or when nobody can see whether they do."""

import asyncio
from datetime import datetime, timedelta

from shared.domain import Notice, entry_id
from shared.estate.dead_letter_failures import DeadLetterFailure
from shared.estate.dead_letters import Overview
from shared.loops.dead_letters import Watched, watched
from shared.policy import PolicyUnavailable
from shared.upkeep.base import Chore, Done, Run

# A broker that fails over is back within minutes.
UNSEEN_FOR = timedelta(hours=1)
# One that does not answer takes half a minute; hundreds of them must not take longer than a turn.
_AT_ONCE = 16


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
    slots = asyncio.Semaphore(_AT_ONCE)

    async def look(one: Watched) -> tuple[str, dict[str, str]]:
        async with slots:
            return await _look(run, one)

    found = await asyncio.gather(*(look(one) for one in await _watched(run)))
    marks = {name: since for _, more in found for name, since in more.items()}
    return Done("; ".join(said for said, _ in found if said), marks)


async def _look(run: Run, one: Watched) -> tuple[str, dict[str, str]]:
    """What there is to say of one entity, and since when it cannot be read, if it cannot."""
    said, marks = [], {}
    try:
        notice = aged_notice(one, await run.made.dead_letters.look(one.entity), run.now)
    except DeadLetterFailure as failure:  # of this one: the others are looked at
        since = run.marks.get(one.name, run.now.isoformat())
        marks[one.name] = since
        notice = unseen_notice(one, str(failure), datetime.fromisoformat(since), run.now)
        said.append(f"{one.name} cannot be read")
    if notice is not None:
        await run.made.door.tell(notice)
        said.append(notice.subject)
    return "; ".join(said), marks


async def _watched(run: Run) -> tuple[Watched, ...]:
    try:
        policy = await run.made.policies.current()
    except PolicyUnavailable:
        policy = None
    return watched(policy, run.made.settings)


CHORE = Chore(name="dead_letters", every=timedelta(minutes=15), run=_run)
