"""The numbers on which a scaling decision rests, by name, for whoever looks at it later."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from shared.decisions.scaling.giving_back import GivingBack
from shared.decisions.scaling.load import Load
from shared.decisions.scaling.sizing import drain_s, wait_after

if TYPE_CHECKING:
    from shared.policy.scaling import Scaling


def of_load(load: Load, policy: "Scaling", needed: int, limits: Mapping[str, int]) -> dict[str, float]:
    """What is there and what comes: messages, messages a second, instances, seconds."""
    forecast, high = load.forecast.at(load.cold_start_s)
    numbers = {
        "depth": load.depth,
        "arrivals_per_s": load.arrivals_per_s,
        "service_rate_per_s": load.service_rate_per_s,
        "capacity": load.capacity,
        "ready": load.ready,
        "pending_in_s": load.pending_in_s,
        "drain_s": drain_s(load),
        "wait_at_cold_start_s": wait_after(load, load.cold_start_s),
        "needed": needed,
        "drain_within_s": policy.drain_within_s,
        "forecast_per_s": forecast,
        "forecast_high_per_s": high,
        "forecast_error_per_s": load.forecast.error_per_s,
        **({} if load.completions_per_s is None else {"completions_per_s": load.completions_per_s}),
        **{f"limit_{name}": limit for name, limit in limits.items()},
    }
    return {name: number for name, number in numbers.items() if math.isfinite(number)}  # "never" is no number


def of_freeze(load: Load, enough: int) -> dict[str, float]:
    """Of the freeze that counts now, through which `enough` instances would do; none without one."""
    if load.freeze is None:
        return {}
    return {
        "freeze_begins_in_s": max(0.0, load.freeze.begins_in_s),
        "freeze_ends_in_s": load.freeze.ends_in_s,
        "needed_through_freeze": enough,
    }


def of_giving_back(weighed: GivingBack) -> dict[str, float]:
    """Seconds of an instance."""
    return {"giving_back_saves_s": weighed.saves_s, "giving_back_harms_s": weighed.harms_s}
