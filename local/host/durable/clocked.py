"""The stock in-memory backend with every reading of the time routed to one injected clock.

durabletask's backend reads `datetime.now` in two dozen places and sleeps in a thread per timer. This layer replaces
what waits (timers, scheduled starts, delayed signals) by alarms of the clock, and overwrites every timestamp that the
stock code has written before anybody can see it: under the lock, at the end of each turn and at each dispatch.
`tests/local/durable/test_clock.py` compares the stock's list of such places with the ones that are handled here.
"""

# mypy: allow-untyped-calls
# (protobuf and grpc carry no types)

import logging
import sys
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any, override

import durabletask.internal.helpers as helpers
import durabletask.internal.orchestrator_service_pb2 as pb
import grpc
from durabletask.testing import InMemoryOrchestrationBackend
from durabletask.testing.in_memory_backend import OrchestrationInstance, PendingLockRequest

from local.clock import Alarm, Clock
from local.host.durable.hub import TERMINAL, ArmedTimer, DelayedSignal, TaskHub

log = logging.getLogger(__name__)


def stamp(events: Iterable[pb.HistoryEvent], now: datetime) -> None:
    """Give each event without a timestamp this one (the stock backend leaves most at 1970)."""
    for event in events:
        if not event.timestamp.seconds:
            event.timestamp.FromDatetime(now)


