"""What tests of queues send and ask, in process."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from local.servicebus import Broker, Queue, QueueCounts, ServiceBusError
from local.servicebus.message import new_message

MakeBroker = Callable[..., Broker]
LOCK_LOST = "com.microsoft:message-lock-lost"


def counts(queue: Queue, **expected: int) -> bool:
    """Whether the queue has exactly these messages, and none in any other state."""
    empty = {"active": 0, "locked": 0, "dead_letter": 0, "scheduled": 0, "deferred": 0}
    return queue.counts() == QueueCounts(**{**empty, **expected})


def refused(condition: str, action: Callable[[], Any]) -> bool:
    with pytest.raises(ServiceBusError) as problem:
        action()
    return problem.value.condition == condition


def schedule(queue: Queue, body: bytes, due: datetime) -> int:
    message = new_message(body, None, None)
    message.scheduled_for = due
    return queue.enqueue([message])[0]


def send_with_time_to_live(queue: Queue, body: bytes, time_to_live: timedelta) -> None:
    message = new_message(body, None, None)
    message.time_to_live = time_to_live
    queue.enqueue([message])
