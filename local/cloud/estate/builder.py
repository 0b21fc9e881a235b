"""From a short description to documents of Resource Manager, complete as a real GET shows them.

The documents have the fields of the published examples (Azure ML 2024-10-01, Service Bus 2024-01-01, autoscale
2022-10-01) and values of our own.
"""

import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from local.cloud.estate.resources import ML, AutoscaleSetting, Deployment, Endpoint, Namespace, Resource, Workspace
from local.cloud.estate.sizes import size_named
from local.cloud.estate.vaults import Vault

CREATED_AT = "2025-11-03T08:15:00.000Z"
FIRST_SECRETS_AT = datetime(2025, 11, 3, 8, 15, tzinfo=UTC)
CREATOR = "platform-team@watchkeeper.example"
KEYS = {
    "estate": {"subscriptions"},
    "subscription": {"id", "workspaces", "namespaces", "vaults", "autoscale", "quota"},
    "workspace": {"name", "group", "region", "tags", "endpoints"},
    "endpoint": {"name", "traffic", "tags", "kind", "deployments"},
    "deployment": {
        "name",
        "size",
        "capacity",
        "cold_start_s",
        "operation_s",
        "tags",
        "concurrency",
        "compute_type",
        "scale_settings",
    },
    "namespace": {"name", "group", "region", "tags", "queues"},
    "vault": {"name", "group", "region", "tags", "secrets"},
    "autoscale": {"name", "group", "region", "target", "enabled", "minimum", "maximum", "default"},
}


def subscription_id(number: int = 1) -> str:
    """A GUID of our own for the n-th subscription."""
    return str(uuid.UUID(f"5ab5c219-0b0e-4c6e-8c1d-{number:012d}"))


def fleet(
    *,
    subscriptions: int = 1,
    regions: tuple[str, ...] = ("westeurope",),
    endpoints: int = 10,
    deployments: int = 1,
    namespaces: int = 1,
    capacity: int = 2,
    size: str = "Standard_DS3_v2",
    cold_start_s: float = 300,
) -> dict[str, Any]:
    """A large estate for load tests: `endpoints` and `namespaces` are per subscription and region.

    Endpoint n of subscription s is `endpoint-s-n` (a name is unique in its region), its deployments are `d1`, `d2`, ...
    """
    described = [
        {"name": f"d{n}", "size": size, "capacity": capacity, "cold_start_s": cold_start_s}
        for n in range(1, deployments + 1)
    ]

    def endpoint(name: str) -> dict[str, Any]:
        return {"name": name, "traffic": {"d1": 100}, "deployments": described}

    def subscription(number: int) -> dict[str, Any]:
        return {
            "id": subscription_id(number),
            "workspaces": [
                {
                    "name": f"ws-{region}",
                    "group": f"rg-{region}",
                    "region": region,
                    "endpoints": [endpoint(f"endpoint-{number}-{n}") for n in range(1, endpoints + 1)],
                }
                for region in regions
            ],
            "namespaces": [
                {
                    "name": f"bus-{number}-{region}-{n}",
                    "group": f"rg-{region}",
                    "region": region,
                    "queues": [f"queue-{q}" for q in range(1, endpoints + 1) if q % namespaces == n - 1],
                }
                for region in regions
                for n in range(1, namespaces + 1)
            ],
            "quota": {region: {"regional": -1, size_named(size).family.name: -1} for region in regions},
        }

    return {"subscriptions": [subscription(number) for number in range(1, subscriptions + 1)]}


def resources(document: Mapping[str, Any]) -> Iterator[Resource]:
    """Every resource of a description, parents first.

    Raises:
        ValueError: an unknown or missing key, with its path.
    """
    _check("estate", document, "estate")
    for n, subscription in enumerate(_items(document, "subscriptions", "subscription", "")):
        where = f"subscriptions[{n}]."
        sub = str(_required(subscription, "id", where))
        for m, workspace in enumerate(_items(subscription, "workspaces", "workspace", where)):
            yield from _workspace(sub, workspace, f"{where}workspaces[{m}].")
        for m, namespace in enumerate(_items(subscription, "namespaces", "namespace", where)):
            yield _namespace(sub, namespace, f"{where}namespaces[{m}].")
        for m, vault in enumerate(_items(subscription, "vaults", "vault", where)):
            yield _vault(sub, vault, f"{where}vaults[{m}].")
        for m, setting in enumerate(_items(subscription, "autoscale", "autoscale", where)):
            yield _autoscale(sub, setting, f"{where}autoscale[{m}].")


def quota(document: Mapping[str, Any]) -> dict[tuple[str, str, str], int]:
    """Limits in vCPUs by (subscription, region, family name or "regional")."""
    return {
        (str(subscription["id"]).lower(), region, family): int(limit)
        for subscription in document.get("subscriptions", [])
        for region, limits in subscription.get("quota", {}).items()
        for family, limit in limits.items()
    }


