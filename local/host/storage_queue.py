"""The storage queue trigger, over the real azure-storage-queue client (facts/hostrules.md §4)."""

import asyncio
import base64
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
from azure.storage.queue import QueueMessage
from azure.storage.queue.aio import QueueClient

from local.clock import Clock
from local.host.functions import FunctionFailed, LoadedFunction
from local.host.host_json import QueueOptions
from local.host.listeners import TaskSet, Work
from local.host.protos import TypedData, typed_json, typed_text
from local.host.runtime import Runtime, TriggerData
from local.host.service_bus import identity
from local.host.settings import UnresolvedSettingError, find_connection

log = logging.getLogger(__name__)

DEFAULT_CONNECTION = "Storage"
INVISIBLE_S = 600
_RENEW_S = INVISIBLE_S / 2
_SHORTEST_POLL_S = 0.1
_EMULATOR = (
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
    "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;"
    "QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1;"
)


def connect(connection: str, queue: str, settings: Mapping[str, str]) -> QueueClient:
    """A client for one queue of a binding's connection.

    Raises:
        UnresolvedSettingError: no such connection.
    """
    found = find_connection(connection, settings)
    if isinstance(found, str):
        text = _EMULATOR if found.lower().rstrip(";") == "usedevelopmentstorage=true" else found
        return QueueClient.from_connection_string(text, queue)
    url = found.get("queueServiceUri") or (
        f"https://{found['accountName']}.queue.core.windows.net" if "accountName" in found else None
    )
    if url is None:
        raise UnresolvedSettingError(
            f"the connection {connection!r} has neither {connection}__accountName nor {connection}__queueServiceUri"
        )
    return QueueClient(url, queue, credential=identity(found))


async def put(client: QueueClient, body: bytes, *, base64_encoded: bool) -> None:
    """Add a message; creates the queue when it is missing, as the host does."""
    content = base64.b64encode(body).decode() if base64_encoded else body.decode()
    try:
        await client.send_message(content)
    except ResourceNotFoundError:
        try:
            await client.create_queue()
        except ResourceExistsError:
            log.info("Queue %s was created by another", client.queue_name)
        await client.send_message(content)


class StorageQueueListener:
    """Takes messages from one queue for one function."""

    def __init__(
        self,
        function: LoadedFunction,
        runtime: Runtime,
        clock: Clock,
        options: QueueOptions,
        settings: Mapping[str, str],
    ) -> None:
        self.function = function
        self._runtime = runtime
        self._clock = clock
        self._options = options
        self._settings = settings
        self._queue = str(function.trigger["queueName"]).lower()
        self._tasks = TaskSet()
        self._work = Work()
        self._handled = asyncio.Event()
        self._client: QueueClient | None = None

    def busy(self) -> bool:
        return bool(self._work)

    async def listen(self, started: Callable[[], None]) -> None:
        self._client = self._client or self._connect(self._queue)
        pause_s = _SHORTEST_POLL_S
        while True:
            found = await self._poll(self._client)
            started()
            if found:
                pause_s = _SHORTEST_POLL_S
                await self._until_threshold()
            else:
                await self._clock.sleep(pause_s)
                pause_s = min(2 * pause_s, self._options.max_polling_interval_s)

    async def close(self, longest_s: float) -> None:
        await self._tasks.finish(longest_s)
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    def _connect(self, queue: str) -> QueueClient:
        return connect(str(self.function.trigger.get("connection") or DEFAULT_CONNECTION), queue, self._settings)

    async def _poll(self, client: QueueClient) -> int:
        """Take a batch; how many there were. A queue that does not exist yet is empty."""
        with self._work.counted():
            count = self._options.batch_size
            try:
                found = [
                    message
                    async for message in client.receive_messages(
                        messages_per_page=count, max_messages=count, visibility_timeout=INVISIBLE_S
                    )
                ]
            except ResourceNotFoundError:
                return 0
            for message in found:
                self._work.begin()  # before the task runs: in between the host must not look idle
                self._tasks.spawn(self._process(client, message))
            return len(found)

    async def _until_threshold(self) -> None:
        """Wait until few enough run that a new batch may be fetched."""
        while len(self._tasks) > self._options.new_batch_threshold:
            self._handled.clear()
            await self._handled.wait()
            await asyncio.sleep(0)  # let the task that said so end

    async def _process(self, client: QueueClient, message: QueueMessage) -> None:
        """Run the function and settle; `_poll` has begun the work."""
        renewing = asyncio.create_task(self._renew(client, message))
        try:
            succeeded = await self._succeeds(message)
            renewing.cancel()
            await self._settle(client, message, succeeded)
        except AzureError as error:
            log.error("Message %s of %s could not be settled; it comes back: %s", message.id, self._queue, error)
        finally:
            renewing.cancel()
            self._work.end()
            self._handled.set()

    async def _succeeds(self, message: QueueMessage) -> bool:
        try:
            body = decode(message.content, self._options.base64)
        except ValueError as error:
            log.error("Message %s of %s is not base64: %s", message.id, self._queue, error)
            return False
        try:
            with self._work.elsewhere():
                await self._runtime.invoke(self.function, trigger_of(message, body))
        except FunctionFailed:
            return False
        return True

    async def _settle(self, client: QueueClient, message: QueueMessage, succeeded: bool) -> None:
        """Delete; or show it again; or, after maxDequeueCount, move it to `<queue>-poison`."""
        if succeeded:
            await client.delete_message(message)
        elif (message.dequeue_count or 0) >= self._options.max_dequeue_count:
            log.error("Message %s of %s goes to %s-poison", message.id, self._queue, self._queue)
            poison = self._connect(f"{self._queue}-poison")
            async with poison:
                await put(poison, str(message.content).encode(), base64_encoded=False)
            await client.delete_message(message)
        else:
            await client.update_message(message, visibility_timeout=int(self._options.visibility_timeout_s))

    async def _renew(self, client: QueueClient, message: QueueMessage) -> None:
        while True:
            await self._clock.sleep(_RENEW_S)
            try:
                with self._work.counted():
                    renewed = await client.update_message(message, visibility_timeout=INVISIBLE_S)
            except AzureError as error:
                log.warning("Message %s of %s could not be kept invisible: %s", message.id, self._queue, error)
                continue
            message.pop_receipt = renewed.pop_receipt


def decode(content: Any, base64_encoded: bool) -> bytes:
    """A message's bytes.

    Raises:
        ValueError: not base64.
    """
    raw = content if isinstance(content, bytes) else str(content).encode()
    return base64.b64decode(raw, validate=True) if base64_encoded else raw


def trigger_of(message: QueueMessage, body: bytes) -> TriggerData:
    """The message as the worker library expects it."""
    fields = {
        "Id": message.id,
        "DequeueCount": message.dequeue_count,
        "ExpirationTime": _time(message.expires_on),
        "InsertionTime": _time(message.inserted_on),
        "NextVisibleTime": _time(message.next_visible_on),
        "PopReceipt": message.pop_receipt,
    }
    metadata = {name: typed_json(value) for name, value in fields.items() if value is not None}
    return TriggerData(typed_text(body), metadata)


def by_hand(text: str, now: datetime) -> TriggerData:
    """A message that was never in a queue: `POST admin/functions/{name}`."""
    times = {name: typed_json(_time(now)) for name in ("ExpirationTime", "InsertionTime", "NextVisibleTime")}
    return TriggerData(
        TypedData(string=text),
        {"Id": typed_json("by-hand"), "DequeueCount": typed_json(1), "PopReceipt": typed_json(""), **times},
    )


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat()
