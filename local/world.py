"""One small Azure with a workload: a queue, a dispatcher, an endpoint with one deployment, and everything around them.

The demo and the end-to-end tests start from here. The app is not part of it: it runs on `local.host`, in its own
process or in this one, with `app_settings` as its settings.
"""

import random
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import uuid4

from local.clock import Clock
from local.cloud import BrokerQueues, Call, Cloud, Estate, Reply
from local.cloud.estate import Vault
from local.eventgrid import EventGrid, EventSubscription, Schema, ServiceBusQueue, Topic
from local.fleet import Fleet
from local.servicebus import Broker
from local.workload import (
    Arrivals,
    DirectCalls,
    Dispatcher,
    Habits,
    HttpScorer,
    Outbox,
    Player,
    PoolScorer,
    QueueInbox,
    QueueOutbox,
    ScoringPool,
    ServiceBusInbox,
    ServiceBusOutbox,
    ServiceProfile,
)

ROOT = Path(__file__).parents[1]
SUBSCRIPTION = "00000000-0000-4000-8000-000000000001"
REGION = "westeurope"
ENDPOINT = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/demo/providers/Microsoft.MachineLearningServices"
    "/workspaces/demo/onlineEndpoints/demo"
)
DEPLOYMENT = f"{ENDPOINT}/deployments/blue"
NAMESPACE = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/demo/providers/Microsoft.ServiceBus/namespaces/demo-bus"
QUEUE = f"{NAMESPACE}/queues/work"
SCORING_URI = f"https://demo.{REGION}.inference.ml.azure.com/score"
WORK_QUEUE, SIGNALS_QUEUE = "work", "signals"
VAULT = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/demo/providers/Microsoft.KeyVault/vaults/demo-kv"
VAULT_URL = "https://demo-kv.vault.azure.net"
LINK_KEY = "watchkeeper-link-key"  # signs the links in notices
TOPIC_HOST = f"notices.{REGION}-1.eventgrid.azure.net"
WEBHOOKS = {
    "teams-oncall": f"https://prod-00.{REGION}.logic.azure.com/workflows/oncall/triggers/manual/paths/invoke?sig=local",
    "slack-team": "https://hooks.slack.com/services/T0/B0/local",
    "any-webhook": "https://hooks.example.com/hooks/oncall",
}
"""Secrets of the vault: where the webhooks of the channels are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Of what size and speed the world is. The defaults are the demo's: an hour of Azure in a minute or two.

    `metric_delay_s` None: as the assumption `monitor.delay_s` says. `over_the_wire`: the dispatcher uses the real
    Service Bus client and real HTTP; in process it is as exact and much cheaper, for virtual time.
    `kubernetes`: the deployment runs on a Kubernetes cluster, with Default scale settings.
    `second_deployment`: the endpoint has another one, `green`, without traffic. `fleet_endpoints`: so many further
    endpoints of `fleet_deployments` deployments (see `local.fleet`).
    """

    capacity: int = 1
    cold_start_s: float = 8.0
    service_s: float = 0.5
    slots_per_instance: int = 1
    dispatcher_concurrency: int = 40
    busy_retry_s: float = 1.0
    size: str = "Standard_DS3_v2"
    quota_vcpus: int = 400
    metric_grain_s: float = 5.0
    metric_delay_s: float | None = 1.0
    over_the_wire: bool = True
    autoscale_enabled: bool | None = None
    kubernetes: bool = False
    second_deployment: bool = False
    fleet_endpoints: int = 0
    fleet_deployments: int = 5
    seed: int = 1


