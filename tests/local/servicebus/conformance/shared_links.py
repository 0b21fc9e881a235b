"""Senders and receivers of the SDK that tests share: opening one takes half a second, whatever it talks to."""

import asyncio
from typing import Any

from azure.servicebus import ServiceBusSubQueue
from azure.servicebus.aio import ServiceBusClient, ServiceBusReceiver, ServiceBusSender


class Links:
    """Senders and receivers. Those of the queue `plain` are opened once and shared by all tests.

    A receiver that waited in vain leaves its credit behind, and may get the next message although nobody waits for
    it. So `plain` has one receiver only, and tests that need another have a queue for themselves.
    """

    def __init__(self, client: ServiceBusClient) -> None:
        self.client = client
        self._open: dict[tuple[Any, ...], Any] = {}

    async def sender(self, queue: str) -> ServiceBusSender:
        key = ("sender", queue)
        if key not in self._open:
            self._open[key] = await self.client.get_queue_sender(queue).__aenter__()
        sender: ServiceBusSender = self._open[key]
        return sender

    async def receiver(self, queue: str, **options: Any) -> ServiceBusReceiver:
        key = ("receiver", queue, *sorted(options.items()))
        if key not in self._open:
            self._open[key] = await self.client.get_queue_receiver(queue, **options).__aenter__()
        receiver: ServiceBusReceiver = self._open[key]
        return receiver

    async def both(self, queue: str) -> tuple[ServiceBusSender, ServiceBusReceiver]:
        return await asyncio.gather(self.sender(queue), self.receiver(queue))

    async def dead_letters(self, queue: str) -> ServiceBusReceiver:
        return await self.receiver(queue, sub_queue=ServiceBusSubQueue.DEAD_LETTER)

    async def close(self, *, keep: str | None = None) -> None:
        closing = [key for key in self._open if keep not in key]
        await asyncio.gather(*(self._open.pop(key).close() for key in closing))
