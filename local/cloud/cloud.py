"""The local Azure as one object: what it holds, what it listens on, and how to reach it."""

import random
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from aiohttp import web

from local.activity import Activity
from local.clock import Clock
from local.cloud.control import Control
from local.cloud.estate import Estate, Instance
from local.cloud.faults import Faults
from local.cloud.front_door import FrontDoor
from local.cloud.identity import ManagedIdentity
from local.cloud.inbox import Inbox
from local.cloud.lifecycle import Held, Lifecycle
from local.cloud.listeners import Listeners, trust_in_this_process
from local.cloud.metrics import MetricStore
from local.cloud.providers.activity_log import ActivityLog
from local.cloud.providers.autoscale import Autoscale
from local.cloud.providers.communication import Communication
from local.cloud.providers.event_topic import EventTopics, Publish
from local.cloud.providers.key_vault import KeyVault
from local.cloud.providers.machine_learning import MachineLearning
from local.cloud.providers.monitor import Monitor
from local.cloud.providers.resource_graph import ResourceGraph
from local.cloud.providers.scoring import Scoring, ScoringHandler
from local.cloud.providers.service_bus import ServiceBus
from local.cloud.providers.webhooks import Webhooks
from local.cloud.queues import QueueBoard, QueueSource
from local.cloud.request_log import RequestLog, RequestRecord
from local.cloud.rights import Rights
from local.cloud.routing import Registry, Route
from local.cloud.sampling import Sampler
from local.cloud.switches import Switches
from local.cloud.throttling import ArmThrottle, BucketSizes, GraphQuota

IDENTITY_HOST = "identity"
MAX_BODY_BYTES = 16 * 1024 * 1024


