"""Where these tests run, and what they do with a receiver."""

import asyncio
import os

from azure.servicebus import ServiceBusReceivedMessage
from azure.servicebus.aio import ServiceBusReceiver

ELSEWHERE = os.environ.get("WATCHKEEPER_TEST_SERVICEBUS")
# The official emulator locks for 5 s at least; the SDK's automatic renewal copes with 3 s at least.
LOCK_S = {"short-lock": 5.0 if ELSEWHERE else 1.0, "renewed": 5.0 if ELSEWHERE else 3.0}


async def one(receiver: ServiceBusReceiver) -> ServiceBusReceivedMessage:
    [message] = await receiver.receive_messages(1, max_wait_time=10)
    return message


async def nothing(receiver: ServiceBusReceiver) -> bool:
    return await receiver.receive_messages(1, max_wait_time=0.3) == []


async def complete_all(receiver: ServiceBusReceiver, count: int) -> list[str]:
    """Receive and complete `count` messages; returns their bodies in order."""
    bodies: list[str] = []
    while len(bodies) < count:
        messages = await receiver.receive_messages(count - len(bodies), max_wait_time=10)
        assert messages, f"only {len(bodies)} of {count} messages came"
        await asyncio.gather(*(receiver.complete_message(message) for message in messages))
        bodies += [str(message) for message in messages]
    return bodies
