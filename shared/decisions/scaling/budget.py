"""The budget: how many instances may run at once so that an hour of them costs no more than the policy allows."""

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.policy.scaling import Scaling

PRICE_UNKNOWN = (
    "What an instance costs is not known, so the budget cannot be checked and nothing grows on its account: write "
    "price_usd_per_hour in the policy."
)
# Guards floor() against 3.9999999999999996 instances.
_EPSILON = 1e-9


def allowed(policy: "Scaling", price_usd_per_hour: float | None, capacity: int) -> int | None:
    """Most instances that the budget allows, None without a budget.

    Never fewer than the policy's min. Without a price nothing can be checked: then as many as there are.
    """
    budget = policy.budget_usd_per_hour
    if budget is None or price_usd_per_hour == 0:
        return None
    if price_usd_per_hour is None:
        return max(policy.min, capacity)
    return max(policy.min, math.floor(min(budget / price_usd_per_hour, 1e6) + _EPSILON))
