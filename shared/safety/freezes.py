"""The gate of freeze windows: when nothing may be changed; and how far ahead a loop can see the next one."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from shared.domain import Act, Place
from shared.policy.calendar import NEAR_DAYS, Stretch, windows_near
from shared.policy.freezes import Freeze
from shared.safety.facts import ActFacts, Refusal

# Windows that follow each other without a gap are looked through for this long.
_HORIZON = timedelta(days=400)
_LOOK_AHEAD = timedelta(days=1)


def gate(facts: ActFacts) -> Refusal | None:
    concerned = concerning(facts.rules.freezes, facts.place, facts.act)
    shut = [(end, freeze) for freeze in concerned if (end := frozen_until(freeze, facts.now)) is not None]
    if not shut:
        return None
    end, freeze = max(shut, key=lambda one: one[0])
    local = end.astimezone(freeze.zone_info)
    return Refusal(
        code="frozen",
        reason=f"Freeze window '{freeze.name}': no {facts.act} until {local:%a %Y-%m-%d %H:%M} ({freeze.zone}). "
        f"{freeze.reason.rstrip('.')}.",
        remedy=_remedy(opening(concerned, facts.now), facts),
    )


def concerning(freezes: Iterable[Freeze], place: Place, act: Act) -> list[Freeze]:
    """Those that stop `act` at `place` in their windows."""
    scopes = set(place.scopes)
    return [freeze for freeze in freezes if act not in freeze.allowed and scopes & set(freeze.scopes)]


def _remedy(opens: datetime | None, facts: ActFacts) -> str:
    if opens is None:
        return "The freeze windows of the policy leave no gap within a year: shorten one to let anything happen."
    when = f"{opens:%Y-%m-%d %H:%M} UTC"
    return f"It opens by itself at {when}; if {facts.act} cannot wait, name it in `allow` of that freeze in the policy."


def frozen_until(freeze: Freeze, now: datetime) -> datetime | None:
    """When the window that contains `now` ends (UTC; the last one if several do), None outside of all."""
    ends = [end for start, end in windows_near(freeze, now.astimezone(UTC).date()) if start <= now < end]
    return max(ends, default=None)


def opening(freezes: Iterable[Freeze], now: datetime) -> datetime | None:
    """The first moment from `now` on that lies in no window, None if there is none for more than a year."""
    every, moment = list(freezes), now
    while moment - now < _HORIZON:
        ends = [end for freeze in every if (end := frozen_until(freeze, moment)) is not None]
        if not ends:
            return moment
        moment = max(ends)
    return None


def next_start(freeze: Freeze, now: datetime) -> datetime | None:
    """When the next window begins after `now` (UTC), None if one that repeats does not for more than a year."""
    moment = now
    while moment - now < _HORIZON:
        starts = [start for start, _ in windows_near(freeze, moment.astimezone(UTC).date()) if start > now]
        if starts:
            return min(starts)
        moment += timedelta(days=NEAR_DAYS)
    return None


def freeze_ahead(freezes: Iterable[Freeze], now: datetime) -> Stretch | None:
    """The windows that contain `now`, else the next that begin within a day, joined where they touch; None: neither.

    `freezes` are those that concern the act (`concerning`). What never ends is cut off after more than a year.
    """
    every = list(freezes)
    near = [window for freeze in every for window in windows_near(freeze, now.astimezone(UTC).date())]
    starts = [start for start, end in near if end > now and start <= now + _LOOK_AHEAD]
    if not starts:
        return None
    begins = min(starts)
    return begins, opening(every, max(begins, now)) or now + _HORIZON
