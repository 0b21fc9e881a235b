"""What happens around the broker: clients that die, connections that drop, a broker that restarts, virtual time."""

import asyncio
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient, ServiceBusReceiver
from azure.servicebus.exceptions import MessageLockLostError

from local.clock import RealClock, VirtualClock
from local.servicebus import Broker
from local.servicebus.wire import server
from local.servicebus.wire.performatives import Transfer
from tests.local.servicebus.conftest import config, port_of
from tests.local.servicebus.raw_client import RawClient

# A receiver in a process of its own, which says what it holds and then dies without a word to the broker.
VICTIM = """
import os, signal, sys
from azure.servicebus import ServiceBusClient
client = ServiceBusClient.from_connection_string(sys.argv[1])
receiver = client.get_queue_receiver("q", prefetch_count=5).__enter__()
[message] = receiver.receive_messages(1, max_wait_time=20)
print(str(message), message.delivery_count, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


async def test_what_a_killed_receiver_held_comes_back_when_its_lock_expires(
    broker: Broker, clock: VirtualClock
) -> None:
    queue = broker.queue("q")
    queue.send(b"job")
    victim = await asyncio.create_subprocess_exec(
        sys.executable, "-c", VICTIM, broker.connection_string, stdout=subprocess.PIPE
    )
    said, _ = await asyncio.wait_for(victim.communicate(), 30)
    assert said.split() == [b"job", b"0"]
    assert victim.returncode == -signal.SIGKILL
    await clock.advance(59)
    assert (queue.counts().locked, queue.counts().active) == (1, 0)
    await clock.advance(1)
    [again] = queue.receive(1)
    assert (again.body, again.delivery_count) == (b"job", 1)


async def receive_one(receiver: ServiceBusReceiver, within_s: float = 20.0) -> object:
    [message] = await receiver.receive_messages(1, max_wait_time=within_s)
    await receiver.complete_message(message)
    return str(message)


async def test_clients_reconnect_after_a_drop_and_nothing_is_lost() -> None:
    broker = Broker(config(q={"LockDuration": "PT1S"}), RealClock())
    await broker.start()
    async with (
        ServiceBusClient.from_connection_string(broker.connection_string, retry_backoff_factor=0.05) as client,
        client.get_queue_sender("q") as sender,
        client.get_queue_receiver("q") as receiver,
    ):
        await sender.send_messages(ServiceBusMessage("before"))
        [held] = await receiver.receive_messages(1, max_wait_time=20)
        broker.drop_connections()
        await sender.send_messages(ServiceBusMessage("after"))
        found = {await receive_one(receiver), await receive_one(receiver)}
        assert found == {"before", "after"}
        assert str(held) == "before"
    assert broker.queue("q").counts().active == broker.queue("q").counts().locked == 0
    await broker.stop()


async def test_a_restart_on_the_same_port_keeps_the_messages() -> None:
    broker = Broker(config(q={}), RealClock())
    port = await broker.start()
    async with (
        ServiceBusClient.from_connection_string(broker.connection_string, retry_backoff_factor=0.05) as client,
        client.get_queue_receiver("q") as receiver,
    ):
        broker.queue("q").send(b"kept")
        await broker.stop()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        broker.queue("q").send(b"sent meanwhile")
        assert await broker.start(port) == port
        assert [await receive_one(receiver), await receive_one(receiver)] == ["kept", "sent meanwhile"]
    await broker.stop()


async def test_a_taken_port_is_told(broker: Broker) -> None:
    port = port_of(broker)
    with pytest.raises(OSError, match="address already in use"):
        await Broker(config(q={}), RealClock()).start(port)


def test_there_is_no_connection_string_before_the_start() -> None:
    with pytest.raises(RuntimeError, match=r"await start\(\) first"):
        _ = Broker(config(q={}), RealClock()).connection_string


async def test_stopping_twice_or_before_the_start_is_harmless() -> None:
    broker = Broker(config(q={}), RealClock())
    await broker.stop()
    await broker.start()
    await broker.stop()
    await broker.stop()
    assert not broker.busy()


async def test_the_real_client_settles_in_virtual_time(broker: Broker, clock: VirtualClock) -> None:
    """The broker's clock is years from the client's, and stands still; locks last on the broker's."""
    assert abs(datetime.now(UTC) - clock.now()) > timedelta(days=1)
    queue = broker.queue("q")
    async with (
        ServiceBusClient.from_connection_string(broker.connection_string) as client,
        client.get_queue_sender("q") as sender,
        client.get_queue_receiver("q") as receiver,
    ):
        due = clock.now() + timedelta(hours=1)
        await sender.send_messages([ServiceBusMessage("now"), ServiceBusMessage("late")])
        await sender.schedule_messages(ServiceBusMessage("in an hour"), due)
        assert await receive_one(receiver) == "now"
        [late] = await receiver.receive_messages(1, max_wait_time=20)
        assert late.enqueued_time_utc == clock.now()
        await clock.advance(59)
        until = await receiver.renew_message_lock(late)
        assert timedelta(seconds=50) < until - datetime.now(UTC) <= timedelta(seconds=60)
        await clock.advance(60)
        with pytest.raises(MessageLockLostError):
            await receiver.complete_message(late)
        assert await receive_one(receiver) == "late"
        await clock.advance((due - clock.now()).total_seconds())
        assert await receive_one(receiver) == "in an hour"
    counts = queue.counts()
    assert (counts.active, counts.locked, counts.scheduled) == (0, 0, 0)


