"""Drain time and size: how long the queue takes with these instances, and how many it would need."""

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from shared.decisions.scaling.freezes import Freeze, horizon_s
from shared.decisions.scaling.load import Load

if TYPE_CHECKING:
    from shared.policy.scaling import Scaling

# The promise is at risk once this share of it would be used up: a rate that is a little too high for a moment is not.
AT_RISK_SHARE = 0.6
# What is ordered is to leave some of it unused.
ORDERED_SHARE = 0.75
# So many forecasts must have been judged before their usual excess takes the place of the policy's headroom.
JUDGED_ENOUGH = 36
# Beyond what is expected to arrive, if the forecast is one that was judged; what errors it makes comes on top.
LEARNED_RESERVE = 0.05
# However quick a cold start is, the next minute is looked at.
LEAST_AHEAD_S = 60.0
# Guards ceil() against 3.0000000000000004 instances.
_EPSILON = 1e-9


def drain_s(load: Load, capacity: int | None = None, arrives_in_s: float | None = None) -> float:
    """Seconds until the messages that wait now are served, first in first out; inf if never.

    Ready instances serve at once, all of `capacity` (default: what is ordered) after `arrives_in_s` (default: when the
    pending ones are expected).
    """
    if load.depth <= 0:
        return 0.0
    later = load.capacity if capacity is None else capacity
    switch_s = load.pending_in_s if arrives_in_s is None else arrives_in_s
    now_rate, later_rate = load.service_rate_per_s * min(load.ready, later), load.service_rate_per_s * later
    served_before = now_rate * switch_s
    if load.depth <= served_before:
        return load.depth / now_rate
    return switch_s + (load.depth - served_before) / later_rate if later_rate > 0 else math.inf


def arrivals_between(load: Load, begin_s: float, end_s: float) -> Iterator[tuple[float, float, float]]:
    """What is forecast to arrive from `begin_s` to `end_s` seconds from now: (until_s, mean_per_s, high_per_s)."""
    at_s = begin_s
    for until_s, mean, high in load.forecast.pieces:
        if until_s <= at_s:
            continue
        yield min(until_s, end_s), mean, high
        at_s = until_s
        if at_s >= end_s:
            return


def _backlog_after(load: Load, horizon_s: float) -> float:
    """Messages that will wait in `horizon_s` seconds if nothing new is ordered; pending capacity counted once."""
    backlog, at_s, serving = load.depth, 0.0, load.ready
    joins = [*load.pending, (math.inf, 0)]
    for until_s, arrivals_per_s, _ in arrivals_between(load, 0.0, horizon_s):
        while at_s < until_s:
            while joins[0][0] <= at_s:
                serving += joins.pop(0)[1]
            next_s = min(until_s, joins[0][0])
            backlog = max(0.0, backlog + (arrivals_per_s - load.service_rate_per_s * serving) * (next_s - at_s))
            at_s = next_s
    return backlog


def kept_backlog(load: Load, horizon_s: float) -> float:
    """What will wait of it all: a queue keeps everything, an endpoint that is called refuses more than waits now."""
    backlog = _backlog_after(load, horizon_s)
    return backlog if load.piles_up else min(backlog, load.depth)


def wait_after(load: Load, horizon_s: float) -> float:
    """Seconds that a message will wait which arrives in `horizon_s` seconds, if nothing new is ordered."""
    backlog = kept_backlog(load, horizon_s)
    rate = load.service_rate_per_s * load.capacity
    return 0.0 if backlog <= 0 else backlog / rate if rate > 0 else math.inf


def is_at_risk(load: Load, policy: "Scaling") -> bool:
    """Whether messages will wait too long by the time that a new instance could serve, and more would help them.

    It may wait no longer than until the next look can help: what is not ordered now may then still be ordered.
    """
    if _for_freeze(load, policy) > load.capacity:
        return True
    begin_s, end_s = _ahead(load)
    backlog = kept_backlog(load, begin_s)
    if for_backlog(load, backlog, policy.drain_within_s) > load.capacity:
        return True  # late already, however calm the minutes after are
    if backlog > 0 and for_arrivals(load, begin_s, end_s, 0) <= load.capacity:
        return False
    return _for_surprise(load, backlog, begin_s, end_s, policy.drain_within_s, AT_RISK_SHARE) > load.capacity


def is_expected_late(load: Load, policy: "Scaling") -> bool:
    """Whether the promise is at risk by what is expected, and not only by what may come at most."""
    begin_s, end_s = _ahead(load)
    backlog, expected = kept_backlog(load, begin_s), _expected(load, begin_s, end_s)
    return _for_a_share(load, backlog, expected, begin_s, policy.drain_within_s, AT_RISK_SHARE) > load.capacity


