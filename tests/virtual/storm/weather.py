"""The storm itself: deliveries to two processes at once, repeated until they are taken, while time passes."""

import asyncio
import resource
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from handlers.orders import start_orders
from shared import services
from shared.domain import Order
from shared.loops.intake import StillBusy
from shared.records.origin import Origin
from tests.virtual.arena import MASTER, Arena
from tests.virtual.storm.deliveries import Delivery, Storm

AT_ONCE = 48
"""Deliveries on their way at the same time: somewhat fewer than host.json lets in."""
BETWEEN_PUSHES_S = 2.0
PUSH = 400
TRIES = 10


@dataclass(slots=True)
class Seen:
    """What the senders were answered, and what it cost this process, with Azure in it but without Azurite."""

    became: Counter[str] = field(default_factory=Counter)
    sent_again: Counter[str] = field(default_factory=Counter)
    never_taken: list[Delivery] = field(default_factory=list)
    cpu_s: float = 0.0
    wall_s: float = 0.0


@asynccontextmanager
async def another_process(arena: Arena) -> AsyncIterator[services.Services]:
    """What another process of the app has of its own: its caches and its name among those that claim."""

    async def soon(_seconds: float) -> None:
        await asyncio.sleep(0.02)

    made = services.build(arena.made.settings, arena.clock.now, soon)
    try:
        yield made
    finally:
        await made.close()


async def rage(arena: Arena, storm: Storm) -> Seen:
    """Everything is delivered, and a little time passes after every push of it."""
    seen = Seen()
    began, cpu = time.monotonic(), time.process_time()
    async with another_process(arena) as other:
        for start in range(0, len(storm.deliveries), PUSH):
            await _push(arena, other, storm.deliveries[start : start + PUSH], seen)
            await arena.pass_time(BETWEEN_PUSHES_S)
    seen.cpu_s, seen.wall_s = time.process_time() - cpu, time.monotonic() - began
    return seen


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def _push(arena: Arena, other: services.Services, some: Sequence[Delivery], seen: Seen) -> None:
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(number: int, delivery: Delivery) -> None:
        async with slots:
            made = other if number % 4 == 0 else arena.made
            seen.became.update(await _until_taken(arena, made, delivery, seen))

    await asyncio.gather(*(one(number, delivery) for number, delivery in enumerate(some)))


async def _until_taken(arena: Arena, made: services.Services, delivery: Delivery, seen: Seen) -> list[str]:
    """Azure delivers again what was not taken; the answer says what each signal became, where there is an answer."""
    for _ in range(TRIES):
        try:
            return await _deliver(arena, made, delivery)
        except Exception as error:  # whatever it is: what raised was not settled, and comes again
            seen.sent_again[type(error).__name__] += 1
            await asyncio.sleep(0.02)
    seen.never_taken.append(delivery)
    return []


async def _deliver(arena: Arena, made: services.Services, delivery: Delivery) -> list[str]:
    if delivery.way == "alerts":
        answer = await arena.request("POST", "alerts", data=delivery.body)
        if answer.status == 503:
            raise StillBusy(str(answer.body))
        assert answer.status == 202, answer
        return [item["became"] for item in answer.body["items"]]
    if delivery.way == "event_grid":
        return await _through_the_webhook(arena, delivery)

    async def start(orders: Sequence[Order]) -> None:
        await start_orders(arena.app.host.client, orders)

    origin = Origin(trigger="service_bus", queue="signals", message=delivery.message)
    return [item.became for item in await made.intake.take(delivery.body, origin, start)]


async def _through_the_webhook(arena: Arena, delivery: Delivery) -> list[str]:
    url = f"{arena.app.url}/runtime/webhooks/eventgrid?functionName=intake_event_grid&code={MASTER}"
    async with arena.http.post(url, data=delivery.body, headers=EVENT_GRID) as answer:
        if answer.status >= 500:
            raise StillBusy(await answer.text())
        assert answer.status in (200, 202), await answer.text()
    return ["unanswered"] * len(delivery.numbers)


EVENT_GRID = {"aeg-event-type": "Notification", "Content-Type": "application/json"}
