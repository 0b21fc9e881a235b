"""The app and the whole local Azure in one process on one virtual clock: hours in seconds, in a fixed order.

The host runs the real function_app.py once a test process (Microsoft's runtime holds one app); each test has its own
world, its own tables and its own services.
"""

import itertools
import json
import textwrap
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest

from local.clock import VirtualClock
from local.cloud.estate import Deployment
from local.cloud.faults import Fault
from local.cloud.operations import Outcome as AzureOutcome
from local.cloud.request_log import RequestRecord
from local.cloud.rights import Rights
from local.host.host import Host
from local.host.keys import Keys
from local.world import DEPLOYMENT, ENDPOINT, QUEUE, ROOT, Shape, World
from shared import services
from shared.domain import Decision, Outcome
from shared.loops.engine import Evaluation
from shared.people.lanes import Report
from shared.records.chain import StoredEntry
from shared.records.codec import from_plain
from shared.settings import read_settings

MASTER = "master-key-of-the-tests"
CHAT_KEY, ENDPOINT_KEY = DEPLOYMENT.lower(), ENDPOINT.lower()
SWEEP_EVERY_S = 30
# A Monday in working hours, ten seconds after a sweep.
BEGIN = datetime(2026, 1, 5, 9, 0, 10, tzinfo=UTC)
_prefixes = itertools.count(1)

# Minutes and hours as they are in production; work in few and long messages, because each costs the test some time.
SCALING: Mapping[str, Any] = {
    "min": 1,
    "max": 10,
    "drain_within_s": 600,
    "service_rate": {"per_instance_per_s": 0.05},
    "cold_start_s": 900,
    "scale_out_cooldown_s": 60,
    "scale_in_cooldown_s": 900,
    "scale_in_hold_s": 600,
    "respect_manual_s": 3600,
    "stale_after_s": 300,
    "not_capacity_bound_after_s": 300,
}
PRODUCTION = Shape(
    capacity=1,
    cold_start_s=900,
    service_s=20.0,
    dispatcher_concurrency=12,
    busy_retry_s=10.0,
    metric_grain_s=60,
    metric_delay_s=None,
    over_the_wire=False,
)
# For tests in which it does not matter how long an instance takes to arrive.
QUICK = replace(PRODUCTION, cold_start_s=60)


def policy_text(mode: str = "enforce", extra: str = "", source: str = f"queue: {QUEUE}", **scaling: Any) -> str:
    """A policy with the one target of the world, named `chat`; `source` says what shows its load.

    A field of `scaling` that is None is left out.
    """
    fields = "\n".join(
        f"      {name}: {_yaml(value)}" for name, value in {**SCALING, **scaling}.items() if value is not None
    )
    return (
        textwrap.dedent(f"""\
        version: 1
        loops:
          scaling:
            mode: {mode}
        targets:
          - name: chat
            deployment: {DEPLOYMENT}
            {source}
            mode: {mode}
            scaling:
        """)
        + fields
        + "\n"
        + textwrap.dedent(extra)
    )


def _yaml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {_yaml(item)}" for name, item in value.items()) + "}"
    return str(value).lower() if isinstance(value, bool) else str(value)


class _Asleep:
    """What stands in for the services between two tests, when a sweep falls due and there is nothing to watch."""

    @property
    def engine(self) -> "_Asleep":
        return self

    @property
    def deliverer(self) -> "_Asleep":
        return self

    async def sweep(self) -> Evaluation:
        return Evaluation()

    async def run(self) -> Report:
        return Report()


