"""Drain time and size: how long the queue takes with these instances, and how many it would need."""

import math

from shared.decisions.scaling.load import Load

# The promise is at risk once this share of it would be used up: a rate that is a little too high for a moment is not.
AT_RISK_SHARE = 0.5
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


def backlog_after(load: Load, horizon_s: float) -> float:
    """Messages that will wait in `horizon_s` seconds if nothing new is ordered; pending capacity counted once."""
    pending_s = min(horizon_s, load.pending_in_s)
    at_arrival = max(0.0, load.depth + (load.arrivals_per_s - load.service_rate_per_s * load.ready) * pending_s)
    rest_s = horizon_s - pending_s
    return max(0.0, at_arrival + (load.arrivals_per_s - load.service_rate_per_s * load.capacity) * rest_s)


def wait_after(load: Load, horizon_s: float) -> float:
    """Seconds that a message will wait which arrives in `horizon_s` seconds, if nothing new is ordered."""
    backlog = backlog_after(load, horizon_s)
    rate = load.service_rate_per_s * load.capacity
    return 0.0 if backlog <= 0 else backlog / rate if rate > 0 else math.inf


def is_at_risk(load: Load, drain_within_s: float, cold_start_s: float) -> bool:
    """Whether messages will wait too long by the time that a new instance could serve, and more would help them."""
    too_few = needed(load, drain_within_s, cold_start_s, headroom_pct=0) > load.capacity
    return too_few and wait_after(load, cold_start_s) > AT_RISK_SHARE * drain_within_s


def needed(load: Load, drain_within_s: float, horizon_s: float, headroom_pct: float) -> int:
    """Instances that keep up with arrivals (plus headroom) and serve the backlog of then within the promise."""
    for_arrivals = load.arrivals_per_s * (1 + headroom_pct / 100) / load.service_rate_per_s
    for_backlog = backlog_after(load, horizon_s) / (load.service_rate_per_s * drain_within_s)
    return math.ceil(max(for_arrivals, for_backlog) - _EPSILON)
