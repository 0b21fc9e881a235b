"""A Service Bus namespace on this machine: queues over AMQP 1.0 for the real SDKs, and in process for `local/`."""

from local.servicebus.broker import Broker, Observer
from local.servicebus.config import QueueSettings
from local.servicebus.errors import ConfigError, ServiceBusError
from local.servicebus.queue import Delivery, Queue, QueueCounts

__all__ = [
    "Broker",
    "ConfigError",
    "Delivery",
    "Observer",
    "Queue",
    "QueueCounts",
    "QueueSettings",
    "ServiceBusError",
]
