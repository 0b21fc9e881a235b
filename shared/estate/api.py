"""The REST api-versions that Watchkeeper speaks: one place, so that moving to another is one line and one test run."""

MACHINE_LEARNING = "2024-10-01"
"""Microsoft.MachineLearningServices: workspaces, online endpoints, deployments, usages, vmSizes."""

SERVICE_BUS = "2024-01-01"
"""Microsoft.ServiceBus: queues with their counts."""

RESOURCE_GRAPH = "2022-10-01"
"""Microsoft.ResourceGraph/resources."""

AUTOSCALE = "2022-10-01"
"""Microsoft.Insights/autoscalesettings."""

ACTIVITY_LOG = "2015-04-01"
"""Microsoft.Insights/eventtypes/management/values."""
