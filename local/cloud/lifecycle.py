"""How changes happen over time: operations that run, instances that start, drain and go.

A change is accepted at once; its operation ends when the instances have come and gone (or after a set time, or never),
and only then does the resource show Succeeded or Failed. Source: facts/arm.md 1.3 and 1.4, facts/limits.md.
"""

import copy
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

from local.clock import Clock
from local.cloud.arm_errors import ArmError, conflict
from local.cloud.estate import Deployment, Endpoint, Estate, Instance
from local.cloud.operations import Operation, Outcome
from local.cloud.quota import Quota
from local.cloud.routing import Principal
from local.cloud.switches import Switches

CONFLICT = "Conflict of operation, another operation on same entity is already running in workspace."
CONFLICT_RETRY_AFTER_S = 10

DRAIN_CHECK_S = 1.0

Held = Callable[[str], int]
"""How many requests an instance, by its id, works on. Must be short; called from any thread."""
InstanceListener = Callable[[Deployment, Instance], None]


class Lifecycle:
    """Carries changes out on the clock.

    Attributes:
        shortest_operation_s: no operation ends sooner.
        retry_after_s: what running operations ask a poller to wait.
        drain_timeout_s: a draining instance is gone by then, whatever it holds (Azure ML's longest request is 180 s).
        listeners: called after an instance has changed its state, from any thread; must be short.
    """

    def __init__(self, estate: Estate, clock: Clock, switches: Switches) -> None:
        self._estate = estate
        self._clock = clock
        self._switches = switches
        self._quota = Quota(estate)
        self._held: dict[str, Held] = {}
        self._operations: dict[str, Operation] = {}
        self.shortest_operation_s = 2.0
        self.retry_after_s = 5
        self.drain_timeout_s = 180.0
        self.listeners: list[InstanceListener] = []

    def operation(self, operation_id: str) -> Operation | None:
        return self._operations.get(operation_id)

    def holds(self, endpoint: Endpoint, held: Held) -> None:
        """From now on draining instances of this endpoint stay until `held(instance id)` is 0."""
        self._held[endpoint.id.lower()] = held

    def change_deployment(self, deployment: Deployment, change: Mapping[str, Any], principal: Principal) -> Operation:
        """Accept new tags and sku of a deployment and start the operation.

        Raises:
            ArmError: 409 while another operation runs on it (azure-sdk-for-net#36961); while one runs on its endpoint,
                by `arm.deployment_busy_with_endpoint`.
        """
        endpoint_refuses = self._switches["arm.deployment_busy_with_endpoint"] == "conflict"
        if deployment.busy or (deployment.endpoint.busy and endpoint_refuses):
            raise self._conflict()
        before = copy.deepcopy(deployment.body)
        old = int(before["sku"]["capacity"])
        new = int((change.get("sku") or {}).get("capacity", old))
        outcome = self._outcome(deployment, new - old)
        operation = self._start(deployment, "od", new)
        deployment.body["sku"] |= change.get("sku") or {}
        deployment.body["tags"] |= change.get("tags") or {}
        deployment.touch(operation.started_at, principal.object_id, principal.kind)
        self._show_update(deployment, before, operation.started_at)
        if outcome is not None and outcome.kind == "error":
            self._later(outcome.after_s, lambda: self._fail(operation, outcome, old))
        else:
            self._resize(deployment, operation, new - old, comes=outcome is None)
        return operation

    def change_endpoint(
        self, endpoint: Endpoint, apply: Callable[[dict[str, Any]], None], principal: Principal
    ) -> Operation:
        """Accept a change of an endpoint's document, applied when its operation ends.

        Raises:
            ArmError: 409 while it updates; while one of its deployments does, by `endpoint.traffic_put_during_update`.
        """
        deployment_updates = any(deployment.busy for deployment in endpoint.deployments.values())
        refuses = self._switches["endpoint.traffic_put_during_update"] == "conflict"
        if endpoint.busy or (deployment_updates and refuses):
            raise self._conflict()
        operation = self._start(endpoint, "oe")
        endpoint.touch(operation.started_at, principal.object_id, principal.kind)
        endpoint.body["properties"]["provisioningState"] = "Updating"
        endpoint.publish(operation.started_at)

        def finish() -> None:
            apply(endpoint.body)
            self._end(operation, "Succeeded")

        self._later(self.shortest_operation_s, finish)
        return operation

    def release(self, deployment: Deployment) -> None:
        """Let an operation that would never end succeed now. Safe from any thread."""
        with self._estate.lock:
            for instance in deployment.in_state("pending"):
                self._ready(deployment, instance)
            if deployment.operation is not None and deployment.operation.running:
                self._succeed(deployment.operation)

    def _outcome(self, deployment: Deployment, additional: int) -> Outcome | None:
        """The outcome that a test asked for, else what the quota says; None if all goes well."""
        asked, deployment.next_outcome = deployment.next_outcome, None
        if asked is not None or additional <= 0 or not deployment.managed:
            return asked
        shortage = self._quota.shortage(deployment, additional)
        return Outcome(code="OutOfQuota", message=shortage) if shortage else None

    def _start(self, target: Deployment | Endpoint, prefix: str, capacity: int | None = None) -> Operation:
        now = self._clock.now()
        operation = Operation(
            id=f"{prefix}:{uuid.uuid4()}",
            target=target,
            started_at=now,
            earliest_end=now + timedelta(seconds=self.shortest_operation_s),
            capacity=capacity,
        )
        self._operations[operation.id] = operation
        target.operation = operation
        return operation

    def _show_update(self, deployment: Deployment, before: dict[str, Any], now: datetime) -> None:
        """Make the document say what the assumptions say that it shows while the operation runs."""
        deployment.body["properties"]["provisioningState"] = "Updating"
        if self._switches["deployment.get_during_update"] == "old_capacity":
            deployment.body["sku"]["capacity"] = before["sku"]["capacity"]
        lag_s = self._switches.seconds("deployment.get_lag_s")
        deployment.before, deployment.shown_from = before, now + timedelta(seconds=lag_s)
        deployment.publish(now)

    def _resize(self, deployment: Deployment, operation: Operation, additional: int, *, comes: bool) -> None:
        """Request or drain instances; `comes` is False for an operation that never ends."""
        now = operation.started_at
        ready_at = now + timedelta(seconds=deployment.cold_start_s) if comes else None
        for _ in range(additional):
            self._notify(deployment, deployment.new_instance(now, ready_at))
        if additional > 0 and comes:
            self._later(deployment.cold_start_s, lambda: self._ready_all(deployment))
        for instance in deployment.in_state("ready")[::-1][: max(0, -additional)]:
            self._drain(deployment, instance)
        if not comes:
            return
        if deployment.operation_s is not None:
            self._later(deployment.operation_s, lambda: self._succeed(operation))
            return
        operation.waits_for_instances = True
        self._later(self.shortest_operation_s, lambda: self._settle(operation))

    def _ready_all(self, deployment: Deployment) -> None:
        now = self._clock.now()
        for instance in deployment.in_state("pending"):
            if instance.ready_at is not None and instance.ready_at <= now:
                self._ready(deployment, instance)
        if deployment.operation is not None:
            self._settle(deployment.operation)

    def _ready(self, deployment: Deployment, instance: Instance) -> None:
        instance.state = "ready"
        instance.ready_at = instance.ready_at or self._clock.now()
        self._notify(deployment, instance)

    def _drain(self, deployment: Deployment, instance: Instance) -> None:
        instance.state = "draining"
        self._notify(deployment, instance)
        gone_by = self._clock.now() + timedelta(seconds=self.drain_timeout_s)
        self._let_go(deployment, instance, gone_by)

    def _let_go(self, deployment: Deployment, instance: Instance, gone_by: datetime) -> None:
        """Look every second whether a draining instance holds nothing any more."""
        held = self._held.get(deployment.endpoint.id.lower())
        if held is None or held(instance.id) == 0 or self._clock.now() >= gone_by:
            self._gone(deployment, instance)
        else:
            self._later(DRAIN_CHECK_S, lambda: self._let_go(deployment, instance, gone_by))

    def _gone(self, deployment: Deployment, instance: Instance) -> None:
        instance.state = "gone"
        deployment.instances.remove(instance)
        self._notify(deployment, instance)
        if deployment.operation is not None:
            self._settle(deployment.operation)

    def _settle(self, operation: Operation) -> None:
        """End the operation if it waits for instances, and all of them have come or gone."""
        target = operation.target
        too_early = self._clock.now() < operation.earliest_end
        if isinstance(target, Endpoint) or not operation.waits_for_instances or too_early:
            return
        if not target.in_state("pending", "draining"):
            self._succeed(operation)

    def _succeed(self, operation: Operation) -> None:
        if operation.running:
            operation.target.body["sku"]["capacity"] = operation.capacity
            self._end(operation, "Succeeded")

    def _fail(self, operation: Operation, outcome: Outcome, old_capacity: int) -> None:
        if operation.running:
            operation.target.body["sku"]["capacity"] = old_capacity
            operation.error = {"code": outcome.code, "message": outcome.message}
            self._end(operation, "Failed")

    def _end(self, operation: Operation, status: Literal["Succeeded", "Failed"]) -> None:
        now = self._clock.now()
        operation.status = status
        operation.ended_at = now
        operation.target.body["properties"]["provisioningState"] = status
        operation.target.publish(now)

    def _later(self, delay_s: float, callback: Callable[[], None]) -> None:
        def run() -> None:
            with self._estate.lock:
                callback()

        self._clock.call_at(self._clock.now() + timedelta(seconds=delay_s), run)

    def _notify(self, deployment: Deployment, instance: Instance) -> None:
        for listener in self.listeners:
            listener(deployment, instance)

    def _conflict(self) -> ArmError:
        carries = self._switches["arm.conflict_retry_after"] == "present"
        return conflict(CONFLICT, CONFLICT_RETRY_AFTER_S if carries else None)
