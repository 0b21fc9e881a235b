"""durabletask's in-memory backend, made fit to run an app on.

The official backend is written for tests. Version 1.12.0 loses wake-ups, mixes up executions and forgets children. It
is repaired in three layers: time in `clocked.py`, executions in `executions.py`, clients, entities and restarts here.
Each repair has a test that fails on the stock backend (`tests/local/durable/test_stock_defects.py`). They reach into
private members, so the version is pinned, and a test says so: an upgrade must look at every one again.

Not repaired, because nothing here needs it: an entity's lock does not hold back other callers, a terminated owner keeps
its locks, purging a parent keeps its children. The tables are searched by walking through them: fine for thousands.
"""

# mypy: allow-untyped-calls
# (protobuf and grpc carry no types)

import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any, override

import durabletask.internal.orchestrator_service_pb2 as pb
import durabletask.internal.orchestrator_service_pb2_grpc as stubs
import grpc
from durabletask.testing.in_memory_backend import OrchestrationInstance, PendingLockRequest

from local.clock import Clock
from local.host.durable.executions import ExecutionsBackend
from local.host.durable.hub import TERMINAL, TaskHub

# Each waiting client holds a thread for as long as it waits; threads are made when they are needed.
GRPC_THREADS = 256


class LocalBackend(ExecutionsBackend):
    """A task hub that an app can rely on. With a hub read from a journal, call `resume()` before `start()`."""

    def __init__(
        self,
        clock: Clock,
        hub: TaskHub | None = None,
        lock: AbstractContextManager[Any] | None = None,
        *,
        default_version: str = "",
        purges_in_parts: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__(clock, hub or TaskHub(), lock or threading.RLock())
        self._default_version = default_version
        self._purges_in_parts = purges_in_parts

    @override
    def start(self) -> str:
        """Serve gRPC on a free port of 127.0.0.1 (stock: ten threads on all interfaces); its address, host:port."""
        self._shutdown_event.clear()
        self._server = grpc.server(ThreadPoolExecutor(GRPC_THREADS, "durable-grpc"))
        stubs.add_TaskHubSidecarServiceServicer_to_server(self, self._server)
        self._port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()
        return f"127.0.0.1:{self._port}"

    @override
    def stop(self, grace: float | None = None) -> None:
        """Stop serving, and let go of the clients that wait (stock: their threads keep the process from ending)."""
        with self._lock:
            for waiter in [waiter for waiters in self._state_waiters.values() for waiter in waiters]:
                waiter.event.set()
        super().stop(grace)

    def busy(self) -> bool:
        """Whether work is queued or in flight. Armed timers, delayed signals and scheduled starts are not work."""
        with self._lock:
            return not self._shutdown_event.is_set() and bool(
                self._orchestration_queue
                or self._orchestration_in_flight
                or self._hub.activities
                or self._entity_queue
                or self._entity_in_flight
            )

    # -- clients -----------------------------------------------------------------------------------------------------

    @override
    def StartInstance(
        self, request: pb.CreateInstanceRequest, context: grpc.ServicerContext
    ) -> pb.CreateInstanceResponse:
        """Start, at once or when it is scheduled. The id of a finished instance may be used again, as in Azure."""
        request.instanceId = request.instanceId or uuid.uuid4().hex
        if request.instanceId.startswith("@"):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "Orchestration instance ids must not start with @.")
        if self._default_version and not request.HasField("version"):
            request.version.value = self._default_version
        if not request.orchestrationIdReusePolicy.replaceableStatus:
            request.orchestrationIdReusePolicy.replaceableStatus.extend(TERMINAL)
        with self._lock:
            reply = super().StartInstance(request, context)
            instance = self._instances[reply.instanceId]
            instance.created_at = self._clock.now()
            self._begin_generation(reply.instanceId, instance.completion_token)
            start_at = request.scheduledStartTimestamp.ToDatetime(tzinfo=UTC)
            if start_at > self._clock.now():
                self._hold_until(reply.instanceId, start_at)
            return reply

    @override
    def _create_instance_internal(
        self, instance_id: str, name: str, encoded_input: str | None = None, version: str | None = None
    ) -> None:
        """Children too: who names no version gets the app's."""
        super()._create_instance_internal(instance_id, name, encoded_input, version or self._default_version or None)

    def set_aside(self, completion_token: str) -> None:
        """Put a turn back without running it: it waits for a restart, perhaps of a newer app."""
        with self._lock:
            waiting = [i for i in self._instances.values() if str(i.completion_token) == completion_token]
            for instance in waiting:
                instance.pending_events = [*instance.dispatched_events, *instance.pending_events]
                instance.dispatched_events.clear()
                self._orchestration_in_flight.discard(instance.instance_id)

    def _hold_until(self, instance_id: str, start_at: datetime) -> None:
        self._orchestration_queue_set.discard(instance_id)
        if instance_id in self._orchestration_queue:
            self._orchestration_queue.remove(instance_id)
        self._hub.starts[instance_id] = start_at
        self._call_at(start_at, f"start/{instance_id}", lambda: self._release_start(instance_id))

    def _release_start(self, instance_id: str) -> None:
        del self._hub.starts[instance_id]
        self._enqueue_orchestration(instance_id)

    @override
    def RaiseEvent(self, request: pb.RaiseEventRequest, context: grpc.ServicerContext) -> pb.RaiseEventResponse:
        with self._lock:
            self._require_running(request.instanceId, context)
            reply = super().RaiseEvent(request, context)
            self._touch(request.instanceId)
            return reply

    @override
    def SuspendInstance(self, request: pb.SuspendRequest, context: grpc.ServicerContext) -> pb.SuspendResponse:
        with self._lock:
            self._require_running(request.instanceId, context)
            return super().SuspendInstance(request, context)

    @override
    def ResumeInstance(self, request: pb.ResumeRequest, context: grpc.ServicerContext) -> pb.ResumeResponse:
        with self._lock:
            self._require_running(request.instanceId, context)
            return super().ResumeInstance(request, context)

    @override
    def TerminateInstance(self, request: pb.TerminateRequest, context: grpc.ServicerContext) -> pb.TerminateResponse:
        with self._lock:
            self._require_running(request.instanceId, context)
            return super().TerminateInstance(request, context)

    @override
    def PurgeInstances(
        self, request: pb.PurgeInstancesRequest, context: grpc.ServicerContext
    ) -> pb.PurgeInstancesResponse:
        with self._lock:
            in_parts = request.HasField("purgeInstanceFilter") and self._purges_in_parts()
            reply = self._purge_one(request, context) if in_parts else super().PurgeInstances(request, context)
            for instance_id in self._hub.generations.keys() - self._instances.keys():
                del self._hub.generations[instance_id]
            return reply

    def _purge_one(self, request: pb.PurgeInstancesRequest, context: grpc.ServicerContext) -> pb.PurgeInstancesResponse:
        """Purge the first instance that the filter means, and say that there may be more."""
        everything = self._instances
        for instance_id, instance in list(everything.items()):
            self._instances = {instance_id: instance}
            reply = super().PurgeInstances(request, context)
            self._instances = everything
            if reply.deletedInstanceCount:
                del everything[instance_id]
                reply.isComplete.value = False
                return reply
        return super().PurgeInstances(request, context)

    def _require_running(self, instance_id: str, context: grpc.ServicerContext) -> None:
        """Refuse as the extension does (TaskHubGrpcServer.cs)."""
        instance = self._instances.get(instance_id)
        if instance is None:
            context.abort(grpc.StatusCode.NOT_FOUND, f"No instance with ID '{instance_id}' was found.")
        elif instance.status in TERMINAL:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"The instance '{instance_id}' is not running.")

    # -- entities ----------------------------------------------------------------------------------------------------

    @override
    def CompleteEntityTask(
        self, request: pb.EntityBatchResult, context: grpc.ServicerContext
    ) -> pb.CompleteTaskResponse:
        with self._lock:
            entity = next(
                (e for e in self._entities.values() if str(e.completion_token) == request.completionToken), None
            )
            for info in request.operationInfos:
                if not self._awaits_operation(info):
                    info.ClearField("responseDestination")
            reply = super().CompleteEntityTask(request, context)
            if entity is not None:
                self._entities[entity.instance_id].last_modified_at = self._clock.now()
            return reply

    def _awaits_operation(self, info: pb.OperationInfo) -> bool:
        """Whether the caller's present execution made this call: the SDK fails an execution that did not."""
        caller = self._instances.get(info.responseDestination.instanceId)
        return caller is not None and any(
            event.entityOperationCalled.requestId == info.requestId
            for event in caller.history
            if event.HasField("entityOperationCalled")
        )

    @override
    def GetEntity(self, request: pb.GetEntityRequest, context: grpc.ServicerContext) -> pb.GetEntityResponse:
        """An entity without state does not exist for clients (the extension asks with includeStateless false)."""
        with self._lock:
            if not self._has_state(request.instanceId):
                return pb.GetEntityResponse(exists=False)
            return super().GetEntity(request, context)

    @override
    def QueryEntities(
        self, request: pb.QueryEntitiesRequest, context: grpc.ServicerContext
    ) -> pb.QueryEntitiesResponse:
        with self._lock:
            reply = super().QueryEntities(request, context)
            if not request.query.includeTransient:
                existing = [entity for entity in reply.entities if self._has_state(entity.instanceId)]
                del reply.entities[:]
                reply.entities.extend(existing)
            return reply

    def _has_state(self, entity_id: str) -> bool:
        entity = self._entities.get(entity_id)
        return entity is not None and bool(entity.serialized_state)

    # -- after a restart ---------------------------------------------------------------------------------------------

    def resume(self) -> None:
        """Take up a hub that was read from a journal: whatever was in flight is delivered again, as in Azure."""
        with self._lock:
            self._activity_queue.extend(self._hub.activities.values())
            for timer in list(self._hub.timers.values()):
                self._arm(timer)
            for key, signal in list(self._hub.signals.items()):
                self._delay(key, signal)
            for instance_id, start_at in list(self._hub.starts.items()):
                self._hold_until(instance_id, start_at)
            for entity in list(self._entities.values()):
                if entity.pending_operations:
                    self._enqueue_entity(entity.instance_id)
            for instance in [i for i in self._instances.values() if i.status not in TERMINAL]:
                self._resume_instance(instance)

    def _resume_instance(self, instance: OrchestrationInstance) -> None:
        for request in unanswered_lock_requests(instance):
            self._try_grant_lock(request)
        if instance.pending_events:
            self._enqueue_orchestration(instance.instance_id)


def unanswered_lock_requests(instance: OrchestrationInstance) -> list[PendingLockRequest]:
    events = [*instance.history, *instance.pending_events]
    granted = {e.entityLockGranted.criticalSectionId for e in events if e.HasField("entityLockGranted")}
    asked = [e.entityLockRequested for e in instance.history if e.HasField("entityLockRequested")]
    return [
        PendingLockRequest(request.criticalSectionId, instance.instance_id, list(request.lockSet))
        for request in asked
        if request.criticalSectionId not in granted
    ]