def _workspace(sub: str, item: Mapping[str, Any], where: str) -> Iterator[Resource]:
    name, group, region = (str(_required(item, key, where)) for key in ("name", "group", "region"))
    resource_id = f"/subscriptions/{sub}/resourceGroups/{group}/providers/{ML}/{name}"
    properties = {"friendlyName": name, "workspaceId": _guid(resource_id), "provisioningState": "Succeeded"}
    body = _body(resource_id, name, ML, region, item, properties) | {
        "kind": "Default",
        "sku": {"name": "Basic", "tier": "Basic"},
        "identity": {"type": "SystemAssigned", "principalId": _guid(resource_id + "#identity"), "tenantId": _guid(sub)},
    }
    workspace = Workspace(id=resource_id, name=name, type=ML, subscription=sub, group=group, region=region, body=body)
    yield workspace
    for n, endpoint in enumerate(_items(item, "endpoints", "endpoint", where)):
        yield from _endpoint(workspace, endpoint, f"{where}endpoints[{n}].")


def _endpoint(workspace: Workspace, item: Mapping[str, Any], where: str) -> Iterator[Resource]:
    name = str(_required(item, "name", where))
    resource_type = f"{ML}/onlineEndpoints"
    resource_id = f"{workspace.id}/onlineEndpoints/{name}"
    base = f"https://{name}.{workspace.region}.inference.ml.azure.com"
    properties = {
        "authMode": "Key",
        "publicNetworkAccess": "Enabled",
        "traffic": dict(item.get("traffic", {})),
        "mirrorTraffic": {},
        "properties": {"azureml.onlineendpointid": resource_id.lower()},
        "scoringUri": f"{base}/score",
        "swaggerUri": f"{base}/swagger.json",
        "provisioningState": "Succeeded",
    }
    body = _body(resource_id, name, resource_type, workspace.region, item, properties) | {
        "kind": item.get("kind", "Managed"),
        "identity": {
            "type": "SystemAssigned",
            "principalId": _guid(resource_id),
            "tenantId": _guid(workspace.subscription),
        },
    }
    endpoint = Endpoint(
        subscription=workspace.subscription,
        group=workspace.group,
        region=workspace.region,
        id=resource_id,
        name=name,
        type=resource_type,
        body=body,
        workspace=workspace,
    )
    workspace.endpoints[name.lower()] = endpoint
    yield endpoint
    for n, deployment in enumerate(_items(item, "deployments", "deployment", where)):
        yield _deployment(endpoint, deployment, f"{where}deployments[{n}].")
    unknown = set(properties["traffic"]) - {deployment.name for deployment in endpoint.deployments.values()}
    if unknown:
        raise ValueError(f"{where}traffic names deployments that do not exist: {', '.join(sorted(unknown))}")


def _deployment(endpoint: Endpoint, item: Mapping[str, Any], where: str) -> Deployment:
    name = str(_required(item, "name", where))
    resource_type = f"{ML}/onlineEndpoints/deployments"
    resource_id = f"{endpoint.id}/deployments/{name}"
    properties = _deployment_properties(endpoint, item)
    body = _body(resource_id, name, resource_type, endpoint.region, item, properties) | {
        "kind": "Managed",
        "sku": {"name": "Default", "tier": "Standard", "capacity": int(item.get("capacity", 1))},
    }
    deployment = Deployment(
        subscription=endpoint.subscription,
        group=endpoint.group,
        region=endpoint.region,
        id=resource_id,
        name=name,
        type=resource_type,
        body=body,
        endpoint=endpoint,
        cold_start_s=float(item.get("cold_start_s", 300)),
        operation_s=item.get("operation_s"),
    )
    endpoint.deployments[name.lower()] = deployment
    return deployment


def _deployment_properties(endpoint: Endpoint, item: Mapping[str, Any]) -> dict[str, Any]:
    probe = {
        "failureThreshold": 30,
        "successThreshold": 1,
        "timeout": "PT2S",
        "period": "PT10S",
        "initialDelay": "PT10S",
    }
    return {
        "endpointComputeType": item.get("compute_type", "Managed"),
        "instanceType": size_named(item.get("size", "Standard_DS3_v2")).name,
        "model": f"{endpoint.workspace.id}/models/{endpoint.name}/versions/1",
        "environmentId": f"{endpoint.workspace.id}/environments/serving/versions/1",
        "codeConfiguration": {
            "codeId": f"{endpoint.workspace.id}/codes/scoring/versions/1",
            "scoringScript": "score.py",
        },
        "environmentVariables": {"LOG_LEVEL": "info"},
        "scaleSettings": dict(item.get("scale_settings", {"scaleType": "Default"})),
        "requestSettings": {
            "maxConcurrentRequestsPerInstance": item.get("concurrency", 1),
            "requestTimeout": "PT1M30S",
            "maxQueueWait": "PT0.5S",
        },
        "livenessProbe": dict(probe),
        "readinessProbe": dict(probe),
        "appInsightsEnabled": False,
        "egressPublicNetworkAccess": "Enabled",
        "provisioningState": "Succeeded",
        "properties": {},
    }