class World:
    """Start it on an event loop; everything listens on 127.0.0.1."""

    def __init__(self, clock: Clock, shape: Shape, *, assumptions: Mapping[str, str] | None = None) -> None:
        self.clock, self.shape = clock, shape
        self.fleet = Fleet(
            shape.fleet_endpoints, shape.fleet_deployments, size=shape.size, cold_start_s=shape.cold_start_s
        )
        self.cloud = Cloud(
            clock,
            Estate.from_dict(_estate(shape, self.fleet)),
            roles=ROOT / "infra" / "roles.json",
            assumptions=assumptions,
            metric_grain_s=shape.metric_grain_s,
            metric_delay_s=shape.metric_delay_s,
            seed=shape.seed,
        )
        keep_time = self.cloud.assumptions["servicebus.dead_letter_time"] == "when_it_was_sent"
        self.broker = Broker(_broker_config(), clock, dead_letters_keep_time=keep_time)
        self.cloud.attach_queues(BrokerQueues(self.broker))
        for source in self.fleet.queues.values():
            self.cloud.attach_queues(source)
        self.events = EventGrid(clock, random.Random(shape.seed), self._into_queue, SUBSCRIPTION, "demo")
        self.topic = self.events.custom_topic("notices", schema=Schema.CLOUD_EVENTS)
        self.cloud.attach_topic(TOPIC_HOST, self.topic.publish)
        self.pool = ScoringPool(
            ENDPOINT,
            self.cloud,
            clock,
            random.Random(shape.seed),
            profile_of=lambda _: ServiceProfile(service_time_s=shape.service_s, concurrency=shape.slots_per_instance),
            max_wait_s=170.0,
            emit=self.cloud.report,
            window_s=shape.metric_grain_s,
            habits=Habits(
                slots=self._slots,
                utilization=("CpuUtilizationPercentage", *_gpu_metrics(shape)),
                sends_zeros=lambda: self.cloud.assumptions["monitor.idle_requests"] == "zero",
                counts_wait=lambda: self.cloud.assumptions["monitor.latency_wait"] == "included",
            ),
        )
        self.dispatcher: Dispatcher
        self._vault_topic: Topic
        self._wire: tuple[ServiceBusInbox, HttpScorer, ServiceBusOutbox] | None = None
        self._players: list[Player] = []
        self.callers: DirectCalls

    async def start(self) -> None:
        await self.broker.start()
        await self.cloud.start()
        await self.events.start()
        await self._tell_of_the_vault()
        self.pool.start()
        self.cloud.serve(ENDPOINT, self._answer, self.pool.held)
        if self.shape.over_the_wire:
            connection = self.broker.connection_string
            self._wire = (
                ServiceBusInbox(connection, WORK_QUEUE),
                HttpScorer(SCORING_URI, self.cloud.environment(), key="local"),
                ServiceBusOutbox(connection, WORK_QUEUE),
            )
            for client in self._wire:
                await client.open()
            self.dispatcher = self._dispatcher(self._wire[0], self._wire[1])
        else:
            self.dispatcher = self._dispatcher(
                QueueInbox(self.broker.queue(WORK_QUEUE), self.clock), PoolScorer(self.pool)
            )
        self.dispatcher.start()
        self.callers = DirectCalls(self._wire[1] if self._wire else PoolScorer(self.pool), self.clock)

    async def stop(self) -> None:
        for player in self._players:
            await player.stop()
        await self.callers.stop()
        self.pool.stop()
        await self.dispatcher.stop()
        for client in self._wire or ():
            await client.close()
        await self.events.stop()
        await self.cloud.stop()
        await self.broker.stop()

    def busy(self) -> bool:
        probes = [self.broker.busy, self.cloud.busy, self.events.busy, self.pool.busy, self.dispatcher.busy]
        probes.append(self.callers.busy)
        return any(busy() for busy in (*probes, *(player.busy for player in self._players)))

    def play(self, arrivals: Arrivals) -> Player:
        """Send messages at these times from now on."""
        return self._play(arrivals, self._wire[2] if self._wire else QueueOutbox(self.broker.queue(WORK_QUEUE)))

    def call(self, arrivals: Arrivals) -> Player:
        """Call the endpoint at these times from now on, past the queue; `callers` knows how that went."""
        return self._play(arrivals, self.callers)

    def _play(self, arrivals: Arrivals, outbox: Outbox) -> Player:
        player = Player(arrivals, outbox, self.clock)
        self._players.append(player)
        player.start()
        return player

    @property
    def vault(self) -> Vault:
        return self.cloud.estate.vault(VAULT.rpartition("/")[2])

    def rotate(self, secret: str, value: str, expires_on: datetime | None = None) -> str:
        """A person puts a new version into the vault, and Event Grid tells it to the signals queue; its id."""
        version = self.vault.set(secret, value, self.clock.now(), expires_on=expires_on)
        self.tell_of_secret("SecretNewVersionCreated", secret, version.id)
        return version.id

    def tell_of_secret(self, what: str, secret: str, version: str) -> None:
        """An event of the vault: `SecretNewVersionCreated`, `SecretNearExpiry`, `SecretExpired`."""
        event = {
            "id": str(uuid4()),
            "subject": secret,
            "eventType": f"Microsoft.KeyVault.{what}",
            "eventTime": self.clock.now().isoformat(),
            "data": {
                "Id": f"{VAULT_URL}/secrets/{secret}/{version}",
                "VaultName": self.vault.name,
                "ObjectType": "Secret",
                "ObjectName": secret,
                "Version": version,
                "NBF": None,
                "EXP": None,
            },
            "dataVersion": "1",
        }
        self._vault_topic.publish([event])

    def depth(self) -> int:
        """Messages that wait or are worked on, as Resource Manager counts them."""
        counts = self.broker.queue(WORK_QUEUE).counts()
        return counts.active + counts.locked

    def instances(self) -> tuple[int, int]:
        """Instances (ready, pending)."""
        states = [instance.state for instance in self.cloud.instances(DEPLOYMENT)]
        return states.count("ready"), states.count("pending")

    def app_settings(self, storage: str, policy_file: Path, **more: str) -> dict[str, str]:
        """The app's settings in this world: the names of production, with values of this machine."""
        return {
            **self.cloud.environment(),
            "FUNCTIONS_WORKER_RUNTIME": "python",
            "PYTHON_THREADPOOL_THREAD_COUNT": "32",
            "AzureWebJobsStorage": storage,
            "WATCHKEEPER_TASK_HUB": "WatchkeeperLocal",
            "WATCHKEEPER_SWEEP_SCHEDULE": "*/2 * * * * *",
            "WATCHKEEPER_UPKEEP_SCHEDULE": "*/10 * * * * *",
            "WATCHKEEPER_NOTICES_SCHEDULE": "*/2 * * * * *",
            "WATCHKEEPER_NOTICE_TOPIC": f"https://{TOPIC_HOST}/api/events",
            "WATCHKEEPER_MAIL_ENDPOINT": "https://demo.communication.azure.com",
            "WATCHKEEPER_MAIL_SENDER": "watchkeeper@demo.example",
            "WATCHKEEPER_PUBLIC_URL": "https://watchkeeper.example",
            "WATCHKEEPER_SIGNALS_QUEUE": SIGNALS_QUEUE,
            "WATCHKEEPER_SIGNALS": self.broker.connection_string,
            "WATCHKEEPER_POLICY_FILE": str(policy_file),
            "WATCHKEEPER_POLICY_MAX_AGE_S": "5",
            "WATCHKEEPER_VAULT_URL": VAULT_URL,
            **more,
        }

    def _dispatcher(self, inbox: ServiceBusInbox | QueueInbox, scorer: HttpScorer | PoolScorer) -> Dispatcher:
        shape = self.shape
        return Dispatcher(
            inbox, scorer, self.clock, concurrency=shape.dispatcher_concurrency, busy_retry_s=shape.busy_retry_s
        )

    def _slots(self) -> dict[str, dict[str, int]]:
        """Of ready instances, by deployment and instance."""
        each = self.shape.slots_per_instance
        return {
            deployment: {one.id: each for one in self.cloud.instances(deployment) if one.state == "ready"}
            for deployment in [each.id for each in self.cloud.estate.endpoint(ENDPOINT).deployments.values()]
        }

    async def _answer(self, call: Call) -> Reply:  # noqa: ARG002 - the simulated model does not look at its input
        answer = await self.pool.score()
        return Reply(status=answer.status, body={"served_by": answer.instance})

    async def _tell_of_the_vault(self) -> None:
        self._vault_topic = self.events.system_topic("vault", VAULT)
        into_signals = EventSubscription(name="signals", destination=ServiceBusQueue(SIGNALS_QUEUE))
        await self.events.subscribe(self._vault_topic, into_signals)

    def _into_queue(self, queue: str, body: bytes, properties: Mapping[str, str]) -> None:
        self.broker.queue(queue).send(body, properties=dict(properties))


