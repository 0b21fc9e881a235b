"""Service Bus (Premium): messages wait. The events carry no count and repeat: a nudge to look, never a measurement.

The type alone says which messages: `requestUri` of the published events of active messages names the dead letters.
"""

from shared.signals.kind import derived, event_kind, text
from shared.signals.message import Message, lenient_text


def _entity(message: Message) -> str:
    queue, topic, subscription = (
        lenient_text(message.content, f"data.{name}Name") for name in ("queue", "topic", "subscription")
    )
    of_topic = topic and subscription and not message.says("data.entityType", "queue")
    return f"{topic}/subscriptions/{subscription}" if of_topic else queue


_FIELDS = (
    derived("entity", _entity, doc="The queue, or `topic/subscriptions/name`."),
    text("entity_type", "data.entityType", doc="`queue` or `subscriber`.", lower=True),
    text("namespace", "data.namespaceName", doc="The namespace's name."),
    text("queue", "data.queueName", doc="The queue, if it is one."),
    text("topic", "data.topicName", doc="The topic, if it is one."),
    text("subscription", "data.subscriptionName", doc="The topic's subscription."),
    derived(
        "occasion",
        lambda message: "no_listeners" if message.type.endswith("nolisteners") else "periodic",
        doc="`no_listeners`, or `periodic` (every 30 seconds, and when the first message comes).",
    ),
)
_SERVICE = "Microsoft.ServiceBus"

KINDS = (
    event_kind(
        "servicebus.active_messages",
        f"{_SERVICE}.ActiveMessagesAvailableWithNoListeners",
        f"{_SERVICE}.ActiveMessagesAvailablePeriodicNotifications",
        description="Messages wait in a queue or subscription.",
        fields=_FIELDS,
    ),
    event_kind(
        "servicebus.dead_letters",
        f"{_SERVICE}.DeadletterMessagesAvailableWithNoListeners",
        f"{_SERVICE}.DeadletterMessagesAvailablePeriodicNotifications",
        description="Messages wait among the dead letters of a queue or subscription.",
        fields=_FIELDS,
    ),
)
