"""Event Grid on one machine: topics to publish to, and delivery as Azure promises it. See README.md."""

from local.eventgrid.events import Event, EventError, Schema
from local.eventgrid.service import EventGrid
from local.eventgrid.subscriptions import Delivery, Disorder, EventSubscription, ServiceBusQueue, State, Webhook
from local.eventgrid.topics import Topic

__all__ = [
    "Delivery",
    "Disorder",
    "Event",
    "EventError",
    "EventGrid",
    "EventSubscription",
    "Schema",
    "ServiceBusQueue",
    "State",
    "Topic",
    "Webhook",
]
