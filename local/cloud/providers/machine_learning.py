"""Microsoft.MachineLearningServices: workspaces, online endpoints and deployments, their operations, quota and sizes.

Source of every route: azure-rest-api-specs, machinelearningservices 2024-10-01 (examples) and 2025-12-01; facts/arm.md
1.3, 1.4.
"""

from typing import Any

from local.clock import Clock
from local.cloud.arm_errors import ArmError, bad_request, not_found
from local.cloud.bodies import DeploymentPatch, EndpointPatch, EndpointPut, parsed
from local.cloud.estate import Deployment, Endpoint, Estate, Workspace
from local.cloud.estate.estate import REGIONAL
from local.cloud.estate.resources import ML
from local.cloud.estate.sizes import FAMILIES, SIZES, VmSize
from local.cloud.lifecycle import Lifecycle
from local.cloud.operations import Operation
from local.cloud.paging import paged
from local.cloud.quota import Quota
from local.cloud.routing import Call, Handler, Reply, Route
from local.cloud.switches import Switches

API_VERSIONS = ("2024-10-01", "2025-12-01")
SPEC = "azure-rest-api-specs machinelearningservices 2024-10-01"
ASYNC = "(headers of the accepted request; ARM RPC, asynchronous operations)"
MAX_INSTANCES = 50
LIST_PAGE = 100

_SUB = "/subscriptions/{subscription}"
_WORKSPACE = _SUB + "/resourceGroups/{group}/providers/Microsoft.MachineLearningServices/workspaces/{workspace}"
_ENDPOINT = _WORKSPACE + "/onlineEndpoints/{endpoint}"
_DEPLOYMENTS = _ENDPOINT + "/deployments"
_DEPLOYMENT = _DEPLOYMENTS + "/{deployment}"
_LOCATION = _SUB + "/providers/Microsoft.MachineLearningServices/locations/{region}"


