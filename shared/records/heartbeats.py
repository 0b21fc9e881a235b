"""Signs of life of the two timers, and what is said when one is missing. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from shared.domain import Notice, entry_id
from shared.records.progress import Progress

SILENCE = timedelta(minutes=10)
"""Without a sign of life for this long, a timer has stopped: both run at least once a minute."""

WATCHED = {"sweep": "sweep", "upkeep": "dead_mans_switch"}
"""The timers, and the row of progress that each writes most often."""


def silent(known: Mapping[str, Progress], now: datetime) -> dict[str, datetime]:
    """The timers that have stopped, with their last sign of life. One that never ran is not known to have stopped."""
    beats = {timer: known.get(row) for timer, row in WATCHED.items()}
    return {timer: beat.began_at for timer, beat in beats.items() if beat and now - beat.began_at >= SILENCE}


def notice_of_silence(timer: str, since: datetime, now: datetime) -> Notice:
    """One notice a day for each silence."""
    effects = {
        "sweep": "Nobody looks at any target: nothing is scaled, and nothing that was begun is followed.",
        "upkeep": "Chores are not done: nothing is archived, and nobody looks after what waits.",
    }
    return Notice(
        id=entry_id(now, f"{timer}-stopped-{since.astimezone(UTC):%Y%m%dT%H%M%S}"),
        kind="sweep_stopped",
        severity="critical",
        at=now,
        subject=f"The {timer} timer has stopped",
        text=f"The last sign of life was at {since:%Y-%m-%d %H:%M:%S} UTC. {effects[timer]}",
        facts={"timer": timer},
    )
