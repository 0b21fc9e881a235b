"""From a signal's delivery to the PATCH that Azure accepts: the real app, in a process of its own, over the wire.

Every round puts so much more work into the queue that one more instance is needed, delivers one signal, and waits until
the change is over. The sweep is out of the way, so only the signal can wake the app.
"""

import asyncio
import contextlib
import re
import textwrap
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Self

import aiohttp

from handlers.orders import instance_id
from local.azurite import Azurite
from local.clock import RealClock
from local.cloud.request_log import RequestRecord
from local.eventgrid import EventSubscription, ServiceBusQueue, Topic
from local.host_process import HostProcess
from local.workload import Arrivals
from local.world import DEPLOYMENT, ENDPOINT, NAMESPACE, QUEUE, ROOT, SIGNALS_QUEUE, WORK_QUEUE, Shape, World
from shared.domain import INSTANCES_PER_DEPLOYMENT, Order

MESSAGES_PER_INSTANCE: Final = 20
PROBES_A_ROUND: Final = 3
PATIENCE_S: Final = 60.0
GLANCE_S: Final = 0.05
MOST_RUNS: Final = INSTANCES_PER_DEPLOYMENT - 3
"""Each round adds an instance to the first one, and so do the two cold rounds."""

# An instance drains its messages in exactly the promised second, so that each round's messages need one more.
POLICY = textwrap.dedent(f"""\
    version: 1
    loops:
      scaling:
        mode: enforce
    targets:
      - name: chat
        deployment: {DEPLOYMENT}
        queue: {QUEUE}
        mode: enforce
        scaling:
          max: {INSTANCES_PER_DEPLOYMENT}
          drain_within_s: 1
          service_rate: {{per_instance_per_s: {MESSAGES_PER_INSTANCE}}}
          cold_start_s: 0
          scale_out_cooldown_s: 0
          not_capacity_bound_after_s: 86400
    """)
ORDER = Order(endpoint_key=ENDPOINT.lower(), target=DEPLOYMENT.lower(), dimension="capacity")


class NoReaction(RuntimeError):
    """The app did not do what a round waits for; the message ends with the last lines of its log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaction:
    """One round: `seconds` from the delivery to the PATCH, `woken_s` to the app's first request of any kind.

    `azure_requests` ("METHOD host") and `table_requests` are those in that time, the PATCH among them.
    """

    way: str
    seconds: float
    woken_s: float
    azure_requests: tuple[str, ...]
    table_requests: int
    round_trips_s: tuple[float, ...]


class TableCounter:
    """Forwards TCP between the app and Azurite's tables, and notes when each request passes."""

    _REQUEST = re.compile(rb"(?:GET|POST|PUT|PATCH|MERGE|DELETE) /\S* HTTP/1\.1\r\n")

    def __init__(self, connection_string: str, now: Callable[[], datetime]) -> None:
        self._settings = dict(part.split("=", 1) for part in connection_string.split(";") if part)
        self._now = now
        self.passed_at: list[datetime] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *error: object) -> None:
        self._server.close()
        self._server.close_clients()
        await self._server.wait_closed()

    @property
    def connection_string(self) -> str:
        port = self._server.sockets[0].getsockname()[1]
        endpoint = f"http://127.0.0.1:{port}/{self._settings['AccountName']}"
        return ";".join(f"{name}={value}" for name, value in (self._settings | {"TableEndpoint": endpoint}).items())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        port = int(self._settings["TableEndpoint"].rsplit(":", 1)[1].split("/", 1)[0])
        upstream, to_upstream = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(self._pump(reader, to_upstream, count=True), self._pump(upstream, writer, count=False))

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, count: bool) -> None:
        with contextlib.suppress(ConnectionError):
            while chunk := await source.read(65536):
                if count and self._REQUEST.match(chunk):  # a client sends no second request before it has its answer
                    self.passed_at.append(self._now())
                sink.write(chunk)
                await sink.drain()
        sink.close()