class MachineLearning:
    """Handlers of the provider."""

    def __init__(self, estate: Estate, lifecycle: Lifecycle, switches: Switches, clock: Clock) -> None:
        self._estate = estate
        self._lifecycle = lifecycle
        self._switches = switches
        self._clock = clock
        self._quota = Quota(estate)

    def routes(self) -> list[Route]:
        endpoints, deployments = "workspaces/onlineEndpoints", "workspaces/onlineEndpoints/deployments"
        status, result = f"{_LOCATION}/mfeOperationsStatus", f"{_LOCATION}/mfeOperationResults"
        return [
            _route("GET", _WORKSPACE, "workspaces/read", self.get_workspace, "Workspace/get"),
            _route(
                "GET", f"{_WORKSPACE}/onlineEndpoints", f"{endpoints}/read", self.list_endpoints, "OnlineEndpoint/list"
            ),
            _route("GET", _ENDPOINT, f"{endpoints}/read", self.get_endpoint, "OnlineEndpoint/get"),
            _route("PUT", _ENDPOINT, f"{endpoints}/write", self.put_endpoint, "OnlineEndpoint/createOrUpdate"),
            _route("PATCH", _ENDPOINT, f"{endpoints}/write", self.patch_endpoint, "OnlineEndpoint/update"),
            _route("GET", _DEPLOYMENTS, f"{deployments}/read", self.list_deployments, "OnlineDeployment/list"),
            _route("GET", _DEPLOYMENT, f"{deployments}/read", self.get_deployment, "OnlineDeployment/get"),
            _route("PATCH", _DEPLOYMENT, f"{deployments}/write", self.patch_deployment, "OnlineDeployment/update"),
            _route(
                "GET", f"{status}/{{operation}}", "locations/mfeOperationsStatus/read", self.operation_status, ASYNC
            ),
            _route(
                "GET", f"{result}/{{operation}}", "locations/mfeOperationResults/read", self.operation_result, ASYNC
            ),
            _route("GET", f"{_LOCATION}/usages", "locations/usages/read", self.list_usages, "Usage/list"),
            _route("GET", f"{_LOCATION}/vmSizes", "locations/vmSizes/read", self.list_sizes, "VirtualMachineSize/list"),
        ]

    def get_workspace(self, call: Call) -> Reply:
        return Reply(200, self._workspace(call).body)

    def list_endpoints(self, call: Call) -> Reply:
        endpoints = self._workspace(call).endpoints.values()
        return Reply(200, paged(call, [endpoint.body for endpoint in endpoints], LIST_PAGE))

    def get_endpoint(self, call: Call) -> Reply:
        return Reply(200, self._endpoint(call).body)

    def put_endpoint(self, call: Call) -> Reply:
        """Replace an endpoint's document: the only way to change traffic."""
        body = parsed(EndpointPut, call.json())
        endpoint = self._endpoint(call)
        traffic = body.properties.traffic
        unknown = set(traffic) - {deployment.name for deployment in endpoint.deployments.values()}
        if unknown:
            raise bad_request(f"Traffic names deployments that do not exist: {', '.join(sorted(unknown))}.")
        if sum(traffic.values()) not in (0, 100) or any(not 0 <= share <= 100 for share in traffic.values()):
            raise bad_request(f"Traffic must add up to 0 or 100 percent, not {sum(traffic.values())}.")
        wanted = body.model_dump(exclude_none=True, exclude={"id", "name", "type", "systemData"})

        def apply(document: dict[str, Any]) -> None:
            _replace(document, wanted)

        operation = self._lifecycle.change_endpoint(endpoint, apply, call.principal)
        return Reply(200, endpoint.body, {"Azure-AsyncOperation": self._url(call, operation, "mfeOperationsStatus")})

    def patch_endpoint(self, call: Call) -> Reply:
        body = parsed(EndpointPatch, call.json())
        endpoint = self._endpoint(call)
        wanted = body.model_dump(exclude_none=True)

        def apply(document: dict[str, Any]) -> None:
            document["tags"] |= wanted.get("tags", {})
            document["identity"] = document.get("identity", {}) | wanted.get("identity", {})

        return self._accepted(call, self._lifecycle.change_endpoint(endpoint, apply, call.principal))

    def list_deployments(self, call: Call) -> Reply:
        now = self._clock.now()
        shown = [deployment.shown(now) for deployment in self._endpoint(call).deployments.values()]
        return Reply(200, paged(call, shown, LIST_PAGE))

    def get_deployment(self, call: Call) -> Reply:
        return Reply(200, self._deployment(call).shown(self._clock.now()))

    def patch_deployment(self, call: Call) -> Reply:
        """Change sku.capacity (or tags); what an accepted PATCH answers is `deployment.patch_answer`."""
        body = parsed(DeploymentPatch, call.json())
        deployment = self._deployment(call)
        if body.sku is not None and body.sku.capacity is not None and not 1 <= body.sku.capacity <= MAX_INSTANCES:
            message = (
                f"Instance count must be between 1 and {MAX_INSTANCES} (how-to-manage-quotas), not {body.sku.capacity}."
            )
            raise bad_request(message)
        operation = self._lifecycle.change_deployment(deployment, body.model_dump(exclude_none=True), call.principal)
        answer = self._switches["deployment.patch_answer"]
        if answer == "ok_200":
            return Reply(200, deployment.shown(self._clock.now()))
        if answer == "accepted_location":
            return self._accepted(call, operation)
        status_url = self._url(call, operation, "mfeOperationsStatus")
        return Reply(202, None, {"Azure-AsyncOperation": status_url, "Retry-After": str(self._lifecycle.retry_after_s)})

    def operation_status(self, call: Call) -> Reply:
        operation = self._operation(call)
        document = operation.as_json() | {"id": call.path}
        if operation.running:
            return Reply(200, document, {"Retry-After": str(self._lifecycle.retry_after_s)})
        return Reply(self._ended_status(operation), document)

    def operation_result(self, call: Call) -> Reply:
        """202 while it runs, then the resource; of a failed operation its own document, with the assumed status."""
        operation = self._operation(call)
        if operation.running:
            return self._accepted(call, operation)
        if operation.status == "Failed":
            return Reply(self._ended_status(operation), operation.as_json() | {"id": call.path})
        return Reply(200, operation.target.body)

    def list_usages(self, call: Call) -> Reply:
        subscription, region = call.params["subscription"], call.params["region"]
        prefix = f"/subscriptions/{subscription}/usages"
        used = self._quota.used_vcpus(subscription, region, REGIONAL)
        limit = self._estate.limit_vcpus(subscription, region, REGIONAL)
        rows = [
            _usage(prefix, "dedicatedCores", "Total Cluster Dedicated Regional vCPUs", used, limit),
            _usage(prefix, "lowPriorityCores", "Total Cluster LowPriority Regional vCPUs", 0, limit),
        ]
        for family in FAMILIES:
            joins = self._switches.yes("quota.family_names_join")
            label = family.label if joins else family.label.replace("Family", "Series")
            name = f"{label} Cluster Dedicated vCPUs"
            used = self._quota.used_vcpus(subscription, region, family.name)
            limit = self._estate.limit_vcpus(subscription, region, family.name)
            rows.append(_usage(f"{prefix}/{name.replace(' ', '_')}", "vmFamily", name, used, limit))
            name = f"{label} Cluster LowPriority vCPUs"
            rows.append(_usage(f"{prefix}/{name.replace(' ', '_')}", "vmFamily", name, 0, -1))
        return Reply(200, {"value": rows})

    def list_sizes(self, _call: Call) -> Reply:
        return Reply(200, {"value": [_size(size) for size in SIZES]})

    def _accepted(self, call: Call, operation: Operation) -> Reply:
        headers = {
            "Location": self._url(call, operation, "mfeOperationResults"),
            "Retry-After": str(self._lifecycle.retry_after_s),
            "x-ms-async-operation-timeout": "PT1H",
        }
        return Reply(202, None, headers)

    def _ended_status(self, operation: Operation) -> int:
        return int(self._switches["deployment.failed_operation_status"]) if operation.status == "Failed" else 200

    @staticmethod
    def _url(call: Call, operation: Operation, kind: str) -> str:
        target = operation.target
        provider = f"/subscriptions/{target.subscription}/providers/Microsoft.MachineLearningServices"
        location = f"{provider}/locations/{target.region}"
        return f"https://{call.host}{location}/{kind}/{operation.id}?api-version={call.query['api-version']}"

    def _workspace(self, call: Call) -> Workspace:
        p = call.params
        path = f"/subscriptions/{p['subscription']}/resourceGroups/{p['group']}/providers/{ML}/{p['workspace']}"
        found = self._estate.get(path)
        if not isinstance(found, Workspace):
            raise not_found(ML, p["workspace"], p["group"])
        return found

    def _endpoint(self, call: Call) -> Endpoint:
        p = call.params
        found = self._workspace(call).endpoints.get(p["endpoint"].lower())
        if found is None:
            raise not_found(f"{ML}/onlineEndpoints", f"{p['workspace']}/{p['endpoint']}", p["group"])
        return found

    def _deployment(self, call: Call) -> Deployment:
        p = call.params
        found = self._endpoint(call).deployments.get(p["deployment"].lower())
        if found is None:
            name = f"{p['workspace']}/{p['endpoint']}/{p['deployment']}"
            raise not_found(f"{ML}/onlineEndpoints/deployments", name, p["group"])
        return found

    def _operation(self, call: Call) -> Operation:
        found = self._lifecycle.operation(call.params["operation"])
        if found is None:
            raise ArmError(404, "NotFound", f"The operation '{call.params['operation']}' was not found.")
        return found


