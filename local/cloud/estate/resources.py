"""What exists in the estate: resources as documents of Resource Manager, deployments with their instances.

`body` is the document as a fresh GET shows it. `publish` keeps a dated copy, because Resource Graph answers with old
rows.
"""

import copy
import itertools
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from local.cloud.estate.sizes import VmSize, size_named

if TYPE_CHECKING:
    from local.cloud.operations import Operation, Outcome

HISTORY = 32
ML = "Microsoft.MachineLearningServices/workspaces"
InstanceState = Literal["pending", "ready", "draining", "gone"]


@dataclass(eq=False, kw_only=True)
class Resource:
    """Something with an ARM id. `group` and `subscription` are parts of the id, kept for look-ups."""

    id: str
    name: str
    type: str
    subscription: str
    group: str
    region: str
    body: dict[str, Any]
    versions: deque[tuple[datetime, dict[str, Any]]] = field(default_factory=lambda: deque(maxlen=HISTORY))

    def publish(self, at: datetime) -> None:
        """Remember the document as it is at `at`."""
        self.versions.append((at, copy.deepcopy(self.body)))

    def as_of(self, at: datetime) -> dict[str, Any]:
        """The document as it was at `at` (the oldest one known, if `at` is before that)."""
        shown = self.versions[0][1] if self.versions else self.body
        for published_at, document in self.versions:
            if published_at > at:
                break
            shown = document
        return shown

    @property
    def provisioning_state(self) -> str:
        return str(self.body["properties"]["provisioningState"])

    def touch(self, at: datetime, by: str, by_kind: str) -> None:
        """Write systemData as Resource Manager does for every change."""
        system = self.body["systemData"]
        system |= {"lastModifiedAt": stamp(at), "lastModifiedBy": by, "lastModifiedByType": by_kind}


@dataclass(eq=False, kw_only=True)
class Workspace(Resource):
    endpoints: "dict[str, Endpoint]" = field(default_factory=dict)


@dataclass(eq=False, kw_only=True)
class Endpoint(Resource):
    """An online endpoint; `traffic` (in percent by deployment) is part of its document."""

    workspace: Workspace
    deployments: "dict[str, Deployment]" = field(default_factory=dict)
    operation: "Operation | None" = None

    @property
    def busy(self) -> bool:
        return self.operation is not None and self.operation.running


@dataclass(eq=False, slots=True)
class Instance:
    """One machine of a deployment; it serves only while it is ready, and finishes what it holds while it drains."""

    id: str
    requested_at: datetime
    ready_at: datetime | None
    state: InstanceState = "pending"


@dataclass(eq=False, kw_only=True)
class Deployment(Resource):
    """An online deployment.

    Attributes:
        cold_start_s: from the request of an instance until it is ready.
        operation_s: how long an operation takes; None: until the instances are there (or gone).
        instances: all that are not gone.
        next_outcome: how the next operation ends, if not well.
        before, shown_from: what a GET shows until then, though a PATCH was accepted (`deployment.get_lag_s`).
    """

    endpoint: Endpoint
    cold_start_s: float
    operation_s: float | None = None
    instances: list[Instance] = field(default_factory=list)
    operation: "Operation | None" = None
    next_outcome: "Outcome | None" = None
    before: dict[str, Any] | None = None
    shown_from: datetime | None = None
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    @property
    def busy(self) -> bool:
        return self.operation is not None and self.operation.running

    @property
    def size(self) -> VmSize:
        return size_named(self.body["properties"]["instanceType"])

    @property
    def managed(self) -> bool:
        return str(self.body["properties"]["endpointComputeType"]) == "Managed"

    def in_state(self, *states: InstanceState) -> list[Instance]:
        return [instance for instance in self.instances if instance.state in states]

    def new_instance(self, requested_at: datetime, ready_at: datetime | None) -> Instance:
        instance = Instance(f"{self.endpoint.name}-{self.name}-{next(self._numbers)}", requested_at, ready_at)
        self.instances.append(instance)
        return instance

    def shown(self, now: datetime) -> dict[str, Any]:
        """What a GET shows at `now`."""
        if self.before is not None and self.shown_from is not None and now < self.shown_from:
            return self.before
        return self.body


@dataclass(eq=False, kw_only=True)
class Namespace(Resource):
    """A Service Bus namespace; its queues' counts come from a `QueueSource`."""

    queue_names: list[str] = field(default_factory=list)


@dataclass(eq=False, kw_only=True)
class AutoscaleSetting(Resource):
    """An Azure Monitor autoscale setting: another writer of the same capacity."""


def stamp(at: datetime) -> str:
    """A time as Azure writes it."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
