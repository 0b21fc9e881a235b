"""Durable time is the injected clock's: hours pass in a moment, and no wall-clock time leaks out."""

import ast
import inspect
import re
import time
from datetime import timedelta

from durabletask.client import OrchestrationStatus
from durabletask.testing import in_memory_backend

from tests.local.durable.app import LEDGER
from tests.local.durable.conftest import START, Running

READS_TIME = re.compile(r"datetime\.now|time\.(sleep|time|monotonic)\b")
# Every place in the stock backend that reads the time, and what is done about it.
ROUTED = {
    "OrchestrationInstance": "created_at and last_updated_at are always given",
    "EntityState": "_queue_entity_operation and _grant_lock set last_modified_at",
    "StartInstance": "created_at set after it; the start event is stamped at dispatch",
    "RaiseEvent": "touched after it",
    "SuspendInstance": "_enqueue_orchestration touches",
    "ResumeInstance": "_enqueue_orchestration touches",
    "GetWorkItems": "_stamp_turn",
    "CompleteOrchestratorTask": "_notify_waiters",
    "CompleteActivityTask": "replaced",
    "CompleteEntityTask": "last_modified_at set after it; callers are touched by _enqueue_orchestration",
    "SignalEntity": "replaced",
    "_create_instance_internal": "created_at set after it; the start event is stamped at dispatch",
    "_raise_event_internal": "_enqueue_orchestration touches",
    "_terminate_instance_internal": "_enqueue_orchestration touches",
    "_process_complete_orchestration_action": "completed_at set by _notify_waiters; the start event at dispatch",
    "_process_create_timer_action": "replaced",
    "_watch_sub_orchestration": "replaced",
    "_process_send_entity_message_action": "ends in _queue_entity_operation or _schedule_delayed_entity_operation",
    "_grant_lock": "_enqueue_orchestration touches",
    "_signal_entity_internal": "replaced",
    "_schedule_delayed_entity_operation": "replaced",
    "_prepare_rewind": "the event is stamped after it; _enqueue_orchestration touches",
    "_process_rewind_orchestration_action": "_notify_waiters; the start event is stamped at dispatch",
}


def test_every_reading_of_the_time_in_the_stock_backend_is_known() -> None:
    tree = ast.parse(inspect.getsource(in_memory_backend))
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    methods = [part for node in classes for part in node.body if isinstance(part, ast.FunctionDef)]
    fields = [node for node in classes if node.decorator_list]
    readers: list[ast.FunctionDef | ast.ClassDef] = [*methods, *fields]
    found = {node.name for node in readers if READS_TIME.search(ast.unparse(node))}
    assert found == set(ROUTED)


async def test_a_timer_of_twelve_hours_takes_no_time(running: Running) -> None:
    instance_id = await running.start("nap", 12)
    began = time.monotonic()
    await running.clock.advance(12 * 3600 - 1)
    assert (await running.state(instance_id)).runtime_status is OrchestrationStatus.RUNNING
    await running.clock.advance(1)
    state = await running.state(instance_id)
    assert time.monotonic() - began < 1.0
    assert state.get_output() == ["2031-05-01T12:00:00", "2031-05-02T00:00:00"]  # naive UTC, as the SDK has it


async def test_retries_back_off_in_virtual_time(running: Running) -> None:
    instance_id = await running.start("retrying")
    await running.clock.advance(3600)
    assert (await running.state(instance_id)).get_output() == 30 * 60
    assert running.invoker.calls.count("over_quota") == 3


async def test_a_scheduled_start_waits_for_its_time(running: Running) -> None:
    instance_id = await running.start("chain", 3, start_at=START + timedelta(hours=2))
    await running.clock.advance(7199)
    assert (await running.state(instance_id)).runtime_status is OrchestrationStatus.PENDING
    await running.clock.advance(1)
    assert (await running.state(instance_id)).get_output() == 12


async def test_a_scheduled_start_is_terminated_at_once(running: Running) -> None:
    instance_id = await running.start("chain", 3, start_at=START + timedelta(hours=2))
    await running.extension.client.terminate_orchestration(instance_id)
    await running.clock.settle()
    assert (await running.state(instance_id)).runtime_status is OrchestrationStatus.TERMINATED


async def test_a_delayed_signal_arrives_at_its_time(running: Running) -> None:
    client = running.extension.client
    await client.signal_entity(LEDGER, "add", 5, signal_time=START + timedelta(hours=1))
    await running.clock.advance(3599)
    assert await client.get_entity(LEDGER) is None
    await running.clock.advance(1)
    entity = await client.get_entity(LEDGER)
    assert entity is not None
    assert entity.get_state() == "5"
    assert entity.last_modified == START + timedelta(hours=1)


async def test_no_timestamp_is_the_wall_clocks(running: Running) -> None:
    instance_id = await running.start("everything", 1)
    await running.clock.advance(10)
    state = await running.state(instance_id)
    assert state.runtime_status is OrchestrationStatus.COMPLETED
    begin = START.replace(tzinfo=None)  # the SDK's states are naive UTC
    assert begin == state.created_at < state.last_updated_at <= begin + timedelta(seconds=10)
    history = await running.extension.client.get_orchestration_history(instance_id)
    assert {event.timestamp.year for event in history} == {START.year}
    for instance in running.extension._backend._instances.values():
        assert instance.completed_at is not None
        assert START <= instance.completed_at <= START + timedelta(seconds=10)