class VirtualApp:
    """The host, once a process. Outside of a test its clock stands still, so nothing runs."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.world: World | None = None
        self.host = Host(
            ROOT,
            self.clock,
            settings={
                "FUNCTIONS_WORKER_RUNTIME": "python",
                "PYTHON_THREADPOOL_THREAD_COUNT": "16",
                "AzureWebJobsStorage": "UseDevelopmentStorage=true",
                "WATCHKEEPER_TASK_HUB": "WatchkeeperTests",
                "WATCHKEEPER_SWEEP_SCHEDULE": f"*/{SWEEP_EVERY_S} * * * * *",
                # Not by itself: tests that need it call `upkeep`, and the others are not slowed down by it.
                "WATCHKEEPER_UPKEEP_SCHEDULE": "0 0 0 1 1 *",
                "WATCHKEEPER_NOTICES_SCHEDULE": "5 * * * * *",
                "AzureWebJobs_upkeep_Disabled": "1",
                "WATCHKEEPER_SIGNALS_QUEUE": "signals",
                "WATCHKEEPER_SIGNALS": "Endpoint=sb://127.0.0.1:1;SharedAccessKeyName=n;SharedAccessKey=k;",
                # The real client would wait in real time; the wire is tested in tests/e2e.
                "AzureWebJobs_intake_service_bus_Disabled": "1",
            },
            keys=Keys(master=MASTER),
        )
        self.url = ""

    async def start(self) -> None:
        self.clock.add_busy_probe(self.host.busy)
        self.clock.add_busy_probe(lambda: self.world is not None and self.world.busy())
        self.url = await self.host.start()

    async def begin(self) -> None:
        """Every test begins at the same moment, so that none depends on the tests before it."""
        services.install(cast("services.Services", _Asleep()))
        await self.clock.restart(BEGIN)


@dataclass(frozen=True, slots=True)
class Answer:
    """What an operator got."""

    status: int
    content_type: str
    body: Any


@dataclass(slots=True)
class Skew:
    """How far the app's clock is off; Azure's and the timers' go on as they did."""

    by: timedelta = timedelta(0)
    farthest: timedelta = timedelta(0)

    def leap(self, by: timedelta) -> None:
        """It jumps, once more."""
        self.by += by
        self.farthest = max(self.farthest, abs(self.by))


@dataclass(slots=True)
class Arena:
    """One test's world, services and eyes."""

    app: VirtualApp
    world: World
    made: services.Services
    policy_file: Path
    http: aiohttp.ClientSession
    opened_at: datetime
    skew: Skew

    @property
    def clock(self) -> VirtualClock:
        return self.app.clock

    def set_policy(self, text: str) -> None:
        """In force once the app's copy is too old (5 s)."""
        self.policy_file.write_text(text, encoding="utf-8")

    async def pass_time(self, seconds: float) -> None:
        await self.clock.advance(seconds)

    # ---- what operators and other people do

    async def request(self, method: str, path: str, **content: Any) -> Answer:
        """A request to the app, answered while the clock stands still; `content` as aiohttp takes it."""
        async with self.http.request(method, f"{self.app.url}/api/{path}", **content) as answer:
            text = await answer.text()
            return Answer(answer.status, answer.content_type, json.loads(text) if text else None)

    async def call(self, method: str, path: str, body: Any = None, *, status: int | None = None) -> Any:
        """The JSON of an operator's request, which is expected to be answered with `status`."""
        got = await self.request(method, path, json=body)
        if status is not None:
            assert got.status == status, got
        return got.body

    async def evaluate(self, target: str = "chat") -> Any:
        """Look now; what follows without time passing has happened on return."""
        result = await self.call("POST", "evaluate", {"target": target}, status=202)
        await self.clock.settle()
        return result

    async def upkeep(self, chore: str = "all") -> Any:
        """Do the chores now; what they said."""
        result = await self.call("POST", "upkeep/run", {"chore": chore}, status=202)
        await self.clock.settle()
        return {ran["chore"]: ran for ran in result["ran"]}

    async def control(self, verb: str, path: str, **body: Any) -> Any:
        """An operator's order with a reason."""
        return await self.call(verb, path, {"reason": "a test", "by": "ada"} | body)

    async def person_changes(self, deployment: str = DEPLOYMENT, **body: Any) -> None:
        """Somebody changes a deployment in the portal."""
        change = {"id": deployment, "body": body}
        async with self.http.post(f"{self.world.cloud.control_url}/estate/patch", json=change) as answer:
            told = await answer.json()
        assert told["status"] in (200, 202), told

    async def person_sets(self, capacity: int) -> None:
        await self.person_changes(sku={"name": "Default", "capacity": capacity})

    def send(self, messages: int) -> None:
        """Work for the endpoint."""
        for _ in range(messages):
            self.world.broker.queue("work").send(b"{}")

    # ---- what is to be seen at Azure

    def fault(self, method: str, path: str, status: int = 0, **more: Any) -> Fault:
        """Azure's answer to the next requests of this kind; all of them unless `times` says how many."""
        return self.world.cloud.faults.add(Fault(method=method, path=path, status=status, **({"times": 9999} | more)))

    def revoke(self, action: str) -> None:
        """Take a right of `infra/roles.json` away from the app's identity, as Resource Manager sees it."""
        granted = json.loads((ROOT / "infra" / "roles.json").read_text(encoding="utf-8"))["actions"]
        left = [grant["action"] for grant in granted if not grant["action"].endswith(action)]
        assert len(left) == len(granted) - 1
        self.world.cloud.front_door.rights = Rights(left)

    def next_operation(self, **outcome: Any) -> None:
        """How Azure ends the next change of the deployment."""
        self.deployment().next_outcome = AzureOutcome(**outcome)

    def deployment(self) -> Deployment:
        """As the local Azure keeps it."""
        return self.world.cloud.estate.deployment(DEPLOYMENT)

    def capacity(self) -> int:
        """sku.capacity, as Azure holds it."""
        return int(self.deployment().body["sku"]["capacity"])

    def sent(self) -> list[RequestRecord]:
        """Every request of the app that would change something."""
        return [record for record in self.world.cloud.mutations() if record.client_request_id]

    def patches(self) -> list[RequestRecord]:
        """Accepted changes of capacity."""
        return [record for record in self.sent() if record.accepted]

    # ---- what the app wrote down

    async def entries(self, kind: str | None = None) -> list[StoredEntry]:
        """The ledger, oldest first."""
        off = self.skew.farthest
        until = self.clock.now() + off + timedelta(seconds=1)
        page = await self.made.stores.ledger.query(self.opened_at - off, until, limit=500)
        return [entry for entry in reversed(page.entries) if kind in (None, entry.kind)]

    async def decisions(self) -> list[Decision]:
        """Those in the ledger, oldest first."""
        return [from_plain(Decision, entry.body["decision"]) for entry in await self.entries("decision")]

    async def outcomes(self) -> list[Outcome]:
        """Those in the ledger, oldest first."""
        return [from_plain(Outcome, entry.body["outcome"]) for entry in await self.entries("outcome")]

    async def problems_of_ledger(self) -> list[str]:
        """What the chain of hashes tells of every day of this test."""
        first = (self.opened_at - self.skew.farthest).date()
        days = ((self.clock.now() + self.skew.farthest).date() - first).days
        return [
            problem
            for day in range(days + 1)
            for endpoint in (ENDPOINT_KEY, "")
            for problem in await self.made.stores.ledger.verify(first + timedelta(days=day), endpoint)
        ]

    async def end_orchestrations(self) -> None:
        """Leave the host's hub as the next test expects it."""
        client = self.app.host.client
        for state in await client.get_all_orchestration_states():
            if state.runtime_status.name in ("PENDING", "RUNNING"):
                await client.terminate_orchestration(state.instance_id)
        await self.clock.settle()
        for state in await client.get_all_orchestration_states():
            await client.purge_orchestration(state.instance_id)