def _route(method: str, template: str, right: str, handler: Handler, source: str) -> Route:
    action = f"Microsoft.MachineLearningServices/{right}"
    return Route(
        method=method,
        template=template,
        api_versions=API_VERSIONS,
        action=action,
        handler=handler,
        source=f"{SPEC} {source}",
    )


def _replace(document: dict[str, Any], wanted: dict[str, Any]) -> None:
    """A full PUT: what is not in the body is gone, what is read-only stays."""
    read_only = {key: document[key] for key in ("id", "name", "type", "systemData")}
    properties = {key: document["properties"][key] for key in ("provisioningState", "scoringUri", "swaggerUri")}
    identity = document.get("identity", {})
    document.clear()
    document.update({"tags": {}} | wanted | read_only)
    document["properties"] = wanted["properties"] | properties
    if "identity" in wanted:
        assigned = {key: identity[key] for key in ("principalId", "tenantId") if key in identity}
        document["identity"] = wanted["identity"] | assigned


def _usage(usage_id: str, kind: str, name: str, used: int, limit: int) -> dict[str, Any]:
    return {
        "id": usage_id,
        "type": f"Microsoft.MachineLearningServices/{kind}/usages",
        "currentValue": used,
        "limit": limit,
        "unit": "Count",
        "name": {"value": name, "localizedValue": name},
    }


def _size(size: VmSize) -> dict[str, Any]:
    prices = (
        (size.price_usd_per_h, "Standard"),
        (size.low_priority_usd_per_h, "LowPriority"),
    )
    return {
        "name": size.name,
        "family": size.family.name,
        "vCPUs": size.vcpus,
        "gpus": size.gpus,
        "osVhdSizeMB": 1047552,
        "maxResourceVolumeMB": 28672,
        "memoryGB": size.memory_gb,
        "lowPriorityCapable": True,
        "premiumIO": True,
        "estimatedVMPrices": {
            "billingCurrency": "USD",
            "unitOfMeasure": "OneHour",
            "values": [{"retailPrice": price, "osType": "Linux", "vmTier": tier} for price, tier in prices],
        },
        "supportedComputeTypes": ["AmlCompute", "ComputeInstance"] + (["MIR"] if size.serves_endpoints else []),
    }