def _namespace(sub: str, item: Mapping[str, Any], where: str) -> Namespace:
    name, group, region = (str(_required(item, key, where)) for key in ("name", "group", "region"))
    resource_type = "Microsoft.ServiceBus/Namespaces"
    resource_id = f"/subscriptions/{sub}/resourceGroups/{group}/providers/Microsoft.ServiceBus/namespaces/{name}"
    properties = {
        "provisioningState": "Succeeded",
        "status": "Active",
        "createdAt": CREATED_AT,
        "updatedAt": CREATED_AT,
    }
    properties["serviceBusEndpoint"] = f"https://{name}.servicebus.windows.net:443/"
    body = _body(resource_id, name, resource_type, region, item, properties) | {
        "sku": {"name": "Standard", "tier": "Standard"}
    }
    queues = [str(queue) for queue in item.get("queues", [])]
    return Namespace(
        subscription=sub,
        group=group,
        region=region,
        id=resource_id,
        name=name,
        type=resource_type,
        body=body,
        queue_names=queues,
    )


def _vault(sub: str, item: Mapping[str, Any], where: str) -> Vault:
    name, group, region = (str(_required(item, key, where)) for key in ("name", "group", "region"))
    resource_type = "Microsoft.KeyVault/vaults"
    resource_id = f"/subscriptions/{sub}/resourceGroups/{group}/providers/Microsoft.KeyVault/vaults/{name}"
    properties = {
        "sku": {"family": "A", "name": "standard"},
        "tenantId": _guid(sub),
        "enableRbacAuthorization": True,
        "enableSoftDelete": True,
        "vaultUri": f"https://{name}.vault.azure.net/",
        "provisioningState": "Succeeded",
    }
    vault = Vault(
        subscription=sub,
        group=group,
        region=region,
        id=resource_id,
        name=name,
        type=resource_type,
        body=_body(resource_id, name, resource_type, region, item, properties),
    )
    for secret, value in item.get("secrets", {}).items():
        vault.set(str(secret), str(value), FIRST_SECRETS_AT)
    return vault


def _autoscale(sub: str, item: Mapping[str, Any], where: str) -> AutoscaleSetting:
    name, group, region, target = (str(_required(item, key, where)) for key in ("name", "group", "region", "target"))
    resource_type = "Microsoft.Insights/autoscaleSettings"
    resource_id = f"/subscriptions/{sub}/resourceGroups/{group}/providers/microsoft.insights/autoscalesettings/{name}"
    capacity = {
        key: str(item.get(key, fallback)) for key, fallback in (("minimum", 1), ("maximum", 10), ("default", 1))
    }
    properties = {
        "name": name,
        "enabled": item.get("enabled", True),
        "targetResourceUri": target,
        "targetResourceLocation": region,
        "profiles": [{"name": "default", "capacity": capacity, "rules": []}],
        "notifications": [],
        "predictiveAutoscalePolicy": None,
    }
    body = _body(resource_id, name, resource_type, region, item, properties)
    return AutoscaleSetting(
        subscription=sub, group=group, region=region, id=resource_id, name=name, type=resource_type, body=body
    )


def _body(
    resource_id: str, name: str, resource_type: str, region: str, item: Mapping[str, Any], properties: dict[str, Any]
) -> dict[str, Any]:
    return {
        "id": resource_id,
        "name": name,
        "type": resource_type,
        "location": region,
        "tags": dict(item.get("tags", {})),
        "systemData": {
            "createdAt": CREATED_AT,
            "createdBy": CREATOR,
            "createdByType": "User",
            "lastModifiedAt": CREATED_AT,
            "lastModifiedBy": CREATOR,
            "lastModifiedByType": "User",
        },
        "properties": properties,
    }


def _guid(text: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, text))


def _items(document: Mapping[str, Any], key: str, kind: str, where: str) -> list[Mapping[str, Any]]:
    items = document.get(key, [])
    if not isinstance(items, list):
        raise ValueError(f"{where}{key} must be a list")
    for n, item in enumerate(items):
        _check(kind, item, f"{where}{key}[{n}]")
    return items


def _check(kind: str, item: Any, where: str) -> None:
    if not isinstance(item, Mapping):
        raise ValueError(f"{where} must be an object")
    unknown = set(item) - KEYS[kind]
    if unknown:
        raise ValueError(f"{where}: unknown {', '.join(sorted(unknown))}; known: {', '.join(sorted(KEYS[kind]))}")


def _required(item: Mapping[str, Any], key: str, where: str) -> Any:
    if key not in item:
        raise ValueError(f"{where}{key} is missing")
    return item[key]
