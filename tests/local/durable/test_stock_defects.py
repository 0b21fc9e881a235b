"""One test per defect of durabletask 1.12.0's in-memory backend that the local backend repairs.

Each scenario runs on both backends with the SDK's own worker and client. What it must give is asserted for ours, and
that the stock backend does not give it: when that fails, upstream has changed and the repair can go.
"""

# mypy: allow-untyped-calls
# (grpc carries no types)

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Any
from unittest.mock import MagicMock

import durabletask.internal.orchestrator_service_pb2 as pb
import durabletask.internal.orchestrator_service_pb2_grpc as stubs
import grpc
import pytest
from durabletask import task
from durabletask.client import OrchestrationState, OrchestrationStatus, TaskHubGrpcClient
from durabletask.entities import EntityContext, EntityInstanceId
from durabletask.testing import InMemoryOrchestrationBackend, in_memory_backend
from durabletask.worker import TaskHubGrpcWorker

from local.clock import RealClock
from local.host.durable.backend import LocalBackend

TIMEOUT_S = 20.0
SHORTLY_S = 0.3  # long enough for what is wrong to happen


def test_the_repairs_were_checked_on_this_version() -> None:
    installed = version("durabletask")
    assert installed == "1.12.0", (
        f"durabletask is {installed}: local/host/durable reaches into private members of 1.12.0. Look again at each "
        "repair and each reading of the time (this file, test_clock.py), run the crash tests, then change this number."
    )


class StockBackend(InMemoryOrchestrationBackend):
    """The stock backend as it is, but on a free port of the loopback interface."""

    def start(self) -> str:
        self._server = grpc.server(ThreadPoolExecutor(max_workers=10))
        stubs.add_TaskHubSidecarServiceServicer_to_server(self, self._server)
        port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()
        return f"127.0.0.1:{port}"


@dataclass
class Hub:
    """A backend with the SDK's worker and client, and what the functions below share with their test."""

    is_stock: bool
    backend: InMemoryOrchestrationBackend
    client: TaskHubGrpcClient
    gates: dict[str, threading.Event] = field(default_factory=dict)
    began: dict[str, threading.Event] = field(default_factory=dict)
    runs: int = 0
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def gate(self, name: str) -> threading.Event:
        return self.gates.setdefault(name, threading.Event())

    def beginning(self, name: str) -> threading.Event:
        return self.began.setdefault(name, threading.Event())

    def pass_gate(self, name: str) -> str:
        self.beginning(name).set()
        self.gate(name).wait(TIMEOUT_S)
        return name

    def start_parent(self) -> tuple[str, str]:
        """A parent that waits for a child which waits for "go"; the ids of both."""
        child_id = f"child-{next(self.numbers)}"
        parent_id = self.start(parent, child_id)
        _wait_until(lambda: self.client.get_orchestration_state(child_id) is not None)
        return parent_id, child_id

    def start(self, orchestrator: Any, data: Any = None, **how: Any) -> str:
        return str(self.client.schedule_new_orchestration(orchestrator, input=data, **how))

    def state(self, instance_id: str) -> OrchestrationState:
        state = self.client.get_orchestration_state(instance_id)
        assert state is not None
        return state

    def finish(self, instance_id: str, timeout_s: float = TIMEOUT_S) -> OrchestrationState:
        """The state at its end, or at the end of the time; asked for often, as waiting is under test too."""
        deadline = time.monotonic() + timeout_s
        unfinished = (OrchestrationStatus.PENDING, OrchestrationStatus.RUNNING, OrchestrationStatus.SUSPENDED)
        while (state := self.state(instance_id)).runtime_status in unfinished and time.monotonic() < deadline:
            time.sleep(0.01)
        return state


@pytest.fixture(scope="module", params=["stock", "ours"])  # a worker takes a second to stop
def hub(request: pytest.FixtureRequest) -> Iterator[Hub]:
    is_stock = request.param == "stock"
    backend = StockBackend() if is_stock else LocalBackend(RealClock())
    address = backend.start()
    with TaskHubGrpcClient(host_address=address) as client, TaskHubGrpcWorker(host_address=address) as worker:
        hub = Hub(is_stock, backend, client)
        _register(worker, hub)
        worker.start()
        yield hub
        for gate in hub.gates.values():
            gate.set()
    backend.stop(0)


def _register(worker: TaskHubGrpcWorker, hub: Hub) -> None:
    def echo(_: task.ActivityContext, x: Any) -> Any:
        return x

    def gated(_: task.ActivityContext, name: str) -> str:
        return hub.pass_gate(name)

    def fail_silently(_: task.ActivityContext, __: Any) -> None:
        raise TimeoutError

    def counted(ctx: task.OrchestrationContext, _: Any) -> Any:
        hub.runs += 1
        yield task.when_any([ctx.wait_for_external_event("go"), ctx.call_activity(gated, input="late")])
        return "done"

    def cell(ctx: EntityContext, x: Any) -> Any:
        if ctx.operation == "gated":
            return hub.pass_gate("entity")
        ctx.set_state(x if ctx.operation == "set" else None)
        return None

    for activity in (echo, gated, fail_silently):
        worker.add_activity(activity)
    for orchestrator in (one, silent, two_timers, two_activities, two_entity_calls, parent, child, counted):
        worker.add_orchestrator(orchestrator)
    worker.add_entity(cell)