async def test_virtual_time_waits_for_what_is_on_the_wire(broker: Broker, clock: VirtualClock) -> None:
    """A consumer that completes what it gets at once is never overtaken by a jump of the clock."""
    queue = broker.queue("q")
    done = asyncio.Event()

    async def consume(receiver: ServiceBusReceiver) -> None:
        async for message in receiver:
            await receiver.complete_message(message)
            done.set()

    async with (
        ServiceBusClient.from_connection_string(broker.connection_string) as client,
        client.get_queue_receiver("q") as receiver,
    ):
        consumer = asyncio.create_task(consume(receiver))
        for _ in range(10):
            done.clear()
            clock.call_at(clock.now() + timedelta(seconds=30), lambda: queue.send(b"x"))
            await clock.advance(600)  # ten locks long
            assert done.is_set()
            assert (queue.counts().active, queue.counts().locked) == (0, 0)
        consumer.cancel()
        await asyncio.gather(consumer, return_exceptions=True)


async def test_a_broker_at_rest_is_not_busy(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is for a moment after each frame; a machine with other work may miss that moment, or take long to rest."""
    moment_s = server._QUIET_S
    monkeypatch.setattr(server, "_QUIET_S", 3600.0)
    broker.queue("q").send(b"x")
    async with RawClient(port_of(broker)) as client:
        await client.open_session()
        client.attach_receiver("q", credit=1)
        await client.expect(Transfer)
        assert broker.busy()
        monkeypatch.setattr(server, "_QUIET_S", moment_s)
        for _ in range(1000):
            if not broker.busy():
                break
            await asyncio.sleep(moment_s)
        assert not broker.busy()


def test_many_idle_alarms_do_not_wake_the_clock() -> None:
    """Each lock has its end, but half a virtual hour of settled messages has few instants to stop at."""
    clock = VirtualClock()
    queue = Broker(config(q={}), clock).queue("q")
    instants = 0
    original = clock.call_at

    def count(*arguments: object) -> object:
        nonlocal instants
        instants += 1
        return original(*arguments)  # type: ignore[arg-type]

    clock.call_at = count  # type: ignore[method-assign, assignment]

    async def half_an_hour() -> None:
        for _ in range(60):
            queue.send(b"x")
            queue.complete(queue.receive(1)[0].lock_token)
            await clock.advance(30)

    asyncio.run(half_an_hour())
    assert instants <= 33
