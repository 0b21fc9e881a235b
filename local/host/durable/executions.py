"""Which execution a result belongs to, and what becomes of activities, children and whoever is terminated.

The stock backend delivers results by instance id and task number alone. Both are used again when an orchestration
continues as new or is started anew, so a late result of the earlier execution answers a question of the later one.
"""

# mypy: allow-untyped-calls
# (protobuf and grpc carry no types)

from typing import override

import durabletask.internal.helpers as helpers
import durabletask.internal.orchestrator_service_pb2 as pb
import grpc
from durabletask.testing.in_memory_backend import OrchestrationInstance

from local.host.durable.clocked import ClockedBackend
from local.host.durable.hub import TERMINAL, AwaitedChild


def activity_key(instance_id: str, token: int, task_id: int) -> str:
    return f"{token}/{task_id}/{instance_id}"


class ExecutionsBackend(ClockedBackend):
    """Dispatches what can run now, and delivers results only to the execution that asked for them."""

    def wake(self) -> None:
        """Let the reader of work items look whether it shall stop."""
        self._work_available.set()

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
            if instance.status != pb.ORCHESTRATION_STATUS_FAILED:  # which may be rewound, and wait for them again
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
