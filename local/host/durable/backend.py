"""durabletask's in-memory backend, made fit to run an app on: the repairs that are not about time.

The official backend is written for tests. Version 1.12.0 loses wake-ups, mixes up executions and forgets children; each
repair here has a test that fails on the stock backend (`tests/local/durable/test_stock_defects.py`). They reach into
private members, so the version is pinned: an upgrade must look at every one again.

Not repaired, because nothing here needs it: an entity's lock does not hold back other callers, and a terminated owner
keeps its locks. Instances and entities are searched by walking through all of them, which is fine for some thousands.
"""

# mypy: allow-untyped-calls
# (protobuf and grpc carry no types)

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any, override

import durabletask.internal.helpers as helpers
import durabletask.internal.orchestrator_service_pb2 as pb
import durabletask.internal.orchestrator_service_pb2_grpc as stubs
import grpc
from durabletask.testing.in_memory_backend import OrchestrationInstance, PendingLockRequest

from local.clock import Clock
from local.host.durable.clocked import ClockedBackend
from local.host.durable.hub import TERMINAL, AwaitedChild, TaskHub

# Each waiting client holds a thread for as long as it waits; threads are made when they are needed.
GRPC_THREADS = 256


def activity_key(instance_id: str, token: int, task_id: int) -> str:
    return f"{token}/{task_id}/{instance_id}"


