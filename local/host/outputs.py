"""Output bindings: what functions put into Service Bus and storage queues."""

import json
from collections.abc import Mapping
from typing import Any

from azure.core.exceptions import AzureError
from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient, ServiceBusSender
from azure.servicebus.exceptions import ServiceBusError

from local.host import service_bus, storage_queue
from local.host.functions import Binding, FunctionFailed, LoadedFunction
from local.host.protos import TypedData, plain
from local.host.settings import UnresolvedSettingError
from local.host.worker import Returned


class Outputs:
    """Delivers them; connections stay open until `close`."""

    def __init__(self, settings: Mapping[str, str], *, base64_encoded: bool) -> None:
        self._settings = settings
        self._base64 = base64_encoded
        self._clients: dict[str, ServiceBusClient] = {}
        self._senders: dict[tuple[str, str], ServiceBusSender] = {}

    async def deliver(self, function: LoadedFunction, returned: Returned) -> None:
        """Send everything that the function put in its output bindings.

        Raises:
            FunctionFailed: one could not be delivered, which fails the invocation as in Azure.
        """
        for binding in function.bindings:
            if binding["type"] == "http" or str(binding.get("direction", "in")).lower() != "out":
                continue
            value = returned.value if binding["name"] == "$return" else returned.outputs.get(binding["name"])
            if value is None:
                continue
            try:
                await self._send(binding, value)
            except (AzureError, ServiceBusError, UnresolvedSettingError) as error:
                words = f"output binding '{binding['name']}' of '{function.name}': {error}"
                raise FunctionFailed(type(error).__name__, words) from error

    async def close(self) -> None:
        for sender in self._senders.values():
            await sender.close()
        for client in self._clients.values():
            await client.close()
        self._senders.clear()
        self._clients.clear()

    async def _send(self, binding: Binding, value: TypedData) -> None:
        if binding["type"] == "serviceBus":
            sender = self._sender(binding)
            for body in bodies(value):
                await sender.send_messages(ServiceBusMessage(body))
            return
        connection = str(binding.get("connection") or storage_queue.DEFAULT_CONNECTION)
        client = storage_queue.connect(connection, str(binding["queueName"]).lower(), self._settings)
        async with client:
            for body in bodies(value):
                await storage_queue.put(client, body, base64_encoded=self._base64)

    def _sender(self, binding: Binding) -> ServiceBusSender:
        connection = str(binding.get("connection") or service_bus.DEFAULT_CONNECTION)
        queue = str(binding["queueName"])
        if connection not in self._clients:
            self._clients[connection] = service_bus.connect(connection, self._settings)
        if (connection, queue) not in self._senders:
            self._senders[connection, queue] = self._clients[connection].get_queue_sender(queue)
        return self._senders[connection, queue]


def bodies(value: TypedData) -> list[bytes]:
    """The messages in one output value: a JSON array is one message an item."""
    if "json" not in vars(value):
        return [_bytes(plain(value))]
    document = json.loads(value.json)
    return [_bytes(_message(item)) for item in (document if isinstance(document, list) else [document])]


def _message(item: Any) -> str:
    """The text of one item; a QueueMessage arrives as an object with `id` and `body`."""
    if isinstance(item, dict) and set(item) == {"id", "body"}:
        return str(item["body"])
    return item if isinstance(item, str) else json.dumps(item)


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
