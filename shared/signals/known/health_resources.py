"""Resource Notifications: the health of virtual machines and scale sets, maintenance of Kubernetes clusters."""

from shared.signals.fields import field, unpacked
from shared.signals.kind import event_kind, text, time
from shared.signals.message import Message, resource_ids

_SERVICE = "Microsoft.ResourceNotifications.HealthResources"
_PROPERTIES = "data.resourceInfo.properties"
_RESOURCE = (
    text("resource_type", f"{_PROPERTIES}.targetResourceType", doc="The type of the resource."),
    time("occurred_at", f"{_PROPERTIES}.occurredTime", "data.operationalInfo.resourceEventTime", doc="When."),
)


def _clusters(message: Message) -> tuple[str, ...]:
    told = unpacked(field(message.content, f"{_PROPERTIES}.resources"))
    return resource_ids([*(told if isinstance(told, list) else [told]), *message.subjects])


KINDS = (
    event_kind(
        "health.availability_changed",
        f"{_SERVICE}.AvailabilityStatusChanged",
        description="A resource became available or unavailable.",
        fields=(
            text("state", f"{_PROPERTIES}.availabilityState", doc="`Available`, `Unavailable` ...", required=True),
            text("previous_state", f"{_PROPERTIES}.previousAvailabilityState", doc="The state before."),
            *_RESOURCE,
        ),
    ),
    event_kind(
        "health.annotated",
        f"{_SERVICE}.ResourceAnnotated",
        description="The platform says why a resource's availability is impaired.",
        fields=(
            text("annotation", f"{_PROPERTIES}.annotationName", doc="The annotation.", required=True),
            text("reason", f"{_PROPERTIES}.reason", doc="The reason, in short."),
            text("summary", f"{_PROPERTIES}.summary", doc="The reason, at length."),
            text("cause", f"{_PROPERTIES}.context", doc="Who caused it, such as `Platform Initiated`."),
            text("category", f"{_PROPERTIES}.category", doc="Planned or unplanned."),
            *_RESOURCE,
        ),
    ),
    event_kind(
        "health.maintenance",
        "Microsoft.ResourceNotifications.ContainerServiceEventResources.ScheduledEventEmitted",
        description="Maintenance of a Kubernetes cluster is planned, has begun or has ended.",
        fields=(
            text("status", f"{_PROPERTIES}.eventStatus", doc="`Scheduled`, `Started`, `Completed` ...", required=True),
            text("initiator", f"{_PROPERTIES}.eventSource", doc="What does it, such as `AutoUpgrader`."),
            text("summary", f"{_PROPERTIES}.eventDetails", doc="What is done."),
            time("scheduled_at", f"{_PROPERTIES}.scheduledTime", doc="When it is to begin."),
            time("started_at", f"{_PROPERTIES}.startTime", doc="When it began."),
        ),
        about=_clusters,
    ),
)
