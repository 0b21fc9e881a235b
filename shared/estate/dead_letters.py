"""The dead letters of queues and subscriptions: looked at without touching them, taken out for good, given back.

Receivers for looking and senders stay open for the life of the process (opening one costs half a second); `close` them.
Each is a connection of its own: of the receivers so many stay as `KEPT_OPEN` says, the oldest go first.
A receiver that takes messages out is closed after its work, so that none of its credit is left and no message is locked
for nobody. Rights: Azure Service Bus Data Receiver to look and to discard, Data Sender too to send again. Not
Manage: the transfer dead letters of forwarding are not reached.
"""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from shared.estate.dead_letter_failures import DeadLetterFailure, EntityMissing, failure_of
from shared.estate.dead_letter_messages import DeadLetter, NotCopied, copy_of, read

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential
    from azure.servicebus import ServiceBusReceivedMessage
    from azure.servicebus.aio import ServiceBusClient, ServiceBusReceiver, ServiceBusSender

LOOKED_AT = 250
"""Most messages of one entity that an overview looks at; beyond them it says that there are more."""

MOST_AT_ONCE = 200
"""Most messages that one request takes out."""

KEPT_OPEN = 100
"""Receivers that stay open while nobody looks: there are thousands of queues, and a namespace has limits."""

_PAGE = 100
_MOST_HELD = 1000  # messages that lie before the wanted ones and are locked until those are found
_PATIENCE_S = 30.0
_TAKING_S = 150.0  # below the 230 s after which Azure cuts an HTTP request off
_WAIT_S = 2.0
_CLIENT_OPTIONS: dict[str, Any] = {"retry_total": 1, "retry_backoff_factor": 0.5, "retry_backoff_max": 5}

type Send = Callable[[], Awaitable[None]]
"""Sends an identical copy of a dead letter to where it came from."""

type Deal = Callable[[DeadLetter, Send], Awaitable[None]]
"""What is done about a dead letter before it is taken out; what it raises leaves the message where it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """A queue (`queue`), or a subscription (`topic`, `subscription`); `name` is what operators call it.

    `namespace` is the fully qualified name (`NAME.servicebus.windows.net`), or a connection string, which is shown to
    nobody.
    """

    name: str
    queue: str = ""
    topic: str = ""
    subscription: str = ""
    namespace: str = field(repr=False)

    @property
    def path(self) -> str:
        return self.queue or f"{self.topic}/Subscriptions/{self.subscription}"

    @property
    def host(self) -> str:
        """The namespace, for people."""
        found = re.search(r"endpoint=sb://([^/;]+)", self.namespace, re.IGNORECASE)
        return found.group(1) if found else self.namespace

    def __str__(self) -> str:
        return f"{self.path} of {self.host}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """`count` messages, of which the longest there came at `oldest_at` (None: there are none, or they do not say).

    Not `complete`: there are more than `count`. `reasons` counts by the reason that Service Bus or a program gave.
    """

    count: int
    complete: bool
    oldest_at: datetime | None
    reasons: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What became of the messages by their sequence numbers: `done` are out; `failed` are there still, with why."""

    done: tuple[int, ...]
    missing: tuple[int, ...]
    failed: Mapping[int, str]


