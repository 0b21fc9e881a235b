"""Event Grid about itself: a subscription wants to be confirmed, or was deleted.

Whoever receives the webhook answers a validation (the Functions host does); the signal only records that it was asked
for, without the code.
"""

from shared.signals.kind import event_kind, text

_SERVICE = "Microsoft.EventGrid"

KINDS = (
    event_kind(
        "event_grid.subscription_validation",
        f"{_SERVICE}.SubscriptionValidationEvent",
        description="A subscription's address is to be confirmed; the host answers it.",
    ),
    event_kind(
        "event_grid.subscription_deleted",
        f"{_SERVICE}.SubscriptionDeletedEvent",
        description="An event subscription was deleted: its events come no more.",
        fields=(text("subscription_id", "data.eventSubscriptionId", doc="The event subscription.", required=True),),
    ),
)
