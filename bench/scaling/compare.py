"""Ours, the peers and the clairvoyant on one workload at one cold start and seed; then all seeds together."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from bench.scaling import plots, reuse
from bench.scaling.clairvoyant import clairvoyant
from bench.scaling.goals import Contest, Course, Runner, best_peer
from bench.scaling.peers import Together, contenders
from bench.scaling.traces import read
from bench.scaling.workloads import Listed, listed
from shared.policy import LearnedRate, Scaling
from shared.simulation.ours import Ours
from shared.simulation.play import figures, play
from shared.simulation.site import Site, Terms
from shared.simulation.workload import Workload

LONG_COLD_START_S = 180.0
LONG_PROMISE_S, SHORT_PROMISE_S = 600.0, 120.0
LEAST_PROMISE_ITEMS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where workloads come from: an entry of the list, or a file with the columns that are to be read."""

    name: str = ""
    path: Path | None = None
    column: str | None = None
    service: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One seed of one workload (the `index`th of its source) at one cold start; of `days`, only its first days."""

    source: Source
    index: int
    cold_start_s: float
    seed: int
    days: float | None = None
    promise_s: float | None = None
    one_operation: bool = False
    plots: Path | None = None
    reuse: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Others:
    """All that does not depend on our decision. Without sites if it was not played now."""

    clairvoyant: Runner
    peers: tuple[Runner, ...]
    clairvoyant_site: Site | None = None
    peers_site: Site | None = None


@lru_cache(maxsize=2)
def workloads(source: Source, seed: int) -> tuple[tuple[Listed, ...], tuple[str, ...]]:
    """The workloads of a source, and why others are missing. Raises as `traces.read`."""
    if source.path is None:
        found, skipped = listed([source.name], seed=seed)
        return tuple(found), tuple(skipped)
    read_now = read(source.path, column=source.column, service=source.service, seed=seed)
    return tuple(
        Listed(group=workload.name, workload=workload, learnable=False, mended=mended) for workload, mended in read_now
    ), ()


def promise_for(cold_start_s: float, service_s: float) -> float:
    """Seconds; fixed before anything was tuned."""
    promise_s = LONG_PROMISE_S if cold_start_s >= LONG_COLD_START_S else SHORT_PROMISE_S
    return max(promise_s, LEAST_PROMISE_ITEMS * service_s)


def policy_for(workload: Workload, terms: Terms, promise_s: float) -> Scaling:
    """What our side is told; the rest are the policy's defaults."""
    return Scaling(
        min=terms.min,
        max=terms.max,
        drain_within_s=promise_s,
        forecast="on",
        cold_start_s=terms.cold_start_s,
        service_rate=LearnedRate(learn=True, prior_per_instance_per_s=1 / workload.service_s),
    )


def run(job: Job) -> Contest:
    """A contest of one seed."""
    entry = workloads(job.source, job.seed)[0][job.index]
    workload = entry.workload if job.days is None else beginning(entry.workload, job.days)
    terms = Terms(cold_start_s=job.cold_start_s, one_operation=job.one_operation)
    promise_s = job.promise_s or promise_for(job.cold_start_s, workload.service_s)
    rule = Ours(policy=policy_for(workload, terms, promise_s), terms=terms, starts_at=workload.starts_at)
    site = play(workload, terms, rule, lanes=1, seed=job.seed)
    others = _others(job, workload, terms, promise_s)
    contest = Contest(
        workload=workload.name,
        learnable=entry.learnable if job.source.path is None else None,
        cold_start_s=job.cold_start_s,
        promise_s=promise_s,
        ours=Runner(name="ours", courses=courses(site, promise_s)),
        clairvoyant=others.clairvoyant,
        peers=others.peers,
    )
    if job.plots is not None:
        _plot(job.plots, contest, site, others)
    return contest


def together(seeds: Sequence[Contest]) -> Contest:
    """The contest of all seeds from those of each; a peer's points are in the same order in all of them."""

    def runner(runners: Iterable[Runner]) -> Runner:
        all_seeds = list(runners)
        return replace(all_seeds[0], courses=tuple(course for one in all_seeds for course in one.courses))

    return replace(
        seeds[0],
        ours=runner(contest.ours for contest in seeds),
        clairvoyant=runner(contest.clairvoyant for contest in seeds),
        peers=tuple(runner(same) for same in zip(*(contest.peers for contest in seeds), strict=True)),
    )


def courses(site: Site, promise_s: float) -> tuple[Course, ...]:
    """One a lane."""
    told = figures(site, promise_s)
    return tuple(
        Course(**{name: float(getattr(told, name)[lane]) for name in Course.__slots__}) for lane in range(site.lanes)
    )


def beginning(workload: Workload, days: float) -> Workload:
    ticks = round(days * 86_400 / workload.tick_s)
    return replace(workload, items=workload.items[:ticks], work_s=workload.work_s[:ticks])


def _others(job: Job, workload: Workload, terms: Terms, promise_s: float) -> Others:
    if job.reuse is None or job.plots is not None:
        return _play_others(workload, terms, promise_s, job.seed)
    path = job.reuse / f"{reuse.key(workload, terms, promise_s, job.seed)}.json"
    known = reuse.load(path)
    if known is not None:
        return Others(clairvoyant=known[0], peers=tuple(known[1:]))
    others = _play_others(workload, terms, promise_s, job.seed)
    reuse.save(path, [others.clairvoyant, *others.peers])
    return others


def _play_others(workload: Workload, terms: Terms, promise_s: float, seed: int) -> Others:
    peers = contenders(workload, terms, promise_s)
    rules = Together(peers)
    site = play(workload, terms, rules, rules.lanes, seed)
    names = [(f"{peer.name} {point}", peer.queue_per_target) for peer in peers for point in peer.points]
    runners = [
        Runner(name=name, courses=(course,), queue_per_target=queue_per_target)
        for (name, queue_per_target), course in zip(names, courses(site, promise_s), strict=True)
    ]
    limit = clairvoyant(workload, terms, promise_s).site
    return Others(
        clairvoyant=Runner(name="clairvoyant", courses=courses(limit, promise_s)),
        peers=tuple(runners),
        clairvoyant_site=limit,
        peers_site=site,
    )


def _plot(folder: Path, contest: Contest, site: Site, others: Others) -> None:
    assert others.peers_site is not None
    assert others.clairvoyant_site is not None
    peer = best_peer(contest)
    lane = contest.peers.index(peer)
    tracks = [
        _track("ours", site, 0),
        _track(peer.name, others.peers_site, lane),
        _track("clairvoyant", others.clairvoyant_site, 0),
    ]
    title = f"{contest.workload}: cold start {contest.cold_start_s:.0f} s, promise {contest.promise_s:.0f} s"
    plots.draw(folder / f"{contest.workload}_{contest.cold_start_s:.0f}.png", title, site.workload, tracks)


def _track(name: str, site: Site, lane: int) -> plots.Track:
    instances = site.asked[:, lane].astype(np.float64)
    return plots.Track(name=name, depth=site.depth[1:, lane], instances=instances)
