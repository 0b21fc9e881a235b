"""Azure Monitor autoscale settings: another writer of the same sku.capacity, which Watchkeeper must not fight.

Requests: `GET /subscriptions/{s}/providers/Microsoft.Insights/autoscalesettings` and its next pages.
"""

from collections.abc import Callable, Mapping
from datetime import datetime

from shared.domain import DeploymentId
from shared.estate import api
from shared.estate.arm import Arm
from shared.estate.cache import Cached

KEEP_S = 300.0


class AutoscaleReader:
    """Which resource has an enabled autoscale setting; kept for five minutes per subscription."""

    def __init__(self, arm: Arm, now: Callable[[], datetime]) -> None:
        self._arm = arm
        self._by_subscription = Cached(self._load, KEEP_S, now)

    def forget(self) -> None:
        """Read anew what is asked from now on."""
        self._by_subscription.forget()

    async def setting_for(self, deployment: DeploymentId, *, fresh: bool = False) -> str:
        """The resource id of the enabled setting on this deployment, "" if there is none.

        Raises:
            ArmFailure: the settings could not be read, so nobody knows.
        """
        _, enabled = await self._by_subscription.get(deployment.subscription.lower(), fresh=fresh)
        return enabled.get(deployment.key, "")

    async def _load(self, subscription: str) -> Mapping[str, str]:
        enabled: dict[str, str] = {}
        path = f"/subscriptions/{subscription}/providers/Microsoft.Insights/autoscalesettings"
        async for page in self._arm.pages(path, api.AUTOSCALE):
            for setting in page.get("value") or ():
                properties = setting.get("properties") or {}
                target = str(properties.get("targetResourceUri") or "").lower()
                if target and properties.get("enabled", True):  # absent: the cautious reading
                    enabled[target] = str(setting.get("id") or setting.get("name") or target)
        return enabled
