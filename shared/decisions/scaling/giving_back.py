"""What suffices: capacity goes when what that saves is expected to exceed what it harms within a cold start.

Both are reckoned in seconds of an instance. A price of lateness is nobody's to know, but whoever asks for capacity in
93 of 100 cases has said what the other seven weigh: a second in which an instance lacks weighs as 93/7 idle ones.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

from shared.decisions.scaling.load import Load
from shared.decisions.scaling.sizing import (
    AT_RISK_SHARE,
    JUDGED_ENOUGH,
    arrivals_between,
    for_arrivals,
    for_backlog,
    through_freeze,
    until_next_order,
    whole,
)

if TYPE_CHECKING:
    from shared.policy.scaling import Scaling

# So far ahead it is looked whether what is given back is wanted back. Then it saved nothing: two changes for nothing.
PATIENCE_S = 3600.0
# A quantile nearer to the mean than this tells no deviation.
_LEAST_DEVIATIONS = 0.5
_ROOT_2 = math.sqrt(2)


class GivingBack(NamedTuple):
    """What it is expected to come to when instances are given back, in seconds of an instance.

    `saves_s`: not paid for within the hour, less all of it as far as they are wanted back in it.
    `harms_s`: lacking within a cold start, until others could serve, as the policy's quantile weighs that.
    """

    saves_s: float
    harms_s: float


class _Need(NamedTuple):
    """Instances needed at some time until `until_s`: a normal distribution."""

    until_s: float
    mean: float
    deviation: float

    def exceeds(self, count: int) -> float:
        """The chance that more than `count` are."""
        if self.deviation <= 0:
            return float(self.mean > count)
        return 0.5 * math.erfc((count - self.mean) / (self.deviation * _ROOT_2))


def sufficient(load: Load, policy: "Scaling") -> int:
    """Instances that suffice from now on; none of the rest would be ordered back at the next look."""
    kept = max(
        whole(for_backlog(load, load.depth, policy.drain_within_s), _most_needed(load, policy)),
        through_freeze(load, policy),
    )
    if kept >= load.capacity:
        return kept
    if not may_be_weighed(load):
        return max(kept, whole(for_arrivals(load, 0.0, load.cold_start_s, policy.headroom_pct)))
    needs = _needs(load, policy)
    worth_it = bisect_left(
        range(kept, load.capacity), True, key=lambda left: _is_worth_it(_weighed(needs, left, load, policy))
    )
    return kept + worth_it


def may_be_weighed(load: Load) -> bool:
    """Whether it is known how far off forecasts are."""
    return load.forecast.judged >= JUDGED_ENOUGH


def weighed(load: Load, policy: "Scaling", to: int) -> GivingBack:
    """What it comes to if only `to` instances are kept."""
    needs = _needs(load, policy)
    each = [_weighed(needs, left, load, policy) for left in range(to, load.capacity)]
    return GivingBack(sum(one.saves_s for one in each), sum(one.harms_s for one in each))


def _is_worth_it(one: GivingBack) -> bool:
    return one.saves_s > one.harms_s


def _weighed(needs: Sequence[_Need], left: int, load: Load, policy: "Scaling") -> GivingBack:
    """Of the last instance above `left`, by the chance, from time to time, that it is needed by then."""
    begin_s = saves_s = lacks_s = wanted = 0.0
    for need in needs:
        wanted = max(wanted, need.exceeds(left))
        saves_s += (1 - wanted) * (need.until_s - begin_s)
        lacks_s += wanted * max(0.0, min(need.until_s, load.cold_start_s) - begin_s)
        begin_s = need.until_s
    quantile_pct = policy.forecast_quantile_pct
    return GivingBack(saves_s - wanted * PATIENCE_S, lacks_s * quantile_pct / (100 - quantile_pct))


def _most_needed(load: Load, policy: "Scaling") -> float:
    """Instances without which the next look would order, though the most arrives that may."""
    most = ((until_s, high) for until_s, _, high in arrivals_between(load, 0.0, until_next_order(load)))
    return max(need for _, need in _needed_by_then(load, most, policy))


def _needs(load: Load, policy: "Scaling") -> list[_Need]:
    """What is needed until each piece's end, as uncertain as the upper bound is far from the mean."""
    deviations = max(_LEAST_DEVIATIONS, NormalDist().inv_cdf(policy.forecast_quantile_pct / 100))
    pieces = list(arrivals_between(load, 0.0, PATIENCE_S))
    expected = _needed_by_then(load, ((until_s, mean) for until_s, mean, _ in pieces), policy)
    most = _needed_by_then(load, ((until_s, high) for until_s, _, high in pieces), policy)
    return [
        _Need(until_s, mean, (high - mean) / deviations)
        for (until_s, mean), (_, high) in zip(expected, most, strict=True)
    ]


def _needed_by_then(
    load: Load, arrivals: Iterable[tuple[float, float]], policy: "Scaling"
) -> Iterator[tuple[float, float]]:
    """Instances that serve all arrivals, (until_s, rate), in a share of the promise: (until_s, for all until then).

    From whatever moment on: what is idle in the calm before a rush does not serve it.
    """
    wait_s = AT_RISK_SHARE * policy.drain_within_s
    before = [(0.0, -load.depth)]  # what had come until each moment; what waits now comes with the first
    begin_s = came = most = 0.0
    for until_s, rate_per_s in arrivals:
        came += rate_per_s * (until_s - begin_s)
        most = max(most, *[(came - then) / (until_s - at_s + wait_s) for at_s, then in before])
        yield until_s, most / load.service_rate_per_s
        before.append((until_s, came))
        begin_s = until_s
