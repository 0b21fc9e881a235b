"""The Service Bus queue trigger, over the real azure.servicebus client (facts/hostrules.md §4).

Peek-lock: success completes, failure abandons; how often a message is tried is the queue's own affair.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from azure.servicebus import ServiceBusReceivedMessage, ServiceBusReceiveMode
from azure.servicebus.aio import ServiceBusClient, ServiceBusReceiver
from azure.servicebus.exceptions import ServiceBusError

from local.clock import Clock
from local.host import service_bus_messages
from local.host.functions import FunctionFailed, LoadedFunction
from local.host.host_json import ServiceBusOptions
from local.host.listeners import TaskSet, Work
from local.host.runtime import Runtime, TriggerData
from local.host.settings import UnresolvedSettingError, find_connection, is_true

log = logging.getLogger(__name__)

DEFAULT_CONNECTION = "ServiceBus"
# One receive call; also how long a stop may wait for one. A message that comes right after it waits in the client.
_RECEIVE_S = 0.25
_BATCH_WAIT_S = 0.05
_RENEW_BEFORE_S = 10.0


def connect(connection: str, settings: Mapping[str, str]) -> ServiceBusClient:
    """A client for a binding's connection: a connection string, or `__fullyQualifiedNamespace` with an identity.

    Raises:
        UnresolvedSettingError: no such connection.
    """
    found = find_connection(connection, settings)
    if isinstance(found, str):
        return ServiceBusClient.from_connection_string(found)
    if "fullyQualifiedNamespace" not in found:
        raise UnresolvedSettingError(f"the connection {connection!r} has no {connection}__fullyQualifiedNamespace")
    return ServiceBusClient(found["fullyQualifiedNamespace"], identity(found))


def identity(suffixes: Mapping[str, str]) -> Any:
    """The credential of an identity-based connection. Unknown `__credential` values fall through, as in Azure."""
    from azure.identity.aio import DefaultAzureCredential, ManagedIdentityCredential  # slow to import, rarely used

    if suffixes.get("credential", "").lower() != "managedidentity":
        return DefaultAzureCredential()
    if "clientId" in suffixes:
        return ManagedIdentityCredential(client_id=suffixes["clientId"])
    by_id = {"managedIdentityResourceId": "resource_id", "managedIdentityObjectId": "object_id"}
    chosen = {option: suffixes[suffix] for suffix, option in by_id.items() if suffix in suffixes}
    return ManagedIdentityCredential(identity_config=chosen) if chosen else ManagedIdentityCredential()


class ServiceBusListener:
    """Takes messages from one queue for one function."""

    def __init__(
        self,
        function: LoadedFunction,
        runtime: Runtime,
        clock: Clock,
        options: ServiceBusOptions,
        settings: Mapping[str, str],
    ) -> None:
        self.function = function
        self._runtime = runtime
        self._clock = clock
        self._options = options
        self._settings = settings
        self._tasks = TaskSet()
        self._work = Work()
        self._client: ServiceBusClient | None = None
        self._receiver: ServiceBusReceiver | None = None
        self._binary = str(function.trigger.get("dataType", "")).lower() == "binary"
        self._many = str(function.trigger.get("cardinality", "one")).lower() == "many"
        auto = function.trigger.get("autoCompleteMessages", options.auto_complete)
        self._auto_complete = is_true(str(auto))
        self._calls = asyncio.Semaphore(1 if self._many else options.max_concurrent_calls)

    def busy(self) -> bool:
        return bool(self._work)

    async def listen(self, started: Callable[[], None]) -> None:
        receiver = await self._open()
        started()
        try:
            while True:
                await self._take(receiver)
        except ServiceBusError:
            await self._disconnect()
            raise

    async def close(self, longest_s: float) -> None:
        await self._tasks.finish(longest_s)
        await self._disconnect()

    async def _open(self) -> ServiceBusReceiver:
        if self._receiver is None:
            trigger = self.function.trigger
            self._client = connect(str(trigger.get("connection") or DEFAULT_CONNECTION), self._settings)
            self._receiver = self._client.get_queue_receiver(
                str(trigger["queueName"]),
                receive_mode=ServiceBusReceiveMode.PEEK_LOCK,
                prefetch_count=self._options.prefetch_count,
            )
            try:
                await self._receiver.__aenter__()
            except BaseException:
                await self._disconnect()
                raise
        return self._receiver

    async def _disconnect(self) -> None:
        receiver, self._receiver = self._receiver, None
        client, self._client = self._client, None
        if receiver is not None:
            await receiver.close()
        if client is not None:
            await client.close()

    async def _take(self, receiver: ServiceBusReceiver) -> None:
        """Receive when a call is free, and hand over."""
        await self._calls.acquire()
        receiving = asyncio.create_task(self._receive(receiver))
        try:
            # Cancelled in the middle of a frame, the client would lose its place in the stream.
            await asyncio.wait({receiving})
        finally:
            messages = await receiving
            if messages:
                self._work.begin()  # before the task runs: in between the host must not look idle
                self._tasks.spawn(self._process(receiver, messages))
            else:
                self._calls.release()

    async def _receive(self, receiver: ServiceBusReceiver) -> list[ServiceBusReceivedMessage]:
        """One message or, for a batch, all that are there.

        Asked for many, the client leaves credit for the rest: messages that come while the batch is handled would be
        locked, unseen, until their locks run out. Asked for one at a time it leaves credit for one.
        """
        longest = self._options.max_message_batch_size if self._many else 1
        messages = await receiver.receive_messages(max_message_count=1, max_wait_time=_RECEIVE_S)
        while messages and len(messages) < longest:
            more = await receiver.receive_messages(max_message_count=1, max_wait_time=_BATCH_WAIT_S)
            if not more:
                break
            messages += more
        return messages

    async def _process(self, receiver: ServiceBusReceiver, messages: Sequence[ServiceBusReceivedMessage]) -> None:
        """Run the function and settle; `_take` has begun the work."""
        renewing = None if self._many else asyncio.create_task(self._renew(receiver, messages[0]))
        try:
            succeeded = await self._succeeds(messages)
            if renewing is not None:
                renewing.cancel()
            await asyncio.gather(*(self._settle(receiver, message, succeeded) for message in messages))
        finally:
            if renewing is not None:
                renewing.cancel()
            self._work.end()
            self._calls.release()

    async def _succeeds(self, messages: Sequence[ServiceBusReceivedMessage]) -> bool:
        try:
            trigger = self._trigger(messages)
            with self._work.elsewhere():
                await self._runtime.invoke(self.function, trigger)
        except FunctionFailed:
            return False
        except ValueError as error:
            log.error("Function '%s' cannot take message %s: %s", self.function.name, messages[0].message_id, error)
            return False
        return True

    def _trigger(self, messages: Sequence[ServiceBusReceivedMessage]) -> TriggerData:
        if self._many:
            return service_bus_messages.many(messages, binary=self._binary)
        return service_bus_messages.one(messages[0], binary=self._binary)

    async def _settle(self, receiver: ServiceBusReceiver, message: ServiceBusReceivedMessage, succeeded: bool) -> None:
        """Complete or abandon. Failure abandons whatever autoComplete says; without it nobody completes."""
        if succeeded and not self._auto_complete:
            return
        try:
            await (receiver.complete_message(message) if succeeded else receiver.abandon_message(message))
        except (ServiceBusError, ValueError) as error:
            words = "completed" if succeeded else "abandoned"
            log.error("Message %s could not be %s; it comes back: %s", message.message_id, words, error)

    async def _renew(self, receiver: ServiceBusReceiver, message: ServiceBusReceivedMessage) -> None:
        """Keep the lock while the function runs, for at most maxAutoLockRenewalDuration."""
        started = self._clock.now()
        locked_s = self._locked_s(message)
        while True:
            await self._clock.sleep(max(locked_s - min(_RENEW_BEFORE_S, locked_s / 2), 0.1))
            if (self._clock.now() - started).total_seconds() > self._options.max_lock_renewal_s:
                return
            try:
                with self._work.counted():
                    await receiver.renew_message_lock(message)
            except ServiceBusError as error:
                log.warning("The lock of message %s is lost: %s", message.message_id, error)
                return
            locked_s = self._locked_s(message)

    @staticmethod
    def _locked_s(message: ServiceBusReceivedMessage) -> float:
        """Seconds until the lock runs out, by the wall's time, by which the client checks locks too."""
        until = message.locked_until_utc
        return 0.0 if until is None else (until - datetime.now(UTC)).total_seconds()
