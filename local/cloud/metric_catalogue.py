"""The metrics that the local Azure Monitor knows, with their units, aggregations and dimensions.

Source: azure-monitor supported metrics (../shared/data/arm_examples/spec/monitor/metric_definitions.csv holds a part
of it) and facts/limits.md "Rates". All are emitted each minute in Azure.
"""

from dataclasses import dataclass

ENDPOINTS = "microsoft.machinelearningservices/workspaces/onlineendpoints"
DEPLOYMENTS = f"{ENDPOINTS}/deployments"
SERVICE_BUS = "microsoft.servicebus/namespaces"

SPREAD = ("Average", "Minimum", "Maximum")


@dataclass(frozen=True, slots=True)
class MetricDefinition:
    name: str
    unit: str
    aggregations: tuple[str, ...]
    dimensions: tuple[str, ...] = ()


def _named(*definitions: MetricDefinition) -> dict[str, MetricDefinition]:
    return {definition.name.lower(): definition for definition in definitions}


CATALOGUE: dict[str, dict[str, MetricDefinition]] = {
    ENDPOINTS: _named(
        MetricDefinition(
            "RequestsPerMinute",
            "Count",
            ("Average",),
            ("deployment", "statusCode", "statusCodeClass", "modelStatusCode"),
        ),
        MetricDefinition("RequestLatency", "Milliseconds", ("Average",), ("deployment",)),
        MetricDefinition("RequestLatency_P50", "Milliseconds", ("Average",), ("deployment",)),
        MetricDefinition("RequestLatency_P90", "Milliseconds", ("Average",), ("deployment",)),
        MetricDefinition("RequestLatency_P95", "Milliseconds", ("Average",), ("deployment",)),
        MetricDefinition("RequestLatency_P99", "Milliseconds", ("Average",), ("deployment",)),
        MetricDefinition("ConnectionsActive", "Count", ("Average",)),
    ),
    DEPLOYMENTS: _named(
        MetricDefinition("DeploymentCapacity", "Count", SPREAD, ("instanceId", "State")),
        MetricDefinition("CpuUtilizationPercentage", "Percent", SPREAD, ("instanceId",)),
        MetricDefinition("CpuMemoryUtilizationPercentage", "Percent", SPREAD, ("instanceId",)),
        MetricDefinition("GpuUtilizationPercentage", "Percent", SPREAD, ("instanceId",)),
        MetricDefinition("GpuMemoryUtilizationPercentage", "Percent", SPREAD, ("instanceId",)),
        MetricDefinition("RequestsPerMinute", "Count", ("Average",), ("envoy_response_code",)),
        MetricDefinition("RequestLatency_P50", "Milliseconds", ("Average",)),
        MetricDefinition("RequestLatency_P90", "Milliseconds", ("Average",)),
        MetricDefinition("RequestLatency_P95", "Milliseconds", ("Average",)),
        MetricDefinition("RequestLatency_P99", "Milliseconds", ("Average",)),
    ),
    SERVICE_BUS: _named(
        *(
            MetricDefinition(name, "Count", ("Total",), ("EntityName",))
            for name in ("IncomingMessages", "OutgoingMessages", "CompleteMessage", "AbandonMessage")
        ),
        *(
            MetricDefinition(name, "Count", SPREAD, ("EntityName",))
            for name in ("ActiveMessages", "DeadletteredMessages", "ScheduledMessages")
        ),
    ),
}
