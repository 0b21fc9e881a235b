"""Owners that Azure knows: the tags of the resource behind a target, read once an hour at most."""

from collections.abc import Callable, Mapping
from datetime import datetime

from shared.estate import deployments
from shared.estate.arm import Arm
from shared.estate.cache import Cached
from shared.estate.failures import ArmFailure
from shared.policy import PolicyCache

KEPT_S = 3600.0


class ResourceTags:
    """Tags of targets, by the target's name; empty for a name that the policy does not have."""

    def __init__(self, arm: Arm, policies: PolicyCache, now: Callable[[], datetime]) -> None:
        self._arm, self._policies, self._now = arm, policies, now
        self._cached: Cached[str, Mapping[str, str]] = Cached(self._read, KEPT_S, now, ArmFailure)

    async def of(self, target: str) -> Mapping[str, str]:
        """Raises ArmFailure: the resource cannot be read."""
        return (await self._cached.get(target))[1]

    async def _read(self, target: str) -> Mapping[str, str]:
        known = (await self._policies.current()).target(target)
        if known is None:
            return {}
        return (await deployments.read(self._arm, known.deployment_id, self._now())).tags
