"""A virtual clock, an Event Grid on it, and a webhook that answers as it is told."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from local.clock import VirtualClock
from local.eventgrid import EventGrid


@dataclass
class Received:
    headers: Mapping[str, str]
    body: Any


@dataclass
class Subscriber:
    """The webhook: completes both handshakes unless told otherwise, and answers `statuses` in turn, then 200."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    validations: list[Received] = field(default_factory=list)
    options: list[Mapping[str, str]] = field(default_factory=list)
    validation_answer: Callable[[str], web.Response] = lambda code: web.json_response({"validationResponse": code})
    allowed_origin: str = "eventgrid.azure.net"
    options_status: int = 200

    @property
    def events(self) -> list[Any]:
        return [event for request in self.received for event in request.body]

    async def post(self, request: web.Request) -> web.Response:
        received = Received(dict(request.headers), json.loads(await request.read()))
        if request.headers["aeg-event-type"] == "SubscriptionValidation":
            self.validations.append(received)
            return self.validation_answer(received.body[0]["data"]["validationCode"])
        self.received.append(received)
        return web.Response(status=self.statuses.pop(0) if self.statuses else 200)

    async def ask(self, request: web.Request) -> web.Response:
        self.options.append(dict(request.headers))
        headers = {"WebHook-Allowed-Origin": self.allowed_origin, "WebHook-Allowed-Rate": "120"}
        return web.Response(status=self.options_status, headers=headers)


@pytest.fixture
async def subscriber() -> AsyncIterator[Subscriber]:
    webhook = Subscriber()
    app = web.Application()
    app.router.add_post("/hook", webhook.post)
    app.router.add_options("/hook", webhook.ask)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    webhook.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook?code=secret"
    yield webhook
    await runner.cleanup()


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@dataclass
class Messages:
    """Stands for a Service Bus namespace; `refusals` many messages are refused first."""

    sent: list[tuple[str, bytes, dict[str, str]]] = field(default_factory=list)
    refusals: int = 0

    def send(self, queue: str, body: bytes, properties: Mapping[str, str]) -> None:
        if self.refusals:
            self.refusals -= 1
            raise ConnectionError("the namespace is away")
        self.sent.append((queue, body, dict(properties)))


@pytest.fixture
def messages() -> Messages:
    return Messages()


@pytest.fixture
async def grid(clock: VirtualClock, messages: Messages) -> AsyncIterator[EventGrid]:
    service = EventGrid(clock, random.Random(7), send=messages.send)
    clock.add_busy_probe(service.busy)
    await service.start()
    yield service
    await asyncio.wait_for(service.stop(), 10)
