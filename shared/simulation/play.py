"""A rule scales a site through a workload; the figures of what came of it."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from shared.simulation.site import Seen, Site, Terms
from shared.simulation.workload import Floats, Ints, Workload


class Rule(Protocol):
    """Says how many instances it wants, in each lane, at each tick. It may keep a state of its own."""

    def wanted(self, seen: Seen) -> Ints: ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Figures:
    """One value a lane. `late_share` of all items took longer than promised; delays in seconds."""

    late_share: Floats
    p99_delay_s: Floats
    instance_hours: Floats
    reversals_per_day: Floats
    changes_per_day: Floats
    undone: Floats
    """Instances that were given up before they were ready."""


def play(workload: Workload, terms: Terms, rule: Rule, lanes: int, seed: int = 0) -> Site:
    """The site at the end of the workload."""
    site = Site(workload, terms, lanes, seed)
    for _ in range(workload.ticks):
        site.scale(rule.wanted(site.see()))
        site.step()
    return site


# Arrivals of a tick are looked at in so many parts: a tick may be half of a short promise.
PARTS = 2


def delays(site: Site, lane: int, promise_s: float) -> tuple[Floats, Floats]:
    """Delay in seconds and weight in items, a part of a tick each: until done; of what is not started at the end the
    time that it has waited, or inf once that is longer than `promise_s`.
    """
    workload = site.workload
    shares = (np.arange(PARTS) + 0.5) / PARTS
    begins_s = np.concatenate(([0.0], np.cumsum(workload.work_s)[:-1]))
    work_s = (begins_s[:, None] + workload.work_s[:, None] * shares).ravel()
    arrived_s = ((np.arange(workload.ticks)[:, None] + shares) * workload.tick_s).ravel()
    weight = np.repeat(workload.items / PARTS, PARTS)
    own_s = np.repeat(
        np.divide(workload.work_s, workload.items, out=np.zeros(workload.ticks), where=workload.items > 0), PARTS
    )
    times_s = np.arange(workload.ticks + 1) * workload.tick_s
    started_s = np.interp(work_s, site.served_s[:, lane], times_s, right=np.inf)
    delay_s = np.maximum(started_s - arrived_s, 0.0) + own_s
    waits_s = workload.ticks * workload.tick_s - arrived_s
    delay_s = np.where(np.isinf(delay_s) & (waits_s <= promise_s), waits_s, delay_s)
    some = weight > 0
    return delay_s[some], weight[some]


def figures(site: Site, promise_s: float) -> Figures:
    """Of every lane. An item that has not been started counts as late once it has waited longer than promised."""
    late, p99 = np.zeros(site.lanes), np.zeros(site.lanes)
    for lane in range(site.lanes):
        delay_s, weight = delays(site, lane, promise_s)
        total = weight.sum()
        late[lane] = weight[delay_s > promise_s].sum() / total if total else 0.0
        order = np.argsort(delay_s)
        p99[lane] = delay_s[order][np.searchsorted(np.cumsum(weight[order]), 0.99 * total)] if total else 0.0
    moves = np.diff(site.asked, axis=0, prepend=np.full((1, site.lanes), site.terms.at_start))
    return Figures(
        late_share=late,
        p99_delay_s=p99,
        instance_hours=site.billed.sum(axis=0) * site.workload.tick_s / 3600,
        reversals_per_day=_reversals(moves) / site.workload.days,
        changes_per_day=(moves != 0).sum(axis=0) / site.workload.days,
        undone=site.cancelled,
    )


def _reversals(moves: Ints) -> Floats:
    """Changes in the direction opposite to the change before."""
    counts = np.zeros(moves.shape[1])
    for lane in range(moves.shape[1]):
        signs = np.sign(moves[moves[:, lane] != 0, lane])
        counts[lane] = (signs[1:] != signs[:-1]).sum()
    return counts