def _gpu_metrics(shape: Shape) -> tuple[str, ...]:
    """A size with GPUs uses them as much as its CPUs, here."""
    return ("GpuUtilizationPercentage",) if shape.size.startswith("Standard_N") else ()


def _broker_config() -> dict[str, object]:
    """The official emulator's form."""
    queues = [
        {"Name": name, "Properties": {"LockDuration": "PT1M", "MaxDeliveryCount": 10}}
        for name in (WORK_QUEUE, SIGNALS_QUEUE)
    ]
    return {"UserConfig": {"Namespaces": [{"Name": "demo-bus", "Queues": queues}]}}


def _estate(shape: Shape, fleet: Fleet) -> dict[str, object]:
    deployment = {
        "name": "blue",
        "size": shape.size,
        "capacity": shape.capacity,
        "cold_start_s": shape.cold_start_s,
        "concurrency": shape.slots_per_instance,
        "compute_type": "Kubernetes" if shape.kubernetes else "Managed",
    }
    deployments = [deployment, deployment | {"name": "green"}] if shape.second_deployment else [deployment]
    endpoint = {"name": "demo", "traffic": {"blue": 100}, "deployments": deployments}
    kept = {LINK_KEY: secrets.token_urlsafe(32), **WEBHOOKS}
    vault = {"name": "demo-kv", "group": "demo", "region": REGION, "secrets": kept}
    subscription: dict[str, object] = {
        "id": SUBSCRIPTION,
        "workspaces": [{"name": "demo", "group": "demo", "region": REGION, "endpoints": [endpoint]}],
        "namespaces": [{"name": "demo-bus", "group": "demo", "region": REGION, "queues": [WORK_QUEUE, SIGNALS_QUEUE]}],
        "vaults": [vault],
        "quota": {REGION: {"regional": shape.quota_vcpus, "standardDSv2Family": shape.quota_vcpus}},
    }
    if shape.autoscale_enabled is not None:
        setting = {"name": "by-cpu", "group": "demo", "region": REGION, "target": DEPLOYMENT}
        subscription["autoscale"] = [setting | {"enabled": shape.autoscale_enabled}]
    return {"subscriptions": [subscription, *fleet.subscriptions()]}