def one(ctx: task.OrchestrationContext, x: Any) -> Any:
    return (yield ctx.call_activity("echo", input=x))


def silent(ctx: task.OrchestrationContext, _: Any) -> Any:
    try:
        result = yield ctx.call_activity("fail_silently", input=None)
    except task.TaskFailedError as error:
        return error.details.message
    return f"succeeded with {result!r}"


def two_timers(ctx: task.OrchestrationContext, generation: int) -> Any:
    """The first generation abandons a timer of 0.5 s, the second one asks for one of 1.5 s."""
    if generation == 0:
        timer = ctx.create_timer(timedelta(seconds=0.5))
        yield task.when_any([ctx.wait_for_external_event("go"), timer])
        ctx.continue_as_new(1)
        return None
    started = ctx.current_utc_datetime
    yield ctx.create_timer(timedelta(seconds=1.5))
    return (ctx.current_utc_datetime - started).total_seconds()


def two_activities(ctx: task.OrchestrationContext, generation: int) -> Any:
    if generation == 0:
        abandoned: task.Task[Any] = ctx.call_activity("gated", input="first")
        yield task.when_any([ctx.wait_for_external_event("go"), abandoned])
        ctx.continue_as_new(1)
        return None
    return (yield ctx.call_activity("gated", input="second"))


def two_entity_calls(ctx: task.OrchestrationContext, generation: int) -> Any:
    if generation == 0:
        abandoned: task.Task[Any] = ctx.call_entity(EntityInstanceId("cell", "12"), "gated")
        yield task.when_any([ctx.wait_for_external_event("go"), abandoned])
        ctx.continue_as_new(1)
        return None
    return (yield ctx.wait_for_external_event("end"))


def parent(ctx: task.OrchestrationContext, child_id: str) -> Any:
    return (yield ctx.call_sub_orchestrator("child", instance_id=child_id))