class LocalBackend(ClockedBackend):
    """A task hub that an app can rely on. With a hub read from a journal, call `resume()` before `start()`."""

    def __init__(
        self, clock: Clock, hub: TaskHub | None = None, lock: AbstractContextManager[Any] | None = None
    ) -> None:
        super().__init__(clock, hub or TaskHub(), lock or threading.RLock())

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

    def wake(self) -> None:
        """Let the reader of work items look whether it shall stop."""
        self._work_available.set()

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

    # -- dispatch ----------------------------------------------------------------------------------------------------

    @override
    def _enqueue_orchestration(self, instance_id: str) -> None:
        """Queue what can run now, and always wake the dispatcher (stock: not if the id is already queued)."""
        instance = self._instances.get(instance_id)
        if instance is None:
            return
        if instance.status in TERMINAL:  # late results must not run a finished orchestration again
            instance.pending_events.clear()
            return
        if instance_id in self._orchestration_in_flight or instance_id in self._hub.starts:
            self._touch(instance_id)  # the end of the turn, or the time of the start, queues it
            return
        super()._enqueue_orchestration(instance_id)
        self.wake()

    @override
    def _enqueue_entity(self, entity_id: str) -> None:
        super()._enqueue_entity(entity_id)
        self.wake()

    @override
    def CompleteOrchestratorTask(
        self, request: pb.OrchestratorResponse, context: grpc.ServicerContext
    ) -> pb.CompleteTaskResponse:
        with self._lock:
            reply = super().CompleteOrchestratorTask(request, context)
            instance = self._instances.get(request.instanceId)
            # Also if the turn suspended the instance: a resume may have arrived meanwhile.
            if instance is not None and instance.pending_events:
                self._enqueue_orchestration(request.instanceId)
            return reply

    # -- generations: nothing that an earlier execution started may reach a later one ---------------------------------

    def _is_current(self, instance_id: str, token: int) -> bool:
        instance = self._instances.get(instance_id)
        if instance is None or instance.status in TERMINAL:
            return False
        return token >= self._hub.generations.get(instance_id, 0)

    def _begin_generation(self, instance_id: str, first_token: int) -> None:
        self._hub.generations[instance_id] = first_token
        self._disarm(instance_id)

    @override
    def _create_instance_internal(
        self, instance_id: str, name: str, encoded_input: str | None = None, version: str | None = None
    ) -> None:
        super()._create_instance_internal(instance_id, name, encoded_input, version)
        self._begin_generation(instance_id, self._instances[instance_id].completion_token)

    @override
    def _process_complete_orchestration_action(
        self, instance: OrchestrationInstance, complete_action: pb.CompleteOrchestrationAction
    ) -> None:
        super()._process_complete_orchestration_action(instance, complete_action)
        if instance.status == pb.ORCHESTRATION_STATUS_PENDING:  # continued as new; its next turn gets the next token
            self._begin_generation(instance.instance_id, self._next_completion_token)

    # -- activities --------------------------------------------------------------------------------------------------

    @override
    def _process_schedule_task_action(self, instance: OrchestrationInstance, action: pb.OrchestratorAction) -> None:
        super()._process_schedule_task_action(instance, action)
        item = self._activity_queue[-1]
        self._hub.activities[activity_key(item.instance_id, item.completion_token, item.task_id)] = item

    @override
    def CompleteActivityTask(
        self, request: pb.ActivityResponse, context: grpc.ServicerContext
    ) -> pb.CompleteTaskResponse:
        token = int(request.completionToken or 0)
        with self._lock:
            known = self._hub.activities.pop(activity_key(request.instanceId, token, request.taskId), None)
            if known is not None and self._is_current(request.instanceId, token):
                self._deliver(request.instanceId, self._activity_result(request))
        return pb.CompleteTaskResponse()

    @staticmethod
    def _activity_result(response: pb.ActivityResponse) -> pb.HistoryEvent:
        """A failure is one by the presence of its details (stock: by a message that is not empty)."""
        event = pb.HistoryEvent(eventId=-1)
        if response.HasField("failureDetails"):
            event.taskFailed.taskScheduledId = response.taskId
            event.taskFailed.failureDetails.CopyFrom(response.failureDetails)
            return event
        event.taskCompleted.taskScheduledId = response.taskId
        if response.HasField("result"):
            event.taskCompleted.result.CopyFrom(response.result)
        return event

    # -- sub-orchestrations: no thread, no limit of 30 s, parent known to the child, failure details kept --------------

    @override
    def _watch_sub_orchestration(self, parent_instance_id: str, sub_instance_id: str, task_id: int) -> None:
        parent = self._instances[parent_instance_id]
        self._hub.children[sub_instance_id] = AwaitedChild(parent_instance_id, parent.completion_token, task_id)
        for event in self._instances[sub_instance_id].pending_events:
            if event.HasField("executionStarted"):
                info = event.executionStarted.parentInstance
                info.taskScheduledId = task_id
                info.name.value = parent.name
                info.orchestrationInstance.instanceId = parent_instance_id

    @override
    def _process_rewind_orchestration_action(
        self, instance: OrchestrationInstance, rewind_action: pb.RewindOrchestrationAction
    ) -> None:
        super()._process_rewind_orchestration_action(instance, rewind_action)
        for child_id in self._children_of(instance.instance_id):
            self._report_child(child_id)

    @override
    def _notify_waiters(self, instance_id: str) -> None:
        super()._notify_waiters(instance_id)
        instance = self._instances.get(instance_id)
        if instance is not None and instance.status in TERMINAL:
            self._disarm(instance_id)
            self._report_child(instance_id)
            self._terminate_children_of(instance)

    def _report_child(self, child_id: str) -> None:
        """Tell the waiting parent, if there is one and the child has ended."""
        child = self._instances.get(child_id)
        awaited = self._hub.children.get(child_id)
        if child is None or child.status not in TERMINAL or awaited is None:
            return
        del self._hub.children[child_id]
        if self._is_current(awaited.parent_id, awaited.token):
            self._deliver(awaited.parent_id, self._child_result(child, awaited.task_id))

    @staticmethod
    def _child_result(child: OrchestrationInstance, task_id: int) -> pb.HistoryEvent:
        if child.status == pb.ORCHESTRATION_STATUS_COMPLETED:
            return helpers.new_sub_orchestration_completed_event(task_id, child.output)
        event = pb.HistoryEvent(eventId=-1)
        event.subOrchestrationInstanceFailed.taskScheduledId = task_id
        failure = child.failure_details or pb.TaskFailureDetails(
            errorType="TerminatedException", errorMessage="The sub-orchestration was terminated."
        )
        event.subOrchestrationInstanceFailed.failureDetails.CopyFrom(failure)
        return event

    def _children_of(self, parent_id: str) -> list[str]:
        return [child_id for child_id, awaited in self._hub.children.items() if awaited.parent_id == parent_id]

    # -- termination -------------------------------------------------------------------------------------------------

    @override
    def _terminate_instance_internal(self, instance_id: str, output: str | None, recursive: bool = False) -> None:
        super()._terminate_instance_internal(instance_id, output)
        instance = self._instances.get(instance_id)
        for event in instance.pending_events if instance else ():
            if event.HasField("executionTerminated"):
                event.executionTerminated.recurse = recursive
        if self._hub.starts.pop(instance_id, None):  # a scheduled start need not wait to be terminated
            self._cancel(f"start/{instance_id}")
            self._enqueue_orchestration(instance_id)

    def _terminate_children_of(self, instance: OrchestrationInstance) -> None:
        """At the end of the parent's last turn, so that a child which that turn started is found too."""
        if any(event.executionTerminated.recurse for event in instance.history):
            for child_id in self._children_of(instance.instance_id):
                self._terminate_instance_internal(child_id, instance.output, recursive=True)

    # -- clients -----------------------------------------------------------------------------------------------------

    @override
    def StartInstance(
        self, request: pb.CreateInstanceRequest, context: grpc.ServicerContext
    ) -> pb.CreateInstanceResponse:
        """Start, at once or when it is scheduled. The id of a finished instance may be used again, as in Azure."""
        request.instanceId = request.instanceId or uuid.uuid4().hex
        if request.instanceId.startswith("@"):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "Orchestration instance ids must not start with @.")
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
            reply = super().PurgeInstances(request, context)
            for instance_id in self._hub.generations.keys() - self._instances.keys():
                del self._hub.generations[instance_id]
            return reply

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