class ClockedBackend(InMemoryOrchestrationBackend):
    """The stock backend on `hub`'s tables and `clock`'s time. `lock` guards the hub; its last release may save it."""

    def __init__(self, clock: Clock, hub: TaskHub, lock: AbstractContextManager[Any]) -> None:
        super().__init__(max_history_size=sys.maxsize, port=0)
        self._clock = clock
        self._hub = hub
        self._lock = lock  # type: ignore[assignment]  # stock says RLock, but only enters and leaves it
        self._instances = hub.instances
        self._entities = hub.entities
        self._next_completion_token = hub.next_token()
        self._alarms: dict[str, Alarm] = {}

    # -- alarms ------------------------------------------------------------------------------------------------------

    def _call_at(self, when: datetime, key: str, action: Callable[[], None]) -> None:
        """Run `action` under the lock at `when`, unless `_cancel(key)` comes first. The caller holds the lock."""

        def ring() -> None:
            try:
                with self._lock:
                    if self._alarms.get(key) is alarm:
                        del self._alarms[key]
                        action()
            except Exception:  # the clock's thread serves everyone and must live
                log.exception("An alarm of the task hub failed: %s", key)

        alarm = self._clock.call_at(when, ring)
        self._alarms[key] = alarm

    def _cancel(self, key: str) -> None:
        alarm = self._alarms.pop(key, None)
        if alarm is not None:
            alarm.cancel()

    @override
    def stop(self, grace: float | None = None) -> None:
        with self._lock:
            for key in list(self._alarms):
                self._cancel(key)
        super().stop(grace)

    # -- timers ------------------------------------------------------------------------------------------------------

    @override
    def _process_create_timer_action(self, instance: OrchestrationInstance, action: pb.OrchestratorAction) -> None:
        fire_at = action.createTimer.fireAt.ToDatetime(tzinfo=UTC)
        instance.history.append(helpers.new_timer_created_event(action.id, fire_at))
        self._arm(ArmedTimer(instance.instance_id, instance.completion_token, action.id, fire_at))

    def _arm(self, timer: ArmedTimer) -> None:
        key = f"timer/{timer.token}/{timer.timer_id}/{timer.instance_id}"
        self._hub.timers[key] = timer
        self._call_at(timer.fire_at, key, lambda: self._fire(key))

    def _fire(self, key: str) -> None:
        timer = self._hub.timers.pop(key)
        self._deliver(timer.instance_id, helpers.new_timer_fired_event(timer.timer_id, timer.fire_at))

    def _disarm(self, instance_id: str) -> None:
        """Forget the timers of an execution that is over."""
        for key in [key for key, timer in self._hub.timers.items() if timer.instance_id == instance_id]:
            del self._hub.timers[key]
            self._cancel(key)

    def _deliver(self, instance_id: str, event: pb.HistoryEvent) -> None:
        instance = self._instances.get(instance_id)
        if instance is not None:
            instance.pending_events.append(event)
            self._enqueue_orchestration(instance_id)

    # -- delayed entity operations -----------------------------------------------------------------------------------

    @override
    def SignalEntity(self, request: pb.SignalEntityRequest, context: grpc.ServicerContext) -> pb.SignalEntityResponse:
        signal = pb.EntityOperationSignaledEvent(requestId=request.requestId, operation=request.name)
        signal.targetInstanceId.value = request.instanceId
        if request.HasField("input"):
            signal.input.CopyFrom(request.input)
        if request.HasField("scheduledTime"):
            signal.scheduledTime.CopyFrom(request.scheduledTime)
        with self._lock:
            event = pb.HistoryEvent(eventId=-1, entityOperationSignaled=signal)
            self._queue_entity_operation(request.instanceId, event)
        return pb.SignalEntityResponse()

    @override
    def _signal_entity_internal(
        self, entity_id: str, operation: str, input_value: str | None = None, scheduled_time: datetime | None = None
    ) -> None:
        signal = pb.EntityOperationSignaledEvent(requestId=uuid.uuid4().hex, operation=operation)
        signal.targetInstanceId.value = entity_id
        if input_value:
            signal.input.value = input_value
        if scheduled_time is not None:
            signal.scheduledTime.FromDatetime(scheduled_time)
        self._queue_entity_operation(entity_id, pb.HistoryEvent(eventId=-1, entityOperationSignaled=signal))

    @override
    def _queue_entity_operation(self, entity_id: str, event: pb.HistoryEvent) -> None:
        signal = event.entityOperationSignaled
        due = signal.scheduledTime.ToDatetime(tzinfo=UTC) if signal.HasField("scheduledTime") else None
        if due is not None and due > self._clock.now():
            self._schedule_delayed_entity_operation(entity_id, event, due)
            return
        is_new = entity_id not in self._entities
        super()._queue_entity_operation(entity_id, event)
        if is_new:
            self._entities[entity_id].last_modified_at = self._clock.now()

    @override
    def _schedule_delayed_entity_operation(self, entity_id: str, event: pb.HistoryEvent, fire_at: datetime) -> None:
        if fire_at <= self._clock.now():  # the stock code compared with the wall clock
            self._queue_entity_operation(entity_id, event)
            return
        self._delay(f"signal/{uuid.uuid4().hex}", DelayedSignal(entity_id, event, fire_at))

    def _delay(self, key: str, signal: DelayedSignal) -> None:
        self._hub.signals[key] = signal
        self._call_at(signal.fire_at, key, lambda: self._release_signal(key))

    def _release_signal(self, key: str) -> None:
        signal = self._hub.signals.pop(key)
        self._queue_entity_operation(signal.entity_id, signal.event)

    @override
    def _grant_lock(self, pending: PendingLockRequest) -> None:
        created = [entity_id for entity_id in pending.lock_set if entity_id not in self._entities]
        super()._grant_lock(pending)
        for entity_id in created:
            self._entities[entity_id].last_modified_at = self._clock.now()

    # -- timestamps --------------------------------------------------------------------------------------------------

    def _touch(self, instance_id: str) -> None:
        instance = self._instances.get(instance_id)
        if instance is not None:
            instance.last_updated_at = self._clock.now()

    @override
    def _enqueue_orchestration(self, instance_id: str) -> None:
        self._touch(instance_id)  # the stock code enqueues after nearly every change
        super()._enqueue_orchestration(instance_id)

    @override
    def _create_instance_internal(
        self, instance_id: str, name: str, encoded_input: str | None = None, version: str | None = None
    ) -> None:
        super()._create_instance_internal(instance_id, name, encoded_input, version)
        self._instances[instance_id].created_at = self._clock.now()

    @override
    def _prepare_rewind(self, instance: OrchestrationInstance, reason: str | None = None) -> None:
        super()._prepare_rewind(instance, reason)
        instance.pending_events[-1].timestamp.FromDatetime(self._clock.now())

    @override
    def _notify_waiters(self, instance_id: str) -> None:
        """Called under the lock at the end of each turn, before anybody learns of it."""
        instance = self._instances.get(instance_id)
        if instance is not None:
            now = self._clock.now()
            instance.last_updated_at = now
            instance.completed_at = now if instance.status in TERMINAL else None
            stamp(instance.history, now)
        super()._notify_waiters(instance_id)

    @override
    def GetWorkItems(self, request: pb.GetWorkItemsRequest, context: grpc.ServicerContext) -> Iterator[pb.WorkItem]:
        for item in super().GetWorkItems(request, context):
            if item.HasField("orchestratorRequest"):
                self._stamp_turn(item.orchestratorRequest)
            yield item

    def _stamp_turn(self, turn: pb.OrchestratorRequest) -> None:
        """A turn happens now: `ctx.current_utc_datetime` is the timestamp of its orchestratorStarted."""
        with self._lock:
            instance = self._instances.get(turn.instanceId)
            if instance is None:
                return
            now = self._clock.now()
            for event in instance.dispatched_events:
                if event.HasField("orchestratorStarted"):
                    event.timestamp.FromDatetime(now)
            stamp(instance.dispatched_events, now)
            del turn.newEvents[:]
            turn.newEvents.extend(instance.dispatched_events)
