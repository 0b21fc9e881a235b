"""What a scenario works with: the outside world, which repeats what was not answered, and time that goes on."""

import asyncio
import contextlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from local.servicebus.errors import ServiceBusError
from shared.policy.retention import Retention
from tests.virtual.approvals import links
from tests.virtual.arena import Answer, Arena
from tests.virtual.kills.mortality import Mortality

PATIENCE = 12
PAUSE_S = 30.0
# Longer than any lease, and than a request whose fate nobody knows is waited for.
LEASES_END = timedelta(seconds=150)
TURN = timedelta(minutes=11)


class GaveUp(AssertionError):
    """The outside world repeated a request as long as it does, and it was never answered well."""


@dataclass(eq=False)
class Course:
    """One run of a scenario."""

    arena: Arena
    death: Mortality
    repeated: bool = False

    async def insist(self, method: str, path: str, body: Any = None, *, data: bytes | None = None) -> Answer:
        """A sender, an operator or a person who is not answered tries again, as they do; the answer below 500."""
        content: dict[str, Any] = {"json": body} if data is None else {"data": data}
        got = None
        for attempt in range(PATIENCE):
            self.repeated = attempt > 0
            try:
                got = await self.arena.request(method, path, **content)
            except (aiohttp.ClientError, ValueError):  # no answer, or half of one
                got = None
            await self.arena.clock.settle()
            if got is not None and got.status < 500 and await self.death.acknowledge():
                return got
            await self.arena.pass_time(PAUSE_S)
        raise GaveUp(f"{method} {path}: {PATIENCE} times without an answer; the last was {got}")

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        """The body of a 2xx answer; whoever repeats may also hear that it is done (409)."""
        got = await self.insist(method, path, body)
        assert 200 <= got.status < 300 or (self.repeated and got.status == 409), got
        return got.body

    async def control(self, method: str, path: str, **body: Any) -> Any:
        """An operator's order with a reason."""
        return await self.call(method, path, {"reason": "a drill", "by": "ada"} | body)

    async def link_of(self, who: str) -> str:
        """The link by which this person says yes, as it was told; that somebody reads it is no request of the app."""
        self.death.watching = False
        try:
            return (await links(self.arena, who))["approve"]
        finally:
            self.death.watching = True

    async def evaluate(self) -> None:
        await self.call("POST", "evaluate", {"target": "chat"})

    async def follow(self, link: str, **form: str) -> int:
        """Somebody presses the button of a page until it answers; the status."""
        url = urlsplit(link)
        for _ in range(PATIENCE):
            async with aiohttp.ClientSession() as person:
                target = f"{self.arena.app.url}{url.path}?{url.query}"
                async with person.post(target, data=form or None) as answer:
                    status = answer.status
                    await answer.read()
            await self.arena.clock.settle()
            if status < 500:
                return status
            await self.arena.pass_time(PAUSE_S)
        raise GaveUp(f"the link was never answered: {status}")

    async def upkeep(self) -> None:
        """The upkeep timer fires: what is due runs."""
        url = f"{self.arena.app.url}/admin/functions/upkeep"
        async with self.arena.http.post(url, json={"input": ""}) as answer:
            assert answer.status == 202
        await asyncio.sleep(0)
        await self.arena.clock.settle()

    async def queue_is_read(self, queue: str) -> None:
        """Each message of a queue is taken by the intake, and settled; one that is not answered comes again."""
        waiting = self.arena.world.broker.queue(queue)
        while messages := waiting.receive(10):
            for message in messages:
                await self.insist("POST", "alerts", data=message.body)
                with contextlib.suppress(ServiceBusError):  # its lock ran out meanwhile: it comes again, as a duplicate
                    waiting.complete(message.lock_token)

    async def days_pass(self, days: float) -> None:
        """For the app; nothing of the time in between happens. The sweep comes first afterwards."""
        self.death.later += timedelta(days=days)
        await self.arena.pass_time(PAUSE_S)

    async def converge(self) -> None:
        """Nothing dies any more: leases run out, turns are taken over, what was cut off is done."""
        self.death.watching = False
        for _ in range(2):
            await self.arena.pass_time(2 * PAUSE_S)
            await self.upkeep()  # which shows signs of life, as its timer does
            self.death.later += LEASES_END
        await self.arena.pass_time(2 * PAUSE_S)
        await self.upkeep()
        await self.time_for_a_turn()  # whatever turn a dead process held is anybody's now
        await self.arena.pass_time(4 * PAUSE_S)

    async def has_run_before(self) -> None:
        """Old histories were purged yesterday: a first run of that chore looks back for months, in small windows."""
        progress = self.arena.made.stores.progress
        turn = await progress.take("history_purge", lambda _: True, self.death.now())
        assert turn is not None
        until = self.death.now() - timedelta(days=Retention().history_days)
        await progress.end(turn, "", self.death.now(), marks={"purged_until": until.isoformat()})

    async def time_for_a_turn(self) -> None:
        """For longer than a chore may take; sweep and upkeep show signs of life in between, though one of them dies."""
        for _ in range(4):
            self.death.later += TURN / 4
            await self.arena.pass_time(PAUSE_S)
            await self.upkeep()
