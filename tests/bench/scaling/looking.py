"""What a peer sees, in the tests of its rule."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bench.scaling.peers.base import Setting, looked_at
from shared.simulation.play import Rule
from shared.simulation.site import Seen


def setting(**changes: Any) -> Setting:
    """A promise of 600 s at 2 s an item, looked at every minute."""
    return replace(Setting(tick_s=60, min=1, max=100, at_start=1, service_s=2, promise_s=600), **changes)


def seen(now_s: float, depth: float | Sequence[float], capacity: int | Sequence[int], **more: float) -> Seen:
    """`ready` and `in_service` are as many as there are, if nothing else is said; metrics are missing."""
    depths = np.atleast_1d(np.asarray(depth, dtype=np.float64))
    sizes = np.broadcast_to(np.asarray(capacity, dtype=np.int64), depths.shape)
    ready = np.full(depths.shape, more.pop("ready")).astype(np.int64) if "ready" in more else sizes
    busy = np.full(depths.shape, more.pop("in_service", np.nan))
    fresh = looked_at(
        now_s,
        depth=depths,
        capacity=sizes,
        ready=ready,
        in_service=np.where(np.isnan(busy), np.minimum(depths, ready), busy),
    )
    metrics: dict[str, Any] = {name: np.full(depths.shape, value) for name, value in more.items()}
    return replace(fresh, **metrics)


def sizes(rule: Rule, looks: Sequence[tuple[float, float]], capacity: int, *, tick_s: float = 60) -> list[int]:
    """Capacity after each look; `looks` are (ticks since the start, depth). All is taken, and serves at once."""
    found = []
    for tick, depth in looks:
        capacity = int(rule.wanted(seen(tick * tick_s, depth, capacity))[0])
        found.append(capacity)
    return found
