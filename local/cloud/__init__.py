"""The local Azure's cloud: Resource Manager, Azure ML, Resource Graph, Service Bus, Monitor, identity.

One process on 127.0.0.1 that real SDK clients reach under their real host names. How to extend it: README.md.
"""

from local.cloud.broker_queues import BrokerQueues
from local.cloud.cloud import Cloud
from local.cloud.estate import Estate, fleet, subscription_id
from local.cloud.faults import Fault
from local.cloud.operations import Outcome
from local.cloud.queues import FixedQueues, QueueCounts, QueueSource
from local.cloud.routing import Call, Reply
from local.cloud.throttling import BucketSizes

__all__ = [
    "BrokerQueues",
    "BucketSizes",
    "Call",
    "Cloud",
    "Estate",
    "Fault",
    "FixedQueues",
    "Outcome",
    "QueueCounts",
    "QueueSource",
    "Reply",
    "fleet",
    "subscription_id",
]