class Cloud:
    """Azure Resource Manager and the services around it, on 127.0.0.1.

    Args:
        clock: time of everything but the tokens.
        estate: what exists.
        assumptions: values that differ from the defaults of `shared.assumptions`; live in `cloud.assumptions`.
        roles: a file of the shape of `infra/roles.json`: what the managed identity may do.
        buckets: sizes of the throttles.
        metric_grain_s: 60 as in Azure, or less for a demo; answers say their interval.
        metric_delay_s: instead of the assumption `monitor.delay_s`, for a demo.
        user_assigned_identities: object id by client id, beside the system-assigned identity.
        token_lifetime_s: of new tokens, in real seconds.
        seed: of the little randomness there is (the order of unordered Resource Graph rows).
    """

    def __init__(
        self,
        clock: Clock,
        estate: Estate,
        *,
        roles: Path,
        assumptions: Mapping[str, str] | None = None,
        buckets: BucketSizes | None = None,
        metric_grain_s: float = 60,
        metric_delay_s: float | None = None,
        user_assigned_identities: Mapping[str, str] | None = None,
        token_lifetime_s: float = 86_400,
        seed: int = 0,
    ) -> None:
        self.clock = clock
        self.estate = estate
        self.assumptions = Switches(assumptions)
        self.faults = Faults()
        self.requests = RequestLog()
        self.refused_hosts: list[str] = []
        self.inbox = Inbox()
        self._topics = EventTopics()
        self.identity = ManagedIdentity(secrets.token_hex(16), user_assigned_identities, lifetime_s=token_lifetime_s)
        self.lifecycle = Lifecycle(estate, clock, self.assumptions)
        self.queues = QueueBoard(clock, self.assumptions)
        self.metrics = MetricStore(
            clock,
            lambda: self.assumptions.seconds("monitor.delay_s") if metric_delay_s is None else metric_delay_s,
            metric_grain_s,
        )
        self._sampler = Sampler(clock, estate, self.queues, self.metrics, self.assumptions)
        self._scoring = Scoring()
        self._rights = Rights.from_file(roles)
        self._sizes = buckets or BucketSizes()
        self._dice = random.Random(seed)
        self._activity = Activity(clock)
        self.registry = Registry(self._routes())
        self.front_door = self._front_door()
        self._listeners = Listeners(self.refused_hosts.append, self._resolves)
        self._environment: dict[str, str] = {}
        self._control_url = ""

    async def start(self) -> None:
        """Listen on free ports of 127.0.0.1, in the running loop."""
        self._activity.open()
        self.estate.populate(self.clock.now())
        control = Control(
            estate=self.estate,
            lifecycle=self.lifecycle,
            switches=self.assumptions,
            faults=self.faults,
            log=self.requests,
            inbox=self.inbox,
            front_door=self.front_door,
            expire_tokens=self.identity.expire_tokens,
        )
        proxy_url, ca_file = await self._listeners.azure(self.front_door.serve, self.estate.regions())
        identity_url = await self._listeners.plain(self._serve_identity)
        self._control_url = await self._listeners.application(control.application())
        self._environment = {
            "HTTPS_PROXY": proxy_url,
            "NO_PROXY": "127.0.0.1,localhost",
            "SSL_CERT_FILE": str(ca_file),
            "REQUESTS_CA_BUNDLE": str(ca_file),
            "IDENTITY_ENDPOINT": f"{identity_url}/msi/token",
            "IDENTITY_HEADER": self.identity.secret,
        }
        self._sampler.start()
        self.queues.start()

    async def stop(self) -> None:
        self._sampler.stop()
        self.queues.stop()
        self.faults.clear()
        await self._listeners.close()
        await self._activity.close()

    def environment(self) -> dict[str, str]:
        """The variables that lead real SDK clients here; set them for the app's process only."""
        return dict(self._environment)

    def trust_in_this_process(self) -> None:
        """For clients in the cloud's own process: aiohttp read SSL_CERT_FILE at its import, before we started."""
        trust_in_this_process(Path(self._environment["SSL_CERT_FILE"]))

    @property
    def control_url(self) -> str:
        return self._control_url

    def busy(self) -> bool:
        """True while a request is being worked on that waits neither for the clock nor for a test."""
        return self._activity.busy()

    def mutations(self) -> list[RequestRecord]:
        """Requests that would change something, refused ones included (see `RequestRecord.accepted`)."""
        return self.requests.mutations()

    def attach_queues(self, source: QueueSource) -> None:
        """Let the counts and events of a namespace come from `source` (the broker).

        Raises:
            ValueError: the estate has no such namespace.
        """
        self._sampler.watch(source)
        self.queues.attach(source)

    def attach_topic(self, host: str, publish: Publish) -> None:
        """Let a custom topic be reached by publishers with a token, as `https://{host}/api/events`."""
        self._topics.attach(host, publish)

    def serve(self, endpoint_id: str, handler: ScoringHandler | None, held: Held) -> None:
        """Let a workload play the instances of an endpoint.

        Args:
            handler: answers `POST {scoringUri}`; None if the workload scores in process.
            held: how many requests an instance (by its id) works on; a draining one is gone once that is 0.
        """
        endpoint = self.estate.endpoint(endpoint_id)
        if handler is not None:
            self._scoring.register(endpoint, handler)
        self.lifecycle.holds(endpoint, held)

    def report(self, resource_id: str, metric: str, value: float, at: datetime, dimensions: Mapping[str, str]) -> None:
        """Take a metric that a workload measured of an endpoint or deployment, if Azure would have it."""
        if self._sampler.is_reported(resource_id):
            self.metrics.add(resource_id, metric, value, at, dimensions)

    def instances(self, deployment_id: str) -> Sequence[Instance]:
        """The instances of a deployment that are not gone."""
        with self.estate.lock:
            return list(self.estate.deployment(deployment_id).instances)

    def traffic(self, endpoint_id: str) -> Mapping[str, int]:
        """Percent by deployment id."""
        with self.estate.lock:
            endpoint = self.estate.endpoint(endpoint_id)
            shares = endpoint.body["properties"]["traffic"]
            return {endpoint.deployments[name.lower()].id: share for name, share in shares.items()}

    def _front_door(self) -> FrontDoor:
        return FrontDoor(
            clock=self.clock,
            estate=self.estate,
            registry=self.registry,
            identity=self.identity,
            rights=self._rights,
            throttle=ArmThrottle(self._sizes),
            faults=self.faults,
            log=self.requests,
            activity=self._activity,
        )

    def _resolves(self, host: str) -> bool:
        """Whether a host name of Azure has an address."""
        if host.endswith(".vault.azure.net"):
            return self.assumptions["vault.deleted_address"] == "answers_404" or self.estate.resolves(host)
        if host.endswith(".eventgrid.azure.net"):
            return self.assumptions["eventgrid.deleted_topic"] == "answers_404" or self._topics.has(host)
        return True

    def _routes(self) -> list[Route]:
        """Every provider's routes: a new provider is one more line here."""
        graph_quota = GraphQuota(self._sizes)
        providers = (
            MachineLearning(self.estate, self.lifecycle, self.assumptions, self.clock),
            ServiceBus(self.estate, self.queues, self.assumptions),
            Autoscale(self.estate),
            ResourceGraph(self.estate, self.assumptions, self._rights, graph_quota, self.clock, self._dice),
            ActivityLog(self.requests, self.assumptions, self.clock),
            KeyVault(self.estate, self.clock, self._sizes, self.assumptions),
            Monitor(self.estate, self.metrics, self.assumptions, self.clock),
            Communication(self.clock, self.inbox, self.assumptions),
            Webhooks(self.clock, self.inbox, self.assumptions),
            self._topics,
            self._scoring,
        )
        return [route for provider in providers for route in provider.routes()] + [self._identity_route()]

    async def _serve_identity(self, request: web.Request) -> web.StreamResponse:
        return await self.front_door.serve(request, IDENTITY_HOST)

    def _identity_route(self) -> Route:
        return Route(
            method="GET",
            host=IDENTITY_HOST,
            template="/msi/token",
            audiences=(),
            arm_throttled=False,
            handler=self.identity.issue,
            source="learn.microsoft.com, overview-managed-identity, REST endpoint reference",
        )
