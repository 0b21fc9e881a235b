"""What stands at an endpoint, whatever the loops want: a person's pause, the platform's floors, changes by others."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from shared.domain import Action, Fresh, Intent, IntentKind, Source, TargetRecord
from shared.loops.looks import Look, Scene


def people_and_platform(scene: Scene, look: Look) -> list[Intent]:
    """A pause as a hold, the platform's floors as floors."""
    intents = []
    pause = scene.controls.pause_for(look.place)
    if pause is not None:
        reason = f"{pause.scope} is paused by {pause.by}: {pause.reason}."
        intents.append(_intent(scene, look, "hold", "person", "paused", reason, expires_at=pause.expires_at))
    for floor in scene.policy.floors_of(look.target):
        intents.append(
            _intent(scene, look, "floor", "platform", "platform_floor", floor.reason, value=floor.min_instances)
        )
    return intents


async def manual_change(scene: Scene, look: Look) -> list[Intent]:
    """A capacity that nobody of us ordered is a person's: respected for a while. Keeps in the look's record what
    capacity is known; the hold is in `look.noticed` too, to be told of.
    """
    seen, known = await _seen_and_known(scene, look)
    if seen is None:
        return []
    # Also when it is again what was last seen: the record must say when, to be newer than what came in between.
    if seen != look.record.known_capacity or seen != known:
        look.record = replace(look.record, known_capacity=seen, known_at=scene.now)
    if known is None or seen == known:
        return []
    change = {"from": float(known), "to": float(seen)}
    if any(i.value.source == "manual_change" and i.value.numbers == change for i in scene.state.intents):
        return []  # another look was faster, or this one was cut off after its notice
    until = scene.now + timedelta(seconds=look.target.scaling.respect_manual_s)
    reason = (
        f"Capacity went from {known} to {seen} by a change that Watchkeeper did not make; "
        f"it is left alone until {until:%Y-%m-%d %H:%M:%S} UTC."
    )
    hold = _intent(scene, look, "hold", "manual_change", "manual_change", reason, expires_at=until)
    look.noticed = replace(hold, numbers=change)
    return [look.noticed]


def speaking(standing: Iterable[Intent]) -> list[Intent]:
    """Without the put-backs that are over, and those that wait because the last change did not work: above the
    platform's hold, they would be tried again at every look.
    """
    every = list(standing)
    wait = {intent.target for intent in every if intent.rule == "backing_off"}
    return [i for i in every if not i.undoes or not (i.target in wait or is_over(i, every))]


def is_over(put_back: Intent, standing: Iterable[Intent]) -> bool:
    """Whether a person changed the capacity after another asked to put something back: the later word counts."""
    return any(
        intent.source == "manual_change" and intent.target == put_back.target and intent.at > put_back.at
        for intent in standing
    )


async def _seen_and_known(scene: Scene, look: Look) -> tuple[int | None, int | None]:
    """The capacity that is there, and the one that should be.

    What a sweep reads may be half a minute old. So a difference is looked at again, closely, before anybody is blamed
    for it, and so is what is there after a failure of ours; nothing is seen where that look finds none, nor while our
    own change runs.
    """
    capacity, action = look.snapshot.capacity, scene.action(look)
    known = expected_capacity(look.record, action)
    if not isinstance(capacity, Fresh) or scene.is_in_flight(look):
        return None, known
    if int(capacity.value) == known or (known is None and action is None):
        return int(capacity.value), known
    look.snapshot = (await look.loop.observe(scene.policy, [look.target], closely=True))[look.key]
    again = look.snapshot.capacity
    return int(again.value) if isinstance(again, Fresh) else None, known


def expected_capacity(record: TargetRecord, action: Action | None) -> int | None:
    """The capacity that should be there; None where any is as good: first sight, or a change of ours that failed.

    What was refused or superseded was not applied: it explains no other capacity than the one before it.
    """
    ended_at = action.ended_at if action else None
    if action is not None and ended_at is not None and (record.known_at is None or ended_at > record.known_at):
        if action.state == "succeeded":
            return action.to
        if action.state == "failed":
            return None
    return record.known_capacity


def _intent(
    scene: Scene,
    look: Look,
    kind: IntentKind,
    source: Source,
    rule: str,
    reason: str,
    value: int | None = None,
    expires_at: datetime | None = None,
) -> Intent:
    return Intent(
        target=look.key,
        dimension="capacity",
        kind=kind,
        source=source,
        rule=rule,
        reason=reason,
        at=scene.now,
        value=value,
        expires_at=expires_at,
    )
