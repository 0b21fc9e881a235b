"""How Azure slows a caller down: Resource Manager's token buckets and Resource Graph's quota, on the injected clock."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from local.cloud.arm_errors import ArmError

# Requests that do not change anything draw on the read bucket; Resource Manager goes by the method (request-limits
# page).
READ_METHODS = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class BucketSizes:
    """Sizes of the buckets. Source: request-limits-and-throttling (2024 on), facts/arm.md section 4, facts/limits.md.

    A bucket is per subscription, principal and region; the caller of the local Azure sits in one region. The global
    bucket is per subscription, `global_factor` times as large. A vault answers `vault_reads` requests for secrets in
    `vault_window_s` (Key Vault service limits).
    """

    reads: float = 250
    reads_per_s: float = 25
    writes: float = 200
    writes_per_s: float = 10
    global_factor: float = 15
    graph_queries: int = 15
    graph_window_s: float = 5
    vault_reads: int = 4000
    vault_window_s: float = 10


class TokenBucket:
    """Starts full, refills evenly, never holds more than its size."""

    def __init__(self, size: float, refill_per_s: float, now: datetime) -> None:
        self._size = size
        self._refill_per_s = refill_per_s
        self._tokens = size
        self._at = now

    def wait_s(self, now: datetime) -> float:
        """Seconds until one token is there; 0 if it is there now."""
        self._refill(now)
        return max(0.0, (1 - self._tokens) / self._refill_per_s)

    def take(self, now: datetime) -> None:
        """Take one token; ask `wait_s` first."""
        self._refill(now)
        self._tokens -= 1

    @property
    def remaining(self) -> int:
        return max(0, math.floor(self._tokens))

    def _refill(self, now: datetime) -> None:
        elapsed_s = max(0.0, (now - self._at).total_seconds())
        self._tokens = min(self._size, self._tokens + elapsed_s * self._refill_per_s)
        self._at = max(self._at, now)


class ArmThrottle:
    """Resource Manager's buckets, one pair for each subscription and principal."""

    def __init__(self, sizes: BucketSizes) -> None:
        self._sizes = sizes
        self._buckets: dict[tuple[str, ...], TokenBucket] = {}

    def admit(self, subscription: str, principal: str, method: str, now: datetime) -> dict[str, str]:
        """Take a token from the caller's bucket and the subscription's; return the headers that say what is left.

        Raises:
            ArmError: 429 with Retry-After in whole seconds.
        """
        kind = "reads" if method in READ_METHODS else "writes"
        own = self._bucket((subscription.lower(), kind, principal), kind, 1, now)
        shared = self._bucket((subscription.lower(), kind), kind, self._sizes.global_factor, now)
        wait_s = max(own.wait_s(now), shared.wait_s(now))
        if wait_s > 0:
            raise self._throttled(subscription, kind, wait_s)
        own.take(now)
        shared.take(now)
        return {
            f"x-ms-ratelimit-remaining-subscription-{kind}": str(own.remaining),
            f"x-ms-ratelimit-remaining-subscription-global-{kind}": str(shared.remaining),
        }

    def _bucket(self, key: tuple[str, ...], kind: str, factor: float, now: datetime) -> TokenBucket:
        if key not in self._buckets:
            size = getattr(self._sizes, kind) * factor
            self._buckets[key] = TokenBucket(size, getattr(self._sizes, f"{kind}_per_s") * factor, now)
        return self._buckets[key]

    def _throttled(self, subscription: str, kind: str, wait_s: float) -> ArmError:
        retry_after_s = max(1, math.ceil(wait_s))
        return ArmError(
            429,
            "SubscriptionRequestsThrottled",
            f"Number of '{kind}' requests for subscription '{subscription}' exceeded the limit of "
            f"'{getattr(self._sizes, kind):g}'. Please try again after '{retry_after_s}' seconds.",
            {"Retry-After": str(retry_after_s), f"x-ms-ratelimit-remaining-subscription-{kind}": "0"},
        )


class GraphQuota:
    """Resource Graph's quota: so many queries in each window and principal.

    Source: resource-graph/concepts/guidance-for-throttled-requests; body of the 429: azure-cli-extensions#3325. No
    Retry-After is documented: the caller is told by x-ms-user-quota-resets-after.
    """

    def __init__(self, sizes: BucketSizes) -> None:
        self._limit = sizes.graph_queries
        self._window = timedelta(seconds=sizes.graph_window_s)
        self._used: dict[str, tuple[datetime, int]] = {}

    def admit(self, principal: str, now: datetime) -> dict[str, str]:
        """Count one query and return the quota headers.

        Raises:
            ArmError: 429 RateLimiting with the same headers.
        """
        started, used = self._used.get(principal, (now, 0))
        if now >= started + self._window:
            started, used = now, 0
        resets_after_s = math.ceil((started + self._window - now).total_seconds())
        headers = {"x-ms-user-quota-resets-after": str(timedelta(seconds=resets_after_s)).zfill(8)}
        if used >= self._limit:
            raise self._throttled(now, headers | {"x-ms-user-quota-remaining": "0"})
        self._used[principal] = (started, used + 1)
        return headers | {"x-ms-user-quota-remaining": str(self._limit - used - 1)}

    @staticmethod
    def _throttled(now: datetime, headers: dict[str, str]) -> ArmError:
        error = ArmError(
            429,
            "RateLimiting",
            f"Please provide below info when asking for support: timestamp = {now.isoformat()}",
            headers,
        )
        error.details.append(
            {
                "code": "RateLimiting",
                "message": "Client application has been throttled and should not attempt to repeat the request until "
                "an amount of time has elapsed. Please see https://aka.ms/resourcegraph-throttling for help.",
            }
        )
        return error
