"""A process that dies at a chosen request: before it leaves, or after it had its effect and before anybody heard.

What is seen are all requests of the app: every HTTP request of its clients (tables, blobs, Resource Manager, vault,
metrics, mail, webhooks, topic, tokens), every call of the clients of Durable and of Service Bus, and the answer or
settlement by which a sender hears that something was taken (`acknowledge`). Whoever dies leaves nothing behind but what
others keep: all invocations end unheard, its clients send nothing any more, and a new process (new services, another
owner of claims, empty caches) takes over.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

import aiohttp
import azure.durable_functions as df
import pytest
from azure.servicebus.aio import ServiceBusReceiver, ServiceBusSender
from yarl import URL

from shared import services
from shared.settings import read_settings
from tests.virtual.arena import Arena
from tests.virtual.kills.requests import name_of

type Moment = Literal["before", "after"]

# Methods that ask somebody else, by client.
_CALLS: Mapping[str, tuple[type, tuple[str, ...]]] = {
    "durable": (
        df.DurableFunctionsClient,
        ("get_orchestration_state", "schedule_new_orchestration", "purge_orchestrations_by"),
    ),
    "bus sender": (ServiceBusSender, ("send_messages",)),
    "bus receiver": (
        ServiceBusReceiver,
        ("peek_messages", "receive_messages", "complete_message", "abandon_message"),
    ),
}


@dataclass(frozen=True, slots=True, order=True)
class KillPoint:
    """The `nth` request (from 1) of this name, in this scenario."""

    scenario: str
    moment: Moment
    nth: int
    request: str

    def __str__(self) -> str:
        return f"{self.scenario}/{self.moment}/{self.nth}/{self.request}"

    @classmethod
    def parse(cls, text: str) -> "KillPoint":
        """What `str` wrote. Raises ValueError."""
        parts = text.split("/", 3)
        if len(parts) != 4 or parts[1] not in ("before", "after") or not parts[2].isdigit():
            raise ValueError(f"{text!r} is no kill point: write SCENARIO/before|after/NTH/REQUEST")
        return cls(parts[0], "before" if parts[1] == "before" else "after", int(parts[2]), parts[3])


async def _no_pause(_seconds: float) -> None:
    """Reads are tried again at once: a pause in virtual time would hold up the clock that it waits for."""


async def _nothing() -> None: ...


@dataclass(eq=False)
class Mortality:
    """Watches the requests of an arena's app, and kills it at `point`. `watching` says whether requests count now."""

    arena: Arena
    point: KillPoint | None = None
    watching: bool = False
    struck: bool = False
    seen: list[str] = field(default_factory=list)
    later: timedelta = timedelta()
    _counts: Counter[str] = field(default_factory=Counter)
    _alive: set[object] = field(default_factory=set)
    _dead: set[object] = field(default_factory=set)
    _buried: list[services.Services] = field(default_factory=list)

    def now(self) -> datetime:
        """The app's clock: the arena's, and what a scenario put on top."""
        return self.arena.clock.now() + self.later

    def take_over(self) -> None:
        """A new process with nothing but the settings."""
        self._buried.append(self.arena.made)
        self.arena.made = services.build(read_settings(), self.now, _no_pause)
        services.install(self.arena.made)

    async def passes(self, client: object, name: str, send: Callable[[], Awaitable[Any]]) -> Any:
        """One request of the app."""
        if client in self._dead:
            raise asyncio.CancelledError
        self._alive.add(client)
        here = self._counts_as_point(name)
        if here == "before":
            self._die()
        answer = await send()
        if here == "after":
            self._die()
        return answer

    async def acknowledge(self) -> bool:
        """A sender hears that something was taken; whether it does: not of a process that died before."""
        try:
            await self.passes(object(), "acknowledge", _nothing)
        except asyncio.CancelledError:
            return self.point is None or self.point.moment == "after"
        return True

    def _counts_as_point(self, name: str) -> Moment | None:
        if not self.watching:
            return None
        self.seen.append(name)
        self._counts[name] += 1
        point = self.point
        if point is None or self.struck or (name, self._counts[name]) != (point.request, point.nth):
            return None
        return point.moment

    def _die(self) -> None:
        self.struck = True
        self._dead |= self._alive
        self._alive.clear()
        self.arena.app.host.kill_worker()
        self.take_over()
        raise asyncio.CancelledError

    async def close(self) -> None:
        """Give the arena back the services that it was opened with, and close all others."""
        first, *others = [*self._buried, self.arena.made]
        self.arena.made = first
        services.install(first)
        for made in others:
            await made.close()


@contextmanager
def mortal(arena: Arena, azurite: str, point: KillPoint | None, patch: pytest.MonkeyPatch) -> Iterator[Mortality]:
    """The arena's app with its requests watched; everything is as before afterwards."""
    death = Mortality(arena, point)
    settings = dict(part.split("=", 1) for part in azurite.split(";") if part)
    tables, blobs = (URL(settings[name]).authority for name in ("TableEndpoint", "BlobEndpoint"))
    ours = {URL(url).authority for url in (arena.app.url, arena.world.cloud.control_url)}
    request = aiohttp.ClientSession._request

    async def watched(session: aiohttp.ClientSession, method: str, str_or_url: Any, **more: Any) -> Any:
        url = URL(str_or_url)
        if url.authority in ours:  # people and senders; not the app
            return await request(session, method, str_or_url, **more)
        body = more.get("data")
        text = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else b""
        name = name_of(method, url, text, tables, blobs)
        return await death.passes(session, name, lambda: request(session, method, str_or_url, **more))

    patch.setattr(aiohttp.ClientSession, "_request", watched)
    for words, (client, names) in _CALLS.items():
        for name in names:
            patch.setattr(client, name, _watched_call(death, getattr(client, name), f"{words} {name}"))
    yield death


def _watched_call(death: Mortality, call: Callable[..., Awaitable[Any]], name: str) -> Callable[..., Awaitable[Any]]:
    async def watched(client: object, *args: Any, **more: Any) -> Any:
        return await death.passes(client, name, lambda: call(client, *args, **more))

    return watched
