"""What the deployments take from the quota of their VM family: derived from what runs, never kept.

Source: how-to-manage-quotas (20 % more while a managed deployment updates), facts/limits.md "Azure ML quota and usage".
"""

import math

from local.cloud.estate import Deployment, Estate
from local.cloud.estate.estate import REGIONAL

UPDATE_RESERVE = 1.2


class Quota:
    """Usage and limits in vCPUs of a subscription and region, by family name or `REGIONAL` for all."""

    def __init__(self, estate: Estate) -> None:
        self._estate = estate

    def used_vcpus(self, subscription: str, region: str, family: str) -> int:
        return sum(
            self._taken_vcpus(deployment)
            for deployment in self._estate.deployments()
            if deployment.managed
            and deployment.subscription.lower() == subscription.lower()
            and deployment.region == region
            and family in (REGIONAL, deployment.size.family.name)
        )

    def shortage(self, deployment: Deployment, additional: int) -> str:
        """Why `additional` instances do not fit, or nothing."""
        need = with_reserve(additional * deployment.size.vcpus)
        for family in (deployment.size.family.name, REGIONAL):
            limit = self._estate.limit_vcpus(deployment.subscription, deployment.region, family)
            if limit < 0:
                continue
            used = self.used_vcpus(deployment.subscription, deployment.region, family)
            if used + need > limit:
                return (
                    f"Not enough quota available for {deployment.size.name} in {deployment.region}: {family}, "
                    f"current usage {used}, limit {limit}, additional needed {need} vCPUs."
                )
        return ""

    @staticmethod
    def _taken_vcpus(deployment: Deployment) -> int:
        added = len(deployment.in_state("pending")) if deployment.busy else 0
        vcpus = deployment.size.vcpus
        return (len(deployment.instances) - added) * vcpus + with_reserve(added * vcpus)


def with_reserve(vcpus: int) -> int:
    """With the 20 % on top, rounded up (in whole tenths, so that 10 needs 12 and not 13)."""
    return math.ceil(round(vcpus * UPDATE_RESERVE, 6))
