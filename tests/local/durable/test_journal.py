"""A host that dies at any moment resumes what was in flight, and nothing happens twice that must not."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
from durabletask.client import OrchestrationStatus

from local.clock import VirtualClock
from local.host.durable.extension import DurableExtension
from local.host.durable.hub import TaskHub
from local.host.durable.journal import Journal, JournalError
from local.host.durable.rows import Row
from local.host.functions import LoadedFunction
from tests.local.durable import victim
from tests.local.durable.app import LEDGER, AppInvoker
from tests.local.durable.conftest import START, Running

ROOT = Path(__file__).parents[3]


async def launched(journal: Path, clock: VirtualClock) -> Running:
    invoker = AppInvoker()
    extension = DurableExtension(invoker, clock, journal=journal, options={})
    await extension.start()
    clock.add_busy_probe(extension.busy)
    return Running(extension, invoker, clock)


def process(journal: Path, started: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", victim.__name__, str(journal)]
    environment = {**os.environ, "DURABLE_TEST_STARTED": str(started)}
    return subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE)


def wait_for_lines(path: Path, count: int, running: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while not path.exists() or len(path.read_text().splitlines()) < count:
        assert running.poll() is None, running.stderr.read().decode() if running.stderr else ""
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.slow  # two processes that import the SDK
@pytest.mark.parametrize("started_activities", [8, 40])
async def test_killed_in_the_middle_of_everything_it_ends_as_if_it_had_not_been(
    tmp_path: Path, started_activities: int
) -> None:
    """At 8 and 40 activities begun: while the first ones run, and with timers, children and entities at work."""
    journal, started = tmp_path / "hub.db", tmp_path / "started"
    killed = process(journal, started)
    wait_for_lines(started, started_activities, killed)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL  # it had not finished
    survivor = process(journal, started)
    _, errors = survivor.communicate(timeout=60)
    assert survivor.returncode == 0, errors.decode()

    clock = VirtualClock(START)
    running = await launched(journal, clock)
    states = [await running.state(str(n)) for n in range(victim.INSTANCES)]
    entity = await running.extension.client.get_entity(LEDGER)
    await running.extension.stop()
    assert [state.get_output() for state in states] == list(range(victim.INSTANCES))
    assert entity is not None
    assert entity.get_state() == str(victim.EXPECTED_TOTAL)


async def test_timers_starts_and_signals_outlive_the_host(tmp_path: Path) -> None:
    clock = VirtualClock(START)
    first = await launched(tmp_path / "hub.db", clock)
    nap = await first.start("nap", 12)
    late = await first.start("chain", 3, start_at=START + timedelta(hours=6))
    await first.extension.client.signal_entity(LEDGER, "add", 5, signal_time=START + timedelta(hours=6))
    waiting = await first.start("wait")
    await clock.settle()
    await first.extension.stop()

    second = await launched(tmp_path / "hub.db", clock)
    await clock.advance(6 * 3600 - 1)
    assert (await second.state(late)).runtime_status is OrchestrationStatus.PENDING
    assert await second.extension.client.get_entity(LEDGER) is None
    await clock.advance(1)
    assert (await second.state(late)).get_output() == 12
    assert (await second.state(waiting)).get_custom_status() == "waiting"
    await second.extension.client.raise_orchestration_event(waiting, "go", data="now")
    await clock.advance(6 * 3600)
    assert (await second.state(nap)).get_output()[1] == "2031-05-02T00:00:00"
    assert (await second.state(waiting)).get_output() == "now"
    entity = await second.extension.client.get_entity(LEDGER)
    assert entity is not None
    assert entity.get_state() == "5"
    await second.extension.stop()


async def test_what_came_due_while_the_host_was_down_happens_at_its_start(tmp_path: Path) -> None:
    clock = VirtualClock(START)
    first = await launched(tmp_path / "hub.db", clock)
    nap = await first.start("nap", 12)
    late = await first.start("chain", 3, start_at=START + timedelta(hours=6))
    await clock.settle()
    await first.extension.stop()
    await clock.advance(24 * 3600)

    second = await launched(tmp_path / "hub.db", clock)
    await clock.advance(0)
    assert (await second.state(late)).get_output() == 12
    assert (await second.state(nap)).get_output()[1] == "2031-05-02T12:00:00"
    await second.extension.stop()


async def test_an_activity_that_was_running_runs_again_and_counts_once(tmp_path: Path) -> None:
    clock = VirtualClock(START)
    first = await launched(tmp_path / "hub.db", clock)

    began = asyncio.Event()

    async def hang(function: LoadedFunction, _: str) -> None:
        if function.name == "double":
            began.set()
            await asyncio.Event().wait()

    first.invoker.before = hang
    instance_id = await first.start("chain", 3)
    await began.wait()
    await first.extension.stop()

    second = await launched(tmp_path / "hub.db", clock)
    await clock.settle()
    assert (await second.state(instance_id)).get_output() == 12
    assert second.invoker.calls.count("double") == 2
    await second.extension.stop()


async def test_a_lock_and_those_who_wait_for_it_outlive_the_host(tmp_path: Path) -> None:
    clock = VirtualClock(START)
    first = await launched(tmp_path / "hub.db", clock)
    holder = (await first.run("exclusive")).instance_id
    follower = (await first.run("exclusive")).instance_id
    await first.extension.stop()

    second = await launched(tmp_path / "hub.db", clock)
    await clock.settle()
    assert (await second.state(holder)).get_custom_status() == "in"
    assert (await second.state(follower)).get_custom_status() is None
    await second.extension.client.raise_orchestration_event(holder, "go")
    await clock.settle()
    assert (await second.state(holder)).runtime_status is OrchestrationStatus.COMPLETED
    assert (await second.state(follower)).get_custom_status() == "in"
    await second.extension.stop()


async def test_what_is_purged_is_gone_and_the_file_does_not_keep_it(tmp_path: Path) -> None:
    clock = VirtualClock(START)
    first = await launched(tmp_path / "hub.db", clock)
    for n in range(5):
        await first.run("everything", n, instance_id=str(n))
    await clock.advance(10)
    for n in range(5):
        await first.extension.client.purge_orchestration(str(n))
    await first.extension.stop()
    journal = Journal(tmp_path / "hub.db")
    hub = journal.hub()
    journal.close()
    assert {entity.serialized_state for entity in hub.entities.values()} == {str(4 * 10)}
    assert not [key for key in hub.generations if key.isdigit()]
    assert not (hub.activities or hub.timers or hub.signals or hub.children or hub.starts)
    assert {key for key in hub.instances if key.isdigit()} == set()


async def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    clock = VirtualClock(START)
    first = await launched(tmp_path / "hub.db", clock)
    for name, data in (("everything", 1), ("nap", 12), ("wait", None), ("broken", None), ("call", "silent_failure")):
        await first.run(name, data, tags={"team": name})
    await first.start("chain", 3, start_at=START + timedelta(hours=6))
    await first.extension.client.signal_entity(LEDGER, "add", 5, signal_time=START + timedelta(hours=6))
    await clock.advance(1)
    written = encoded(first.extension._backend._hub)
    await first.extension.stop()
    journal = Journal(tmp_path / "hub.db")
    read = encoded(journal.hub())
    journal.close()
    assert read == written
    assert {"instances", "entities", "timers", "signals", "starts", "generations"} <= set(read)


def encoded(hub: TaskHub) -> dict[str, dict[str, Row]]:
    """The tables that have rows, each row as it is written."""
    tables = {name: getattr(hub, name) for name in vars(hub)}
    return {
        name: {key: table._codec.encode(dict.__getitem__(table, key)) for key in table}
        for name, table in tables.items()
        if table
    }


def test_a_second_host_on_the_same_journal_is_refused(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "hub.db")
    with pytest.raises(JournalError, match="Is another host running on it"):
        Journal(tmp_path / "hub.db")
    journal.close()


def test_a_journal_of_another_version_is_refused(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "hub.db")
    journal._db.execute("UPDATE about SET layout = '0, durabletask 1.0.0'")
    journal.close()
    with pytest.raises(JournalError, match=r"has layout '0, durabletask 1.0.0'"):
        Journal(tmp_path / "hub.db")


def test_what_cannot_be_saved_is_not_acknowledged(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "hub.db")
    hub = journal.hub()
    hub.generations["a"] = 1
    journal._db.execute("PRAGMA query_only = ON")
    with pytest.raises(Exception, match="readonly"):
        journal.save()
    journal._db.execute("PRAGMA query_only = OFF")
    journal.save()
    journal.close()
    again = Journal(tmp_path / "hub.db")
    assert again.hub().generations == {"a": 1}
    again.close()
