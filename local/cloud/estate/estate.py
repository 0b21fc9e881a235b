"""The estate: all resources by id, the quota of each region, and how to describe it (`Estate.from_dict`)."""

import threading
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from local.cloud.estate import builder
from local.cloud.estate.resources import AutoscaleSetting, Deployment, Endpoint, Namespace, Resource, Workspace
from local.cloud.estate.vaults import Vault

DEFAULT_FAMILY_LIMIT_VCPUS = 100
DEFAULT_REGIONAL_LIMIT_VCPUS = 1_000
REGIONAL = "regional"


class Estate:
    """Everything that exists. `lock` guards it: requests, clock callbacks and the workload are different threads.

    Quota limits are in vCPUs, by (subscription, region, family name or "regional"); -1 is "no limit of its own".
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.quota: dict[tuple[str, str, str], int] = {}
        self._by_id: dict[str, Resource] = {}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> "Estate":
        """An estate from plain data; the keys are shown in `local/cloud/README.md`.

        Raises:
            ValueError: an unknown or missing key, with its path.
        """
        estate = cls()
        for resource in builder.resources(document):
            estate.add(resource)
        estate.quota = builder.quota(document)
        return estate

    def add(self, resource: Resource) -> None:
        if resource.id.lower() in self._by_id:
            raise ValueError(f"two resources with the id {resource.id}")
        self._by_id[resource.id.lower()] = resource

    def get(self, resource_id: str) -> Resource | None:
        """By id, in any letter case."""
        return self._by_id.get(resource_id.lower().rstrip("/"))

    def deployment(self, resource_id: str) -> Deployment:
        """Raises: KeyError if there is no such deployment."""
        found = self.get(resource_id)
        if not isinstance(found, Deployment):
            raise KeyError(f"no deployment {resource_id}")
        return found

    def endpoint(self, resource_id: str) -> Endpoint:
        """Raises: KeyError if there is no such endpoint."""
        found = self.get(resource_id)
        if not isinstance(found, Endpoint):
            raise KeyError(f"no endpoint {resource_id}")
        return found

    def vault(self, name: str) -> Vault:
        """By its name. Raises: KeyError if there is no such vault."""
        for found in self.all():
            if isinstance(found, Vault) and found.name.lower() == name.lower():
                return found
        raise KeyError(f"no vault {name}")

    def resolves(self, host: str) -> bool:
        """Whether a host name has an address: that of a vault has one only while the vault exists."""
        name, _, domain = host.partition(".")
        vaults = {found.name.lower() for found in self.all() if isinstance(found, Vault)}
        return domain != "vault.azure.net" or name in vaults

    def all(self) -> Iterable[Resource]:
        return self._by_id.values()

    def workspaces(self) -> list[Workspace]:
        return [found for found in self.all() if isinstance(found, Workspace)]

    def endpoints(self) -> list[Endpoint]:
        return [found for found in self.all() if isinstance(found, Endpoint)]

    def deployments(self) -> list[Deployment]:
        return [found for found in self.all() if isinstance(found, Deployment)]

    def namespaces(self) -> list[Namespace]:
        return [found for found in self.all() if isinstance(found, Namespace)]

    def autoscale_settings(self) -> list[AutoscaleSetting]:
        return [found for found in self.all() if isinstance(found, AutoscaleSetting)]

    def regions(self) -> set[str]:
        return {found.region for found in self.all()}

    def limit_vcpus(self, subscription: str, region: str, family: str) -> int:
        default = DEFAULT_REGIONAL_LIMIT_VCPUS if family == REGIONAL else DEFAULT_FAMILY_LIMIT_VCPUS
        return self.quota.get((subscription.lower(), region, family), default)

    def populate(self, now: datetime) -> None:
        """Give every deployment the instances of its capacity, ready, and date the first version of every document."""
        for deployment in self.deployments():
            for _ in range(deployment.body["sku"]["capacity"] - len(deployment.instances)):
                deployment.new_instance(now, now).state = "ready"
        for resource in self.all():
            if not resource.versions:
                # Older than any age that Resource Graph's rows may have.
                resource.publish(datetime.min.replace(tzinfo=UTC))
