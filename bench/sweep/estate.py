"""An estate of many targets, and the policy that watches it.

Three subscriptions, three regions each; endpoints of five deployments, each deployment with a queue of its own, eleven
namespaces a subscription and region. A project has an endpoint for dev, stage and prod: 300 projects are 4,500 targets.
"""

from typing import Any

from local.cloud.estate import subscription_id

BUSY_SHARE = 20
SUBSCRIPTIONS, REGIONS = 3, ("westeurope", "northeurope", "swedencentral")
DEPLOYMENTS, ENVIRONMENTS, NAMESPACES = 5, ("dev", "stage", "prod"), 11
PLACES = [(number, region) for number in range(1, SUBSCRIPTIONS + 1) for region in REGIONS]


def endpoint_count(targets: int) -> int:
    return max(1, targets // DEPLOYMENTS)


def _place(endpoint: int) -> tuple[int, str]:
    return PLACES[endpoint % len(PLACES)]


def _bus(endpoint: int) -> str:
    number, region = _place(endpoint)
    return f"bus-{number}-{region}-{(endpoint // len(PLACES)) % NAMESPACES}"


def queue_name(endpoint: int, deployment: int) -> str:
    return f"queue-{endpoint}-{deployment}"


def queues_by_namespace(targets: int) -> dict[str, list[str]]:
    """Every queue's name by its namespace's."""
    found: dict[str, list[str]] = {}
    for endpoint in range(endpoint_count(targets)):
        names = [queue_name(endpoint, deployment) for deployment in range(DEPLOYMENTS)]
        found.setdefault(_bus(endpoint), []).extend(names)
    return found


def busy_queues(targets: int) -> frozenset[str]:
    """The queues that have traffic, a twentieth of all whatever the size."""
    every = [(endpoint, number) for endpoint in range(endpoint_count(targets)) for number in range(DEPLOYMENTS)]
    return frozenset(queue_name(endpoint, number) for endpoint, number in every[::BUSY_SHARE])


def estate(targets: int) -> dict[str, Any]:
    """The description for `local.cloud`."""
    queues = queues_by_namespace(targets)
    return {"subscriptions": [_subscription(number, targets, queues) for number in range(1, SUBSCRIPTIONS + 1)]}


def _subscription(number: int, targets: int, queues: dict[str, list[str]]) -> dict[str, Any]:
    deployments = [
        {"name": f"d{n}", "size": "Standard_DS3_v2", "capacity": 2, "cold_start_s": 300} for n in range(DEPLOYMENTS)
    ]
    endpoints: dict[str, list[dict[str, Any]]] = {region: [] for region in REGIONS}
    for endpoint in range(endpoint_count(targets)):
        where, region = _place(endpoint)
        if where == number:
            endpoints[region].append(
                {"name": f"endpoint-{endpoint}", "traffic": {"d0": 100}, "deployments": deployments}
            )
    buses = {name: own for name, own in queues.items() if name.startswith(f"bus-{number}-")}
    return {
        "id": subscription_id(number),
        "workspaces": [
            {"name": f"ws-{number}-{region}", "group": f"rg-{region}", "region": region, "endpoints": endpoints[region]}
            for region in REGIONS
        ],
        "namespaces": [
            {"name": name, "group": f"rg-{_region_of(name)}", "region": _region_of(name), "queues": own}
            for name, own in buses.items()
        ],
        "quota": {region: {"regional": -1, "standardDSv2Family": -1} for region in REGIONS},
    }


def _region_of(bus: str) -> str:
    return bus.split("-")[2]


def policy(targets: int) -> dict[str, Any]:
    """One document with every target, in observe: what is measured is looking and deciding."""
    return {
        "version": 1,
        "defaults": {"max": 10, "service_rate": {"per_instance_per_s": 0.5}},
        "loops": {"scaling": {"mode": "observe"}},
        "targets": [
            _target(endpoint, deployment)
            for endpoint in range(endpoint_count(targets))
            for deployment in range(DEPLOYMENTS)
        ],
    }


def _target(endpoint: int, deployment: int) -> dict[str, Any]:
    number, region = _place(endpoint)
    group = f"/subscriptions/{subscription_id(number)}/resourceGroups/rg-{region}/providers"
    workspace = f"{group}/Microsoft.MachineLearningServices/workspaces/ws-{number}-{region}"
    return {
        "name": f"e{endpoint}-d{deployment}",
        "deployment": f"{workspace}/onlineEndpoints/endpoint-{endpoint}/deployments/d{deployment}",
        "queue": f"{group}/Microsoft.ServiceBus/namespaces/{_bus(endpoint)}/queues/{queue_name(endpoint, deployment)}",
        "mode": "observe",
        "environment": ENVIRONMENTS[endpoint % len(ENVIRONMENTS)],
    }