async def _no_pause(_seconds: float) -> None:
    """Reads are tried again at once: a pause in virtual time would hold up the clock that it waits for."""


@asynccontextmanager
async def arena(
    app: VirtualApp,
    azurite: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    shape: Shape = PRODUCTION,
    policy: str | None = None,
    assumptions: Mapping[str, str] | None = None,
) -> AsyncIterator[Arena]:
    """A world on the app's clock, with services of its own; everything is gone afterwards.

    Whatever the test was about: at its end the ledger's chain must be whole.
    """
    await app.begin()
    world = World(app.clock, shape, assumptions=assumptions)
    redelivers = world.cloud.assumptions["durable.killed_activity"] == "redelivered"
    app.host.killed_activity = "redelivered" if redelivers else "fails"
    in_parts = world.cloud.assumptions["durable.purge_by_filter"] == "in_parts"
    app.host.purge_by_filter = "in_parts" if in_parts else "whole"
    app.host.cloud_events = "taken" if world.cloud.assumptions["host.cloud_events"] == "taken" else "refused"
    policy_file = folder / "policy.yaml"
    policy_file.write_text(policy or policy_text(), encoding="utf-8")
    await world.start()
    world.cloud.trust_in_this_process()
    prefix = f"t{next(_prefixes)}x{id(world) % 100000}"
    settings = world.app_settings(azurite, policy_file, WATCHKEEPER_TABLE_PREFIX=prefix, WATCHKEEPER_PUBLIC_URL=app.url)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    skew = Skew()
    made = services.build(read_settings(), lambda: app.clock.now() + skew.by, _no_pause)
    services.install(made)
    app.world = world
    try:
        async with aiohttp.ClientSession(headers={"x-functions-key": MASTER}) as http:
            opened = Arena(app, world, made, policy_file, http, app.clock.now(), skew)
            yield opened
            await app.clock.settle()
            assert await opened.problems_of_ledger() == []
    finally:
        await app.clock.settle()
        await opened.end_orchestrations()
        app.world = None
        services.install(None)
        await made.close()
        await world.stop()
