"""The estate that the local Azure holds in memory: what exists, and how a test or a demo describes it."""

from local.cloud.estate.builder import fleet, subscription_id
from local.cloud.estate.estate import Estate
from local.cloud.estate.resources import AutoscaleSetting, Deployment, Endpoint, Instance, Namespace, Workspace
from local.cloud.estate.vaults import SecretVersion, Vault

__all__ = [
    "AutoscaleSetting",
    "Deployment",
    "Endpoint",
    "Estate",
    "Instance",
    "Namespace",
    "SecretVersion",
    "Vault",
    "Workspace",
    "fleet",
    "subscription_id",
]
