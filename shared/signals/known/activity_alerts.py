"""Activity log alerts: what somebody did, what Azure did by itself, what Azure says of itself.

A service health alert is `fired` also when it tells that all is well again: its `stage` says so.
"""

from shared.signals.kind import Field, Kind, alert_kind, number, raw, text, time
from shared.signals.message import Message, lenient_text, letters

_EVENT = (
    text("operation", "context.operationName", doc="The operation."),
    text("status", "context.status", doc="How it ended or stands, such as `Succeeded` or `Active`."),
    text("sub_status", "context.subStatus", doc="More of that, such as `Created`."),
    text("level", "context.level", doc="Such as `Informational`."),
    text("caller", "context.caller", doc="Who asked."),
    text("scope", "context.authorization.scope", "context.resourceId", doc="On what.", lower=True),
    text("event_id", "context.eventDataId", doc="The id of the event in the activity log."),
    text("operation_id", "context.operationId", doc="The id that all events of one operation share."),
    text("correlation_id", "context.correlationId", doc="The id that all operations of one deployment share."),
    time("event_time", "context.eventTimestamp", doc="When it happened."),
)


def _is(message: Message, category: str, operations: str) -> bool:
    """Whether the alert is of this category of the activity log, by its service, its event's source or operation."""
    if message.type in (category, f"activitylog{category}"):
        return True
    if message.type not in ("activitylog", "") or not message.says("essentials.signalType", "activitylog", ""):
        return False
    source = letters(lenient_text(message.content, "context.eventSource"))
    if source and not source.isdecimal():  # service health numbers its sources
        return source == category
    return bool(operations) and _operation(message).startswith(operations)


def _operation(message: Message) -> str:
    return letters(lenient_text(message.content, "context.operationName"))


def _kind(category: str, service: str, description: str, *fields: Field, operations: str = "") -> Kind:
    return alert_kind(
        f"alert.{category.replace('health', '_health')}",
        description=description,
        from_=f"monitoring service `{service}`; schema `Microsoft.Insights/activityLogs`",
        recognises=lambda message: _is(message, category, operations),
        or_else=None if operations else lambda message: message.says("essentials.signalType", "activitylog"),
        fields=_EVENT + fields,
    )


def _detail(name: str, source: str, doc: str) -> Field:
    return text(name, f"context.properties.{source}", doc=doc)


KINDS = (
    _kind("administrative", "Activity Log - Administrative", "An operation on a resource began, succeeded or failed."),
    _kind(
        "policy",
        "Activity Log - Policy",
        "Azure Policy audited or denied something.",
        raw("policies", "context.properties.policies", doc="The policies, as JSON."),
        _detail("is_compliance_check", "isComplianceCheck", "`True` for a check of what exists."),
        _detail("location", "resourceLocation", "The region of the resource."),
        operations="microsoftauthorizationpolicies",
    ),
    _kind(
        "autoscale",
        "Activity Log - Autoscale",
        "Azure's own autoscale changed, or tried to change, a number of instances.",
        _detail("resource", "resourceName", "The resource that is scaled."),
        number("old_instances", "context.properties.oldInstancesCount", doc="Instances before."),
        number("new_instances", "context.properties.newInstancesCount", doc="Instances after."),
        _detail("message", "description", "What the engine says."),
        operations="microsoftinsightsautoscalesettings",
    ),
    _kind(
        "security",
        "Activity Log - Security",
        "Defender for Cloud found something.",
        _detail("threat_severity", "severity", "`Low`, `Medium` or `High`."),
        _detail("category", "category", "What kind of thing."),
        _detail("compromised_entity", "compromisedEntity", "What is affected."),
        _detail("action_taken", "actionTaken", "What was done against it, such as `Blocked`."),
        _detail("threat_status", "threatStatus", "Where it stands."),
        operations="microsoftsecurity",
    ),
    _kind(
        "recommendation",
        "Activity Log - Recommendation",
        "Azure Advisor has a recommendation.",
        _detail("recommendation", "recommendationName", "The recommendation."),
        _detail("category", "recommendationCategory", "Such as `Cost` or `HighAvailability`."),
        _detail("impact", "recommendationImpact", "`Low`, `Medium` or `High`."),
        _detail("recommendation_type", "recommendationType", "The id of its type."),
        _detail("link", "recommendationResourceLink", "Where to read it, without the query."),
        operations="microsoftadvisor",
    ),
    _kind(
        "servicehealth",
        "ServiceHealth",
        "Azure has, had or plans trouble in a region; `stage` says which.",
        _detail("title", "title", "What it is about."),
        _detail("azure_service", "service", "The service."),
        _detail("region", "region", "The region."),
        _detail("incident_type", "incidentType", "`Incident`, `Maintenance`, `Informational`, `Security` ..."),
        _detail("stage", "stage", "`Active`, `Planned`, `InProgress`, `Resolved`, `Complete` ..."),
        _detail("tracking_id", "trackingId", "The id of the incident."),
        _detail("communication_id", "communicationId", "The id of this message about it."),
        time("impact_start", "context.properties.impactStartTime", doc="Since when."),
        time("impact_end", "context.properties.impactMitigationTime", doc="Until when."),
        raw("impacted_services", "context.properties.impactedServices", doc="Services and regions, as JSON."),
        operations="microsoftservicehealth",
    ),
    _kind(
        "resourcehealth",
        "Resource Health",
        "A resource became healthy or unhealthy.",
        _detail("title", "title", "What happened."),
        _detail("details", "details", "More of that."),
        _detail("state", "currentHealthStatus", "`Available`, `Degraded`, `Unavailable` or `Unknown`."),
        _detail("previous_state", "previousHealthStatus", "The state before."),
        _detail("cause", "cause", "`PlatformInitiated` or `UserInitiated`."),
        _detail("incident_type", "type", "Such as `Downtime`."),
        operations="microsoftresourcehealth",
    ),
)