class DeadLetters:
    """Every failure of its methods is a `DeadLetterFailure` about one entity."""

    def __init__(self, credential: "AsyncTokenCredential") -> None:
        self._credential = credential
        self._clients: dict[str, ServiceBusClient] = {}
        self._receivers: dict[Entity, ServiceBusReceiver] = {}
        self._senders: dict[Entity, ServiceBusSender] = {}
        self._turns: dict[Entity, asyncio.Lock] = {}

    async def close(self) -> None:
        links = (*self._receivers.values(), *self._senders.values())
        clients = tuple(self._clients.values())
        self._receivers, self._senders, self._clients = {}, {}, {}
        await asyncio.gather(*(link.close() for link in links))
        await asyncio.gather(*(client.close() for client in clients))

    async def peek(self, entity: Entity, limit: int, after: int = 0) -> tuple[DeadLetter, ...]:
        """Up to `limit` messages with a higher sequence number than `after`, in that order. Locks nothing."""
        async with self._turn(entity, _PATIENCE_S):
            found = await self._peek(entity, limit, after)
        await self._let_go()
        return found

    async def look(self, entity: Entity) -> Overview:
        """How many there are, since when, and why."""
        found = await self.peek(entity, LOOKED_AT + 1)
        shown = found[:LOOKED_AT]
        return Overview(
            count=len(shown),
            complete=len(found) == len(shown),
            oldest_at=min((letter.enqueued_at for letter in shown if letter.enqueued_at), default=None),
            reasons=Counter(letter.reason or "no reason given" for letter in shown),
        )

    async def take(self, entity: Entity, numbers: Collection[int], deal: Deal) -> Taken:
        """Take out the messages with these sequence numbers (`MOST_AT_ONCE` at most), after `deal` with each.

        The process may end anywhere: a message is completed last, so that it is dealt with once or more often.
        """
        async with self._turn(entity, _TAKING_S):
            there = await self._which_are_there(entity, set(numbers))
            taking = _Taking(entity, there, deal, self._sender(entity))
            if there:
                receiver = self._open_receiver(entity)
                try:
                    await receiver.__aenter__()
                    await taking.run(receiver)
                finally:
                    await receiver.close()
            if taking.failed:
                await self._drop(entity)  # whatever the links had to do with it
        return Taken(
            done=tuple(sorted(taking.done)),
            missing=tuple(sorted(set(numbers) - there)),
            failed=dict(sorted(taking.failed.items())),
        )

    # ---- looking

    async def _peek(self, entity: Entity, limit: int, after: int) -> tuple[DeadLetter, ...]:
        receiver = self._receiver(entity)
        found: list[DeadLetter] = []
        while len(found) < limit:
            page = await receiver.peek_messages(
                max_message_count=min(_PAGE, limit - len(found)), sequence_number=after + 1
            )
            if not page:
                break
            found += (read(message) for message in page)
            after = found[-1].sequence_number
        return tuple(found)

    async def _which_are_there(self, entity: Entity, wanted: set[int]) -> set[int]:
        there: set[int] = set()
        left = sorted(wanted)
        while left:
            page = await self._peek(entity, _PAGE, left[0] - 1)
            if not page:
                break
            there |= wanted & {letter.sequence_number for letter in page}
            left = [number for number in left if number > page[-1].sequence_number]
        return there

    # ---- links

    @asynccontextmanager
    async def _turn(self, entity: Entity, patience_s: float) -> AsyncIterator[None]:
        """One at a time an entity; whatever fails, the next one begins with new links."""
        if not entity.namespace:
            raise EntityMissing(
                f"{entity.path}: no namespace. To do: set WATCHKEEPER_SIGNALS, or name one in the policy"
            )
        async with self._turns.setdefault(entity, asyncio.Lock()):
            try:
                async with asyncio.timeout(patience_s):
                    yield
            except DeadLetterFailure:
                raise
            except Exception as error:
                await self._drop(entity)
                failure = failure_of(entity.path, entity.host, error)
                if failure is None:
                    raise
                raise failure from error

    async def _drop(self, entity: Entity) -> None:
        links = (self._receivers.pop(entity, None), self._senders.pop(entity, None))
        await asyncio.gather(*(link.close() for link in links if link is not None), return_exceptions=True)

    async def _let_go(self) -> None:
        """Close the receivers that are too many; of those in use, none."""
        idle = [entity for entity in self._receivers if not self._turns[entity].locked()]
        surplus = [self._receivers.pop(entity) for entity in idle[: max(0, len(self._receivers) - KEPT_OPEN)]]
        await asyncio.gather(*(receiver.close() for receiver in surplus), return_exceptions=True)

    def _receiver(self, entity: Entity) -> "ServiceBusReceiver":
        if entity not in self._receivers:
            self._receivers[entity] = self._open_receiver(entity)
        return self._receivers[entity]

    def _sender(self, entity: Entity) -> "ServiceBusSender":
        """Connects when it sends: who discards needs no right to send."""
        if entity not in self._senders:
            client = self._client(entity)
            made = client.get_queue_sender(entity.queue) if entity.queue else client.get_topic_sender(entity.topic)
            self._senders[entity] = made
        return self._senders[entity]

    def _open_receiver(self, entity: Entity) -> "ServiceBusReceiver":
        from azure.servicebus import ServiceBusSubQueue

        client, dead = self._client(entity), ServiceBusSubQueue.DEAD_LETTER
        if entity.queue:
            return client.get_queue_receiver(entity.queue, sub_queue=dead)
        return client.get_subscription_receiver(entity.topic, entity.subscription, sub_queue=dead)

    def _client(self, entity: Entity) -> "ServiceBusClient":
        from azure.servicebus.aio import ServiceBusClient

        namespace = entity.namespace
        if namespace not in self._clients:
            if entity.host == namespace:
                self._clients[namespace] = ServiceBusClient(namespace, self._credential, **_CLIENT_OPTIONS)
            else:
                self._clients[namespace] = ServiceBusClient.from_connection_string(namespace, **_CLIENT_OPTIONS)
        return self._clients[namespace]


