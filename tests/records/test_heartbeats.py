"""When a timer is said to have stopped."""

from datetime import UTC, datetime, timedelta

from shared.records.heartbeats import SILENCE, WATCHED, silent
from shared.records.progress import Progress
from shared.upkeep.dead_mans_switch import CHORE

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


def test_a_timer_without_a_sign_of_life_has_stopped() -> None:
    known = {row: Progress(name=row, began_at=NOW - SILENCE, ended_at=NOW) for row in WATCHED.values()}
    assert silent(known, NOW) == dict.fromkeys(WATCHED, NOW - SILENCE)
    assert silent(known, NOW - timedelta(seconds=1)) == {}
    assert silent({}, NOW) == {}


def test_who_dies_as_the_dead_mans_switch_is_followed_long_before_that() -> None:
    died = Progress(name=CHORE.name, began_at=NOW)
    assert CHORE.is_due(died, NOW + SILENCE / 2)
