"""The goals of the scaling decision, as questions to what was measured. Fixed before anything was tuned."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from shared.simulation.workload import Floats

LONG_COLD_START_S = 900.0
HALF = 0.5
FEW_POINTS = 3
NOISE_ERRORS = 2.0
NOISE_SHARE = 0.0005
COST_RATIO, COST_EXCESS = 1.3, 0.01
REVERSALS_RATIO, REVERSALS_HOURS = 1 / 3, 1.1
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """The figures of one run. Shares of 1, seconds, hours of one instance; `undone` instances never got ready."""

    late_share: float
    p99_delay_s: float
    instance_hours: float
    reversals_per_day: float
    changes_per_day: float
    undone: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """One who scales, with a course for each seed. `queue_per_target`: by the depth over a target, as KEDA and AWS."""

    name: str
    courses: tuple[Course, ...]
    queue_per_target: bool = False

    def each(self, figure: str) -> Floats:
        return np.array([getattr(course, figure) for course in self.courses], dtype=np.float64)

    def mean(self, figure: str) -> float:
        return float(self.each(figure).mean())

    @property
    def late(self) -> float:
        return self.mean("late_share")

    @property
    def hours(self) -> float:
        return self.mean("instance_hours")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """Ours, the limit and the peers' points on the same seeds. `learnable` None: nobody has said."""

    workload: str
    learnable: bool | None
    cold_start_s: float
    promise_s: float
    ours: Runner
    clairvoyant: Runner
    peers: tuple[Runner, ...]

    @property
    def excess(self) -> float:
        """Ours: share of items late beyond the clairvoyant's."""
        return self.excess_of(self.ours)

    def excess_of(self, runner: Runner) -> float:
        return max(0.0, runner.late - self.clairvoyant.late)

    @property
    def hours_ratio(self) -> float:
        """Ours to the clairvoyant's."""
        return self.ours.hours / self.clairvoyant.hours if self.clairvoyant.hours else math.inf

    @property
    def not_dearer(self) -> list[Runner]:
        """The peers' points with no more instance-hours than ours."""
        return [peer for peer in self.peers if peer.hours <= self.ours.hours + ROUNDING]

    @property
    def not_later(self) -> list[Runner]:
        return [peer for peer in self.peers if peer.late <= self.ours.late + ROUNDING]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`told` has the numbers. A goal that would count only if the load were learnable is `conditional`."""

    goal: str
    passed: bool
    told: str
    conditional: bool = False


def verdicts(contest: Contest) -> list[Verdict]:
    """Of all goals that are set for this workload and cold start."""
    found = []
    if contest.cold_start_s >= LONG_COLD_START_S:
        if contest.learnable is not False:
            found += [_half(contest), _cost(contest)]
        found += [_reversals(contest), _undone(contest)]
    else:
        found.append(_frontier(contest))
    return [*found, _nowhere_worse(contest)]


def best_peer(contest: Contest) -> Runner:
    """The one to show beside ours: least late for no more hours, or cheapest for no more lateness, or least late."""
    if contest.not_dearer:
        return min(contest.not_dearer, key=_by_lateness)
    return min(contest.not_later, key=_by_hours) if contest.not_later else min(contest.peers, key=_by_lateness)


def best_queue_peer(contest: Contest) -> Runner | None:
    """Of those that scale on depth over a target: least late for at most a tenth more hours, or least late."""
    queue = [peer for peer in contest.peers if peer.queue_per_target]
    affordable = [peer for peer in queue if peer.hours <= REVERSALS_HOURS * contest.ours.hours + ROUNDING]
    return min(affordable or queue, key=_by_lateness, default=None)


def _by_lateness(runner: Runner) -> tuple[float, float]:
    return runner.late, runner.hours


def _by_hours(runner: Runner) -> tuple[float, float]:
    return runner.hours, runner.late


def _half(contest: Contest) -> Verdict:
    """Excess lateness: half of any point's with no more hours; where there are few, also hours at equal lateness."""
    points = contest.not_dearer
    nearest = min((contest.excess_of(peer) for peer in points), default=math.inf)
    passed = contest.excess <= HALF * nearest + ROUNDING
    told = f"excess late {_pct(contest.excess)}, {len(points)} points with no more hours"
    if points:
        told += f", the best of them {_pct(nearest)}"
    if len(points) < FEW_POINTS:
        cheapest = min((peer.hours for peer in contest.not_later), default=math.inf)
        passed = passed and contest.ours.hours <= cheapest + ROUNDING
        told += f"; at no more lateness {contest.ours.hours:.0f} h against {_hours(cheapest)} of the cheapest point"
    return Verdict(goal="half", passed=passed, told=told, conditional=contest.learnable is None)


