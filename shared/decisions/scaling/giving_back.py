"""What suffices: capacity goes when what that saves is expected to exceed what it harms within a cold start.

Both are reckoned in seconds of an instance. A price of lateness is nobody's to know, but whoever asks for capacity in
93 of 100 cases has said what the other seven weigh: a second in which an instance lacks weighs as 93/7 idle ones.
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

from shared.decisions.scaling.load import Load
from shared.decisions.scaling.sizing import (
    AT_RISK_SHARE,
    JUDGED_ENOUGH,
    arrivals_between,
    for_arrivals,
    for_backlog,
    for_surprise,
    served_in_time,
    through_freeze,
    until_next_order,
    whole,
)

if TYPE_CHECKING:
    from shared.policy.scaling import Scaling

# So far ahead it is looked whether what is given back is wanted back.
PATIENCE_S = 3600.0
# A quantile nearer to the mean than this tells no deviation.
_LEAST_DEVIATIONS = 0.5
_ROOT_2 = math.sqrt(2)


class GivingBack(NamedTuple):
    """What it is expected to come to when instances are given back, in seconds of an instance.

    `saves_s`: not paid for within the hour, less the cold start that is paid for if they are wanted back in it.
    `harms_s`: lacking until others could serve, as the policy's quantile weighs that.
    """

    saves_s: float
    harms_s: float

    @property
    def is_worth_it(self) -> bool:
        return self.saves_s > self.harms_s


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
        whole(
            for_backlog(load, load.depth, policy.drain_within_s),
            for_surprise(load, load.depth, 0.0, until_next_order(load), policy.drain_within_s, AT_RISK_SHARE),
        ),
        through_freeze(load, policy),
    )
    if kept >= load.capacity:
        return kept
    if load.forecast.judged < JUDGED_ENOUGH:  # nobody knows yet how far off a forecast is
        return max(kept, whole(for_arrivals(load, 0.0, load.cold_start_s, policy.headroom_pct)))
    needs = _needs(load, policy)
    worth_it = bisect_left(
        range(kept, load.capacity), True, key=lambda left: _weighed(needs, left, load, policy).is_worth_it
    )
    return kept + worth_it


def weighed(load: Load, policy: "Scaling", to: int) -> GivingBack:
    """What it comes to if only `to` instances are kept."""
    needs = _needs(load, policy)
    each = [_weighed(needs, left, load, policy) for left in range(to, load.capacity)]
    return GivingBack(sum(one.saves_s for one in each), sum(one.harms_s for one in each))


def _weighed(needs: Sequence[_Need], left: int, load: Load, policy: "Scaling") -> GivingBack:
    """Of the last instance above `left`, by the chance, from time to time, that it is needed by then."""
    begin_s = saves_s = lacks_s = wanted = 0.0
    for need in needs:
        wanted = max(wanted, need.exceeds(left))
        saves_s += (1 - wanted) * (need.until_s - begin_s)
        lacks_s += wanted * max(0.0, min(need.until_s, load.cold_start_s) - begin_s)
        begin_s = need.until_s
    quantile_pct = policy.forecast_quantile_pct
    return GivingBack(saves_s - wanted * load.cold_start_s, lacks_s * quantile_pct / (100 - quantile_pct))


def _needs(load: Load, policy: "Scaling") -> list[_Need]:
    """What serves all in time until each piece's end, as uncertain as the upper bound is far from the mean."""
    deviations = max(_LEAST_DEVIATIONS, NormalDist().inv_cdf(policy.forecast_quantile_pct / 100))
    pieces = list(arrivals_between(load, 0.0, PATIENCE_S))
    wait_s = AT_RISK_SHARE * policy.drain_within_s
    expected = served_in_time(load, load.depth, ((end_s, mean) for end_s, mean, _ in pieces), 0.0, wait_s)
    most = served_in_time(load, load.depth, ((end_s, high) for end_s, _, high in pieces), 0.0, wait_s)
    return [
        _Need(until_s, mean, (high - mean) / deviations)
        for (until_s, mean), (_, high) in zip(expected, most, strict=True)
    ]