class _Taking:
    """Finds messages by receiving until they come, and gives the others back at the end: at once they came again."""

    def __init__(self, entity: Entity, wanted: set[int], deal: Deal, sender: "ServiceBusSender") -> None:
        self.done: set[int] = set()
        self.failed: dict[int, str] = {}
        self._entity = entity
        self._wanted = wanted
        self._deal = deal
        self._sender = sender
        self._held: dict[int, ServiceBusReceivedMessage] = {}

    async def run(self, receiver: "ServiceBusReceiver") -> None:
        try:
            while (left := self._left()) and len(self._held) < _MOST_HELD:
                batch = await receiver.receive_messages(max_message_count=_PAGE, max_wait_time=_WAIT_S)
                came = {message.sequence_number or 0: message for message in batch}
                if not came.keys() - self._held.keys():
                    break  # nothing, or what was held already and came again when its lock ran out
                self._held |= came
                for number in sorted(left & came.keys()):
                    await self._take(receiver, number)
            for number in self._left():
                self.failed[number] = _DID_NOT_COME
        finally:
            given_back = (receiver.abandon_message(message) for message in self._held.values())
            await asyncio.gather(*given_back, return_exceptions=True)  # else their locks run out

    def _left(self) -> set[int]:
        return self._wanted - self.done - self.failed.keys()

    async def _take(self, receiver: "ServiceBusReceiver", number: int) -> None:
        if number in self.failed:
            return
        message = self._held[number]
        try:
            await self._deal(read(message), lambda: self._asking(self._sender.send_messages, copy_of(message)))
            await self._asking(receiver.complete_message, message)
        except NotCopied as error:
            self.failed[number] = str(error)
        except Exception as error:  # whatever it is: the others would fare alike, and the operator must read it
            said = str(error) if isinstance(error, DeadLetterFailure) else f"{type(error).__name__}: {error}"
            self.failed |= dict.fromkeys(self._left(), said)
        else:
            self.done.add(number)
            del self._held[number]

    async def _asking[T](self, ask: Callable[[T], Awaitable[object]], message: T) -> None:
        try:
            await ask(message)
        except Exception as error:
            failure = failure_of(self._entity.path, self._entity.host, error)
            raise failure or error from error


_DID_NOT_COME = (
    "it did not come: another receiver holds it, or too many messages lie before it. To do: try again after a minute, "
    "or deal with the older ones first"
)