class Course:
    """Where the rounds are run."""

    def __init__(
        self, world: World, host: HostProcess, tables: TableCounter, http: aiohttp.ClientSession, topic: Topic
    ) -> None:
        self._world, self._host, self._tables, self._http, self._topic = world, host, tables, http, topic
        self.ways: Mapping[str, Callable[[], Awaitable[None]]] = {
            "alert, by HTTP": self._alert,
            "event, by Service Bus": self._event,
        }

    async def round(self, way: str) -> Reaction:
        """One more instance is needed; deliver the signal, and see when Azure takes the change.

        Raises:
            NoReaction: it did not come, or the change did not end.
        """
        round_trips_s = tuple([await self._round_trip_s() for _ in range(PROBES_A_ROUND)])
        await self.add_work()
        known = self._world.cloud.requests.next_number
        started = self._world.clock.now()
        await self.ways[way]()
        patch = await self._patch(known)
        await self._until("the change is over", self._over)
        requests = [r for r in self._world.cloud.requests if known <= r.number <= patch.number]
        tables = [at for at in self._tables.passed_at if started <= at <= patch.at]
        first = min([*tables, *(request.at for request in requests)])
        return Reaction(
            way=way,
            seconds=(patch.at - started).total_seconds(),
            woken_s=(first - started).total_seconds(),
            azure_requests=tuple(f"{request.method} {request.host}" for request in requests),
            table_requests=len(tables),
            round_trips_s=round_trips_s,
        )

    async def add_work(self) -> None:
        """What one instance serves within the promise."""
        await self._world.play(Arrivals.at([0.0] * MESSAGES_PER_INSTANCE)).finished()

    async def _alert(self) -> None:
        fired = self._world.clock.now().isoformat()
        essentials = {
            "alertId": f"/subscriptions/s/providers/Microsoft.AlertsManagement/alerts/{uuid.uuid4()}",
            "alertRule": "work waits",
            "severity": "Sev2",
            "signalType": "Metric",
            "monitorCondition": "Fired",
            "monitoringService": "Platform",
            "alertTargetIDs": [NAMESPACE],
            "firedDateTime": fired,
        }
        criterion = {"metricName": "ActiveMessages", "dimensions": [{"name": "EntityName", "value": WORK_QUEUE}]}
        context = {"condition": {"allOf": [criterion]}}
        body = {
            "schemaId": "azureMonitorCommonAlertSchema",
            "data": {"essentials": essentials, "alertContext": context},
        }
        key = {"x-functions-key": self._host.key}
        async with self._http.post(f"{self._host.url}/api/alerts", json=body, headers=key) as answer:
            if answer.status != 202:
                raise NoReaction(f"the alert was answered with {answer.status}: {await answer.text()}")

    async def _event(self) -> None:
        self._topic.publish(
            [
                {
                    "id": str(uuid.uuid4()),
                    "subject": f"queues/{WORK_QUEUE}",
                    "eventType": "Microsoft.ServiceBus.ActiveMessagesAvailablePeriodicNotifications",
                    "eventTime": self._world.clock.now().isoformat(),
                    "data": {"entityType": "queue", "queueName": WORK_QUEUE},
                }
            ]
        )

    async def _round_trip_s(self) -> float:
        """A bare HTTP request to the app, which reads nothing."""
        started = time.perf_counter()
        async with self._http.get(f"{self._host.url}/api/health") as answer:
            await answer.read()
        return time.perf_counter() - started

    async def _patch(self, known: int) -> RequestRecord:
        """The first accepted PATCH among the requests from number `known` on."""
        found: list[RequestRecord] = []

        async def there() -> bool:
            found[:] = [r for r in self._world.cloud.mutations() if r.number >= known and r.method == "PATCH"]
            return any(record.accepted for record in found)

        await self._until("Azure accepts a PATCH", there)
        return next(record for record in found if record.accepted)

    async def _over(self) -> bool:
        """The outcome is recorded, and nothing runs that the next signal would only join."""
        url = f"{self._host.url}/runtime/webhooks/durabletask/instances/{instance_id(ORDER)}"
        async with self._http.get(url, params={"code": self._host.key}) as answer:
            status: dict[str, Any] = await answer.json(content_type=None) if answer.status in (200, 202) else {}
        return status.get("runtimeStatus") == "Completed"

    async def _until(self, what: str, holds: Callable[[], Awaitable[bool]]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not await holds():
            if time.monotonic() > deadline:
                raise NoReaction(f"not within {PATIENCE_S:.0f} s: {what}\n{self._host.log_tail(8)}")
            await asyncio.sleep(GLANCE_S)


@contextlib.asynccontextmanager
async def course(folder: Path) -> AsyncIterator[Course]:
    """Azurite, the local Azure and the app, up; all gone afterwards."""
    policy = folder / "policy.yaml"
    policy.write_text(POLICY, encoding="utf-8")
    async with Azurite(folder / "azurite") as azurite, aiohttp.ClientSession() as http:
        world = World(RealClock(), Shape(cold_start_s=0.1))
        async with TableCounter(azurite.connection_string, world.clock.now) as tables:
            await world.start()
            world.dispatcher.freeze()  # the backlog stays as it is put there
            world.cloud.lifecycle.shortest_operation_s, world.cloud.lifecycle.retry_after_s = 0.1, 1
            settings = world.app_settings(
                tables.connection_string, policy, WATCHKEEPER_SWEEP_SCHEDULE=_hourly(world.clock.now())
            )
            host = HostProcess(ROOT, folder / "host", settings)
            try:
                await host.start()
                topic = world.events.system_topic("bus", NAMESPACE)
                subscription = EventSubscription(name="signals", destination=ServiceBusQueue(SIGNALS_QUEUE))
                await world.events.subscribe(topic, subscription)
                ready = Course(world, host, tables, http, topic)
                await ready.add_work()  # as much as the first instance serves
                yield ready
            finally:
                await host.stop()
                await world.stop()


async def measure(folder: Path, runs: int) -> tuple[list[Reaction], list[Reaction]]:
    """The first round of each way, on a cold app; then `runs` rounds, the ways in turn.

    Raises:
        NoReaction: a round failed.
    """
    async with course(folder) as on:
        ways = list(on.ways)
        cold = [await on.round(way) for way in ways]
        return cold, [await on.round(ways[n % len(ways)]) for n in range(runs)]


def _hourly(now: datetime) -> str:
    """A sweep once an hour, half an hour away from now."""
    return f"0 {(now + timedelta(minutes=30)).minute} * * * *"