def child(ctx: task.OrchestrationContext, _: Any) -> Any:
    yield ctx.wait_for_external_event("go")
    return ctx.parent_instance_id


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_01_a_parent_waits_for_a_child_of_more_than_thirty_seconds(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    class Hasty(threading.Event):  # thirty seconds pass in 0.15
        def wait(self, timeout: float | None = None) -> bool:
            return super().wait(None if timeout is None else timeout / 200)

    @dataclass
    class HastyWaiter(in_memory_backend.StateWaiter):
        event: threading.Event = field(default_factory=Hasty)

    monkeypatch.setattr(in_memory_backend, "StateWaiter", HastyWaiter)
    parent_id, child_id = hub.start_parent()
    time.sleep(2 * SHORTLY_S)
    hub.client.raise_orchestration_event(child_id, "go")
    hub.finish(child_id)
    state = hub.finish(parent_id, 2 * SHORTLY_S if hub.is_stock else TIMEOUT_S)
    assert (state.runtime_status is OrchestrationStatus.COMPLETED) is not hub.is_stock


def test_02_an_abandoned_timer_does_not_fire_into_the_next_generation(hub: Hub) -> None:
    instance_id = hub.start(two_timers, 0)
    hub.client.raise_orchestration_event(instance_id, "go")
    waited_s = hub.finish(instance_id).get_output()
    assert (waited_s >= 1.5) is not hub.is_stock


def test_03_an_abandoned_activity_does_not_answer_the_next_generation(hub: Hub) -> None:
    instance_id = hub.start(two_activities, 0)
    assert hub.beginning("first").wait(TIMEOUT_S)
    hub.client.raise_orchestration_event(instance_id, "go")
    assert hub.beginning("second").wait(TIMEOUT_S)
    hub.gate("first").set()
    time.sleep(SHORTLY_S)
    hub.gate("second").set()
    assert hub.finish(instance_id).get_output() == ("first" if hub.is_stock else "second")


def test_04_a_failure_without_a_message_is_a_failure(hub: Hub) -> None:
    assert hub.finish(hub.start(silent)).get_output() == ("succeeded with None" if hub.is_stock else "")


def test_05_the_id_of_a_finished_instance_can_be_used_again(hub: Hub) -> None:
    hub.finish(hub.start(one, 1, instance_id="singleton"))
    if hub.is_stock:
        with pytest.raises(grpc.RpcError, match="already exists"):
            hub.start(one, 2, instance_id="singleton")
    else:
        assert hub.finish(hub.start(one, 2, instance_id="singleton")).get_output() == 2
        running = hub.start(child)
        with pytest.raises(grpc.RpcError, match="already exists"):
            hub.start(child, instance_id=running)


def test_06_a_scheduled_start_waits(hub: Hub) -> None:
    instance_id = hub.start(one, 1, start_at=datetime.now(UTC) + timedelta(seconds=1))
    early = hub.finish(instance_id, SHORTLY_S).runtime_status
    assert early is (OrchestrationStatus.COMPLETED if hub.is_stock else OrchestrationStatus.PENDING)
    assert hub.finish(instance_id).get_output() == 1


def test_07_many_waiting_clients_block_nobody(hub: Hub) -> None:
    waiting = hub.start(child)

    def wait() -> None:
        with pytest.raises(TimeoutError):
            hub.client.wait_for_orchestration_completion(waiting, timeout=3)

    waiters = [threading.Thread(target=wait) for _ in range(12)]
    for waiter in waiters:
        waiter.start()
    time.sleep(SHORTLY_S)
    began = time.monotonic()
    hub.finish(hub.start(one, 1))
    assert (time.monotonic() - began < 1.5) is not hub.is_stock
    for waiter in waiters:
        waiter.join()


@pytest.mark.parametrize("is_stock", [True, False])
def test_08_new_events_wake_the_dispatcher_also_for_a_queued_instance(is_stock: bool) -> None:
    backend = InMemoryOrchestrationBackend() if is_stock else LocalBackend(RealClock())
    backend.StartInstance(pb.CreateInstanceRequest(instanceId="a", name="one"), MagicMock())
    backend._work_available.clear()
    backend.RaiseEvent(pb.RaiseEventRequest(instanceId="a", name="go"), MagicMock())
    assert backend._work_available.is_set() is not is_stock


@pytest.mark.parametrize(
    ("backend", "address"),
    [(lambda: InMemoryOrchestrationBackend(port=0), "[::]:0"), (lambda: LocalBackend(RealClock()), "127.0.0.1:0")],
)
def test_09_it_listens_on_the_loopback_interface_only(
    backend: Callable[[], InMemoryOrchestrationBackend], address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = MagicMock()
    monkeypatch.setattr(grpc, "server", lambda _: server)
    backend().start()
    server.add_insecure_port.assert_called_once_with(address)


def test_10_a_child_knows_its_parent(hub: Hub) -> None:
    parent_id, child_id = hub.start_parent()
    hub.client.raise_orchestration_event(child_id, "go")
    assert hub.finish(parent_id).get_output() == (None if hub.is_stock else parent_id)


def test_11_an_entity_without_state_does_not_exist(hub: Hub) -> None:
    cell = EntityInstanceId("cell", "11")

    hub.client.signal_entity(cell, "set", 1)
    _wait_until(lambda: hub.client.get_entity(cell) is not None)
    assert [entity.id for entity in hub.client.get_all_entities()] == [cell]
    hub.client.signal_entity(cell, "delete")
    time.sleep(SHORTLY_S)
    assert (hub.client.get_entity(cell) is not None) is hub.is_stock
    assert [entity.id for entity in hub.client.get_all_entities()] == ([cell] if hub.is_stock else [])


def test_12_an_abandoned_entity_call_does_not_fail_the_next_generation(hub: Hub) -> None:
    instance_id = hub.start(two_entity_calls, 0)
    assert hub.beginning("entity").wait(TIMEOUT_S)
    hub.client.raise_orchestration_event(instance_id, "go")
    _wait_until(lambda: hub.state(instance_id).serialized_input == "1")
    hub.gate("entity").set()
    time.sleep(SHORTLY_S)
    hub.client.raise_orchestration_event(instance_id, "end", data="well")
    state = hub.finish(instance_id)
    if hub.is_stock:
        assert state.runtime_status is OrchestrationStatus.FAILED
    else:
        assert state.get_output() == "well"


def test_13_a_late_result_does_not_run_a_finished_orchestration_again(hub: Hub) -> None:
    instance_id = hub.start("counted")
    assert hub.beginning("late").wait(TIMEOUT_S)
    hub.client.raise_orchestration_event(instance_id, "go")
    hub.finish(instance_id)
    runs = hub.runs
    hub.gate("late").set()
    time.sleep(SHORTLY_S)
    assert (hub.runs == runs) is not hub.is_stock


def test_14_terminating_a_parent_terminates_its_children(hub: Hub) -> None:
    parent_id, child_id = hub.start_parent()
    hub.client.terminate_orchestration(parent_id, output="enough", recursive=True)
    assert hub.finish(parent_id).runtime_status is OrchestrationStatus.TERMINATED
    ended = hub.finish(child_id, SHORTLY_S if hub.is_stock else TIMEOUT_S).runtime_status
    assert (ended is OrchestrationStatus.TERMINATED) is not hub.is_stock


@pytest.mark.parametrize("is_stock", [True, False])
def test_15_stopping_lets_go_of_waiting_clients(is_stock: bool) -> None:
    backend = StockBackend() if is_stock else LocalBackend(RealClock())
    backend.start()
    backend.StartInstance(pb.CreateInstanceRequest(instanceId="a", name="one"), MagicMock())
    call = MagicMock(**{"time_remaining.return_value": 1.5})
    request = pb.GetInstanceRequest(instanceId="a")
    waiter = threading.Thread(target=backend.WaitForInstanceCompletion, args=(request, call))
    waiter.start()
    _wait_until(lambda: bool(backend._state_waiters))
    backend.stop(0)
    waiter.join(SHORTLY_S)
    assert waiter.is_alive() is is_stock
    waiter.join()