def _cost(contest: Contest) -> Verdict:
    passed = contest.hours_ratio <= COST_RATIO + ROUNDING and contest.excess <= COST_EXCESS + ROUNDING
    told = f"{contest.hours_ratio:.2f} x the clairvoyant's hours at {_pct(contest.excess)} excess late"
    return Verdict(goal="cost", passed=passed, told=told, conditional=contest.learnable is None)


def _reversals(contest: Contest) -> Verdict:
    peer = best_queue_peer(contest)
    ours = contest.ours.mean("reversals_per_day")
    if peer is None:
        return Verdict(goal="reversals", passed=True, told=f"{ours:.1f} a day; no queue-per-target peer took part")
    theirs = peer.mean("reversals_per_day")
    told = f"{ours:.1f} a day against {theirs:.1f} of {peer.name}"
    return Verdict(goal="reversals", passed=ours <= REVERSALS_RATIO * theirs + ROUNDING, told=told)


def _undone(contest: Contest) -> Verdict:
    undone = float(contest.ours.each("undone").sum())
    return Verdict(goal="undone", passed=undone == 0, told=f"{undone:.0f} instances given up before they were ready")


def _nowhere_worse(contest: Contest) -> Verdict:
    """Than any point with no more hours, by more than noise."""
    by = [(_worse(contest.ours, peer, "late_share", NOISE_SHARE), peer) for peer in contest.not_dearer]
    worst, peer = max(by, key=lambda each: each[0], default=(-math.inf, None))
    if peer is None or worst <= ROUNDING:
        told = f"later than none of {len(by)} points with no more hours"
        return Verdict(goal="nowhere worse", passed=True, told=told)
    told = f"{_pct(contest.ours.late)} late, {_pct(peer.late)} with {peer.name} for {peer.hours:.0f} h, ours "
    return Verdict(goal="nowhere worse", passed=False, told=told + f"{contest.ours.hours:.0f} h")


def _frontier(contest: Contest) -> Verdict:
    """No point has both fewer hours and less lateness, beyond noise."""
    inside = [
        peer
        for peer in contest.peers
        if _worse(contest.ours, peer, "late_share", NOISE_SHARE) > ROUNDING
        and _worse(contest.ours, peer, "instance_hours", 0.0) > ROUNDING
    ]
    told = f"{_pct(contest.ours.late)} late at {contest.ours.hours:.0f} h"
    if inside:
        peer = min(inside, key=_by_lateness)
        told += f"; {len(inside)} points are better in both, as {peer.name}: {_pct(peer.late)} at {peer.hours:.0f} h"
    return Verdict(goal="frontier", passed=not inside, told=told)


def _worse(ours: Runner, peer: Runner, figure: str, slack: float) -> float:
    """By how much ours exceeds the peer's beyond the noise of seeds (two standard errors of the paired difference)."""
    difference = ours.each(figure) - peer.each(figure)
    error = difference.std(ddof=1) / math.sqrt(len(difference)) if len(difference) > 1 else 0.0
    return float(difference.mean() - NOISE_ERRORS * error - slack)


def tally(found: Iterable[Verdict]) -> dict[str, tuple[int, int]]:
    """Of each goal: in how many contests it was reached, and of how many."""
    counts: dict[str, tuple[int, int]] = {}
    for verdict in found:
        reached, of = counts.get(verdict.goal, (0, 0))
        counts[verdict.goal] = (reached + verdict.passed, of + 1)
    return counts


def _pct(share: float) -> str:
    return f"{100 * share:.2f} %"


def _hours(hours: float) -> str:
    return f"{hours:.0f} h" if math.isfinite(hours) else "none"
