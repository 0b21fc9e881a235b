"""Azure Policy: whether a resource complies with a policy assignment. Order these by `scanned_at`."""

from shared.signals.kind import event_kind, text, time

_FIELDS = (
    text("compliance_state", "data.complianceState", doc="`Compliant`, `NonCompliant` and the like."),
    text("reason_code", "data.complianceReasonCode", doc="Why."),
    text("assignment_id", "data.policyAssignmentId", doc="The policy assignment.", required=True),
    text("definition_id", "data.policyDefinitionId", doc="The policy definition."),
    text("definition_reference", "data.policyDefinitionReferenceId", doc="Which of the definitions of an initiative."),
    text("subscription_id", "data.subscriptionId", doc="The subscription."),
    time("scanned_at", "data.timestamp", doc="When the resource was scanned."),
)

KINDS = tuple(
    event_kind(
        f"policy_state.{word}",
        f"Microsoft.PolicyInsights.PolicyState{word.capitalize()}",
        description=f"A compliance state was {word}.",
        fields=_FIELDS,
    )
    for word in ("created", "changed", "deleted")
)