def needed(load: Load, policy: "Scaling") -> int:
    """Instances that, once they could serve, keep the promise and keep up with arrivals."""
    begin_s, end_s = _ahead(load)
    backlog = kept_backlog(load, begin_s)
    return whole(
        for_arrivals(load, begin_s, end_s, policy.headroom_pct),
        for_backlog(load, backlog, policy.drain_within_s),
        _for_surprise(load, backlog, begin_s, end_s, policy.drain_within_s, ORDERED_SHARE),
        _for_freeze(load, policy),
    )


def through_freeze(load: Load, policy: "Scaling") -> int:
    """Instances that suffice from now on until more could arrive after the freeze; 0 without one."""
    return 0 if load.freeze is None else _for_stretch(load, load.freeze, load.depth, 0.0, policy, AT_RISK_SHARE)


def _for_freeze(load: Load, policy: "Scaling") -> int:
    """Instances to be ordered before a freeze; in it there is nothing to order."""
    if load.freeze is None or load.freeze.begins_in_s <= 0:
        return 0
    backlog = kept_backlog(load, load.cold_start_s)
    return _for_stretch(load, load.freeze, backlog, load.cold_start_s, policy, ORDERED_SHARE)


def _for_stretch(load: Load, freeze: Freeze, backlog: float, begin_s: float, policy: "Scaling", share: float) -> int:
    """The fewest instances with which, though the most arrives that may, nothing waits longer than a share of the
    promise at any time from then on until more could arrive after the freeze. Calm before a rush does not help.
    """
    pieces = [
        (until_s, high) for until_s, _, high in arrivals_between(load, begin_s, horizon_s(freeze, load.cold_start_s))
    ]
    enough = whole(max(high for _, high in pieces) / load.service_rate_per_s)
    if not load.piles_up:
        return enough
    wait_s = share * policy.drain_within_s
    enough = max(enough, whole(for_backlog(load, backlog, wait_s)))
    return bisect_left(range(enough), True, key=lambda count: _keeps(load, count, backlog, begin_s, pieces, wait_s))


def _keeps(
    load: Load, count: int, backlog: float, at_s: float, pieces: Sequence[tuple[float, float]], wait_s: float
) -> bool:
    """Whether so many instances serve the arrivals, (until_s, rate), and what waits before them, in time."""
    serves_per_s = count * load.service_rate_per_s
    most = serves_per_s * wait_s
    for until_s, rate_per_s in pieces:
        if backlog > most:
            return False
        backlog = max(0.0, backlog + (rate_per_s - serves_per_s) * (until_s - at_s))
        at_s = until_s
    return backlog <= most


def _ahead(load: Load) -> tuple[float, float]:
    """From when on what is ordered now serves, and until when it is missing if only the next look orders it."""
    return load.cold_start_s, until_next_order(load)


def until_next_order(load: Load) -> float:
    """Seconds for which a look must see to what may come: after it the next look's order serves, even a late one."""
    return load.cold_start_s + max(load.cold_start_s, LEAST_AHEAD_S) + load.looks_every_s


def _expected(load: Load, begin_s: float, end_s: float) -> Iterator[tuple[float, float]]:
    return ((until_s, mean) for until_s, mean, _ in arrivals_between(load, begin_s, end_s))


def whole(*needs: float) -> int:
    """The instances that meet the greatest of these needs."""
    return math.ceil(max(needs) - _EPSILON)


def for_arrivals(load: Load, begin_s: float, end_s: float, headroom_pct: float) -> float:
    """Instances that serve the most that is expected at any time."""
    most = max(mean for _, mean, _ in arrivals_between(load, begin_s, end_s))
    reserve = LEARNED_RESERVE if load.forecast.judged >= JUDGED_ENOUGH and headroom_pct > 0 else headroom_pct / 100
    return most * (1 + reserve) / load.service_rate_per_s


def for_backlog(load: Load, backlog: float, drain_within_s: float) -> float:
    """Instances that drain so many messages in this time."""
    return backlog / (load.service_rate_per_s * drain_within_s)


def _for_surprise(
    load: Load, backlog: float, begin_s: float, end_s: float, drain_within_s: float, share: float
) -> float:
    """Instances with which no message waits for more than a share of the promise, though the most arrives that may."""
    most = ((until_s, high) for until_s, _, high in arrivals_between(load, begin_s, end_s))
    return _for_a_share(load, backlog, most, begin_s, drain_within_s, share)


def _for_a_share(
    load: Load,
    backlog: float,
    arrivals: Iterable[tuple[float, float]],
    begin_s: float,
    drain_within_s: float,
    share: float,
) -> float:
    """Instances that serve the backlog of `begin_s` and the arrivals, (until_s, rate), in a share of the promise."""
    most, at_s = 0.0, begin_s
    for until_s, rate_per_s in arrivals:
        backlog += rate_per_s * (until_s - at_s)
        at_s = until_s
        most = max(most, backlog / (at_s - begin_s + share * drain_within_s))
    return most / load.service_rate_per_s
