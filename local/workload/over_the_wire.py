"""The dispatcher's and the player's ends as users have them: azure-servicebus over AMQP, HTTP to the scoring URI.

For real time: these calls wait for the network, not for the clock of the local Azure.
"""

import ssl
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

import aiohttp
from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient, ServiceBusReceiver, ServiceBusSender

from local.workload.dispatcher import Work

RECEIVE_WAIT_S = 5.0
SCORING_TIMEOUT_S = 180.0
"""The longest requestTimeout of an online deployment."""


class _Closing:
    """`async with`, for what has open() and close()."""

    async def open(self) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def busy(self) -> bool:
        return False


class ServiceBusInbox(_Closing):
    """Receives from a queue with the real client. `connection_string` as in the app's settings."""

    def __init__(self, connection_string: str, queue: str) -> None:
        self._client = ServiceBusClient.from_connection_string(connection_string)
        self._receiver: ServiceBusReceiver = self._client.get_queue_receiver(queue)

    async def open(self) -> None:
        await self._receiver.__aenter__()

    async def close(self) -> None:
        await self._receiver.close()
        await self._client.close()

    async def receive(self, max_count: int) -> Sequence[Work]:
        messages = await self._receiver.receive_messages(max_message_count=max_count, max_wait_time=RECEIVE_WAIT_S)
        return [Work(b"".join(message.body), message) for message in messages]

    async def complete(self, work: Work) -> None:
        await self._receiver.complete_message(work.handle)

    async def abandon(self, work: Work) -> None:
        await self._receiver.abandon_message(work.handle)

    async def renew(self, work: Work) -> None:
        await self._receiver.renew_message_lock(work.handle)


class ServiceBusOutbox(_Closing):
    """Sends into a queue with the real client."""

    def __init__(self, connection_string: str, queue: str) -> None:
        self._client = ServiceBusClient.from_connection_string(connection_string)
        self._sender: ServiceBusSender = self._client.get_queue_sender(queue)

    async def open(self) -> None:
        await self._sender.__aenter__()

    async def close(self) -> None:
        await self._sender.close()
        await self._client.close()

    async def send(self, bodies: Sequence[bytes]) -> None:
        batch = await self._sender.create_message_batch()
        for body in bodies:
            try:
                batch.add_message(ServiceBusMessage(body))
            except ValueError:  # the batch is full
                await self._sender.send_messages(batch)
                batch = await self._sender.create_message_batch()
                batch.add_message(ServiceBusMessage(body))
        await self._sender.send_messages(batch)


class HttpScorer(_Closing):
    """POSTs to a scoring URI, through HTTPS_PROXY and with the authorities of SSL_CERT_FILE in `environment`."""

    def __init__(self, scoring_uri: str, environment: Mapping[str, str], key: str | None = None) -> None:
        self._uri = scoring_uri
        self._environment = environment
        self._headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        self._http: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        # aiohttp reads SSL_CERT_FILE at import, which may be long before the local Azure has made its authority.
        trust = ssl.create_default_context(cafile=self._environment.get("SSL_CERT_FILE"))
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=trust, limit=0),
            timeout=aiohttp.ClientTimeout(total=SCORING_TIMEOUT_S),
            headers=self._headers,
        )

    async def close(self) -> None:
        if self._http is not None:
            await self._http.close()

    async def score(self, body: bytes) -> int:
        if self._http is None:
            raise RuntimeError("not open: use `async with`")
        proxy = self._environment.get("HTTPS_PROXY") if self._uri.startswith("https://") else None
        async with self._http.post(self._uri, data=body, proxy=proxy) as answer:
            await answer.read()
            return answer.status
