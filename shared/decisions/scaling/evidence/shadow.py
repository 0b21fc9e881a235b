"""Would the decisions have kept the promise? A queue beside the real one, served by the instances that were decided.

It takes the measured arrivals and the service rate that the decision believes; the decisions themselves rest on the
real queue. That makes the shadow strict where capacity is given back, and mild where the real queue suffers from too
few instances: there the decisions see more need than they would have left.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.decisions.scaling.instances import cold_start_s, given_up
from shared.decisions.scaling.load import service_rate_per_s
from shared.domain import Fresh, Missing, PendingOrder, ScalingMemory, ScalingSnapshot, Shadow, ShadowDay, aged

if TYPE_CHECKING:
    from shared.policy.scaling import Scaling

MOST_DAYS = 15
# After a longer silence nobody knows what arrived: the shadow begins anew from the queue as it is.
LONGEST_GAP_S = 300.0
# An hour that was seen for less tells nothing of the hour.
ENOUGH_OF_HOUR_S = 1800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What counts of one look."""

    depth: float
    arrivals_per_s: float
    capacity: int
    ready: int
    rate_per_s: float
    cold_start_s: float


def watched(
    shadow: Shadow,
    snapshot: ScalingSnapshot,
    memory: ScalingMemory,
    policy: "Scaling",
    wanted: int | None,
    now: datetime,
) -> Shadow:
    """The shadow after a look at `now`; `wanted` instances were decided, None where the decision hesitates. Pure."""
    if shadow.at is not None and now <= shadow.at:
        return shadow
    shadow = _next_hour(shadow, now)
    seen = _seen(snapshot, memory, policy, now)
    shadow = _tallied(shadow, now, looks=1, fresh=int(_is_fresh(snapshot, policy, now)))
    if seen is None:
        return shadow
    if shadow.at is None or (now - shadow.at).total_seconds() > LONGEST_GAP_S:
        return _begun(shadow, seen, now)
    shadow = _passed(shadow, seen, policy, now)
    return shadow if wanted is None else _changed(shadow, wanted, policy, now)


def _is_fresh(snapshot: ScalingSnapshot, policy: "Scaling", now: datetime) -> bool:
    measured = (
        snapshot.depth,
        snapshot.arrivals_per_s,
        snapshot.completions_per_s,
        snapshot.capacity,
        snapshot.ready,
    )
    return all(isinstance(aged(one, now, policy.stale_after_s), Fresh) for one in measured)


def _seen(snapshot: ScalingSnapshot, memory: ScalingMemory, policy: "Scaling", now: datetime) -> _Seen | None:
    depth, capacity = (aged(one, now, policy.stale_after_s) for one in (snapshot.depth, snapshot.capacity))
    arrivals = snapshot.arrivals_per_s
    if not isinstance(depth, Fresh) or not isinstance(capacity, Fresh) or isinstance(arrivals, Missing):
        return None
    ready = capacity.value if isinstance(snapshot.ready, Missing) else min(snapshot.ready.value, capacity.value)
    return _Seen(
        depth=depth.value,
        arrivals_per_s=arrivals.value,
        capacity=int(capacity.value),
        ready=int(ready),
        rate_per_s=service_rate_per_s(memory, policy),
        cold_start_s=cold_start_s(memory, policy),
    )


def _begun(shadow: Shadow, seen: _Seen, now: datetime) -> Shadow:
    coming = seen.capacity - seen.ready
    return replace(
        shadow,
        at=now,
        backlog=seen.depth,
        capacity=seen.capacity,
        ready=seen.ready,
        pending=(PendingOrder(at=now, instances=coming),) if coming > 0 else (),
        changed_at=None,
        less_since=None,
        direction=0,
    )


def _passed(shadow: Shadow, seen: _Seen, policy: "Scaling", now: datetime) -> Shadow:
    """The time since the last look passes in the shadow, and is judged."""
    assert shadow.at is not None
    passed_s = (now - shadow.at).total_seconds()
    due = now - timedelta(seconds=seen.cold_start_s)
    joined = sum(order.instances for order in shadow.pending if order.at <= due)
    ready = shadow.ready + joined
    pending = tuple(order for order in shadow.pending if order.at > due)
    backlog = max(0.0, shadow.backlog + (seen.arrivals_per_s - seen.rate_per_s * ready) * passed_s)
    late = _late(policy, backlog, seen.rate_per_s * ready)
    late_as_is = _late(policy, seen.depth, seen.rate_per_s * seen.ready)
    shadow = replace(
        shadow,
        at=now,
        backlog=backlog,
        ready=ready,
        pending=pending,
        hour_s=shadow.hour_s + passed_s,
        hour_busy=shadow.hour_busy or seen.depth > 0 or seen.arrivals_per_s > 0,
        hour_late=shadow.hour_late or late,
        hour_late_as_is=shadow.hour_late_as_is or late_as_is,
    )
    return _tallied(shadow, now, decided_instance_s=shadow.capacity * passed_s, instance_s=seen.capacity * passed_s)


def _late(policy: "Scaling", backlog: float, rate_per_s: float) -> bool:
    """Whether what arrives now would wait for longer than promised."""
    return backlog > policy.drain_within_s * rate_per_s


def _changed(shadow: Shadow, wanted: int, policy: "Scaling", now: datetime) -> Shadow:
    """The shadow has what was decided; what is given back, no sooner than the decision would."""
    more = wanted - shadow.capacity
    shadow = replace(shadow, less_since=(shadow.less_since or now) if more < 0 else None)
    if more == 0 or (more < 0 and not _may_shrink(shadow, policy, now)):
        return shadow
    direction = 1 if more > 0 else -1
    shadow = _tallied(shadow, now, changes=1, reversals=int(shadow.direction not in (0, direction)))
    ordered = (*shadow.pending, PendingOrder(at=now, instances=more)) if more > 0 else shadow.pending
    return replace(
        shadow,
        capacity=wanted,
        ready=min(shadow.ready, wanted),
        pending=given_up(ordered, -more),
        changed_at=now,
        less_since=None,
        direction=direction,
    )


def _may_shrink(shadow: Shadow, policy: "Scaling", now: datetime) -> bool:
    """Once fewer would do for as long as the policy asks, and the last change is as old as it asks."""
    cooled = shadow.changed_at is None or (now - shadow.changed_at).total_seconds() >= policy.cooldown_s
    lasted = shadow.less_since is not None and (now - shadow.less_since).total_seconds() >= policy.hold_s
    return cooled and lasted


def _next_hour(shadow: Shadow, now: datetime) -> Shadow:
    """Where an hour is over: it is judged, and the next begins."""
    hour = now.replace(minute=0, second=0, microsecond=0)
    if shadow.hour == hour:
        return shadow
    if shadow.hour is not None and shadow.hour_busy and shadow.hour_s >= ENOUGH_OF_HOUR_S:
        kept, as_is = int(not shadow.hour_late), int(not shadow.hour_late_as_is)
        shadow = _tallied(shadow, shadow.hour, hours=1, kept=kept, kept_as_is=as_is)
    return replace(shadow, hour=hour, hour_s=0.0, hour_busy=False, hour_late=False, hour_late_as_is=False)


def _tallied(shadow: Shadow, at: datetime, **more: float) -> Shadow:
    """With `more` of these counts in the day of `at`; the oldest days go."""
    name = at.date().isoformat()
    days = {day.day: day for day in shadow.days}
    day = days.get(name) or ShadowDay(day=name)
    days[name] = replace(day, **{field: getattr(day, field) + count for field, count in more.items()})
    return replace(shadow, days=tuple(days[one] for one in sorted(days)[-MOST_DAYS:]))
