"""Every trigger through the whole host: Event Grid over HTTP, the others with a broker and Azurite."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue import QueueClient

from local.clock import RealClock
from local.servicebus.broker import Broker
from tests.local.host.process import APPS, Answer, HostProcess
from tests.local.host.rule import rule

QUEUE = {"LockDuration": "PT1M", "MaxDeliveryCount": 2}
CONFIG = {
    "UserConfig": {
        "Namespaces": [{"Name": "ns", "Queues": [{"Name": name, "Properties": QUEUE} for name in ("work", "batch")]}]
    }
}
WEBHOOK = "/runtime/webhooks/EventGrid?functionName="


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    """On a thread of its own: the tests block while they wait for the host."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    running = Broker(CONFIG, RealClock())
    asyncio.run_coroutine_threadsafe(running.start(), loop).result(10)
    yield running
    asyncio.run_coroutine_threadsafe(running.stop(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory, broker: Broker, azurite: str) -> Iterator[HostProcess]:
    settings = {
        "BUS": broker.connection_string,
        "BUS_QUEUE": "work",
        "AzureWebJobsStorage": azurite,
        "HOURLY": "0 0 * * * *",
    }
    with HostProcess(APPS / "triggers", tmp_path_factory.mktemp("triggers"), settings) as process:
        yield process.wait_ready()


def event(identity: str, **data: Any) -> dict[str, Any]:
    return {
        "id": identity,
        "topic": "/t",
        "subject": "models/one",
        "eventType": "Made.Up",
        "eventTime": "2026-01-05T00:00:00Z",
        "data": data,
        "dataVersion": "1",
    }


def deliver(host: HostProcess, body: Any, function: str = "on_event", kind: str = "Notification") -> Answer:
    return host.post(WEBHOOK + function, json_body=body, headers={"aeg-event-type": kind}, key="of-eventgrid")


@rule("event_grid.key")
def test_the_webhook_needs_its_key_and_ignores_the_case_of_its_path(host: HostProcess) -> None:
    body, headers = [event("k")], {"aeg-event-type": "Notification"}
    assert host.post(WEBHOOK + "on_event", json_body=body, headers=headers).status == 401
    lower = "/runtime/webhooks/eventgrid?functionName=on_event&code=of-eventgrid"
    assert host.post(lower, json_body=body, headers=headers).status == 202


@rule("event_grid.validation")
def test_the_handshake(host: HostProcess) -> None:
    answer = deliver(host, [event("v", validationCode="abc")], kind="SubscriptionValidation")
    assert (answer.status, answer.json()) == (200, {"validationResponse": "abc"})


@rule("event_grid.notification")
def test_events_reach_the_function(host: HostProcess) -> None:
    assert deliver(host, [event("n1", x=1)]).status == 202
    seen = next(one for one in host.seen("on_event") if one["id"] == "n1")
    assert (seen["type"], seen["subject"], seen["data"]) == ("Made.Up", "models/one", {"x": 1})


@rule("event_grid.notification", "event_grid.parallel")
def test_one_failed_event_fails_the_delivery_but_all_ran(host: HostProcess) -> None:
    assert deliver(host, [event("p1"), event("p2", fail=True), event("p3")]).status == 500
    assert {"p1", "p2", "p3"} <= {one["id"] for one in host.seen("on_event")}


@rule("event_grid.parallel")
def test_cardinality_many_is_one_call(host: HostProcess) -> None:
    assert deliver(host, [event("m1"), event("m2")], "on_events").status == 202
    assert host.seen("on_events") == [{"function": "on_events", "count": 2}]


def test_a_cloud_event(host: HostProcess) -> None:
    cloud = {"specversion": "1.0", "id": "c1", "source": "/s", "type": "made.up", "data": {}}
    assert deliver(host, cloud, "on_cloud_event").status == 202
    assert host.seen("on_cloud_event") == [{"function": "on_cloud_event", "id": "c1", "type": "made.up"}]


@rule("event_grid.unsubscribe", "event_grid.other_400", "event_grid.unknown_404", "event_grid.malformed_500")
def test_the_other_answers_of_the_webhook(host: HostProcess) -> None:
    assert deliver(host, [event("u")], kind="Unsubscribe").status == 202
    assert deliver(host, [event("u")], kind="Whatever").status == 400
    assert host.post(WEBHOOK + "on_event", json_body=[event("u")], key="of-eventgrid").status == 400
    assert [deliver(host, [event("u")], name).status for name in ("nobody", "ON_EVENT", "often")] == [404, 404, 404]
    headers = {"aeg-event-type": "Notification"}
    for body in (b"{", b"[]", b"[1]"):
        assert host.post(WEBHOOK + "on_event", body=body, headers=headers, key="of-eventgrid").status == 500
    assert not [one for one in host.seen("on_event") if one["id"] == "u"]


@rule("event_grid.options")
def test_the_handshake_of_cloud_events(host: HostProcess) -> None:
    headers = {"WebHook-Request-Origin": "eventgrid.azure.net"}
    answer = host.request("OPTIONS", WEBHOOK + "on_cloud_event", headers=headers, key="of-eventgrid")
    assert (answer.status, answer.headers["Webhook-Allowed-Origin"]) == (200, "eventgrid.azure.net")


@rule("service_bus.settle", "service_bus.metadata")
def test_service_bus_out_and_in(host: HostProcess, broker: Broker) -> None:
    for body in ("hello", "fail"):
        assert host.post("/api/send/bus", body=body.encode()).status == 202
    seen = {(one["body"], one["delivery"]): one for one in host.wait_seen("on_message", 3)}
    assert set(seen) == {("hello", 1), ("fail", 1), ("fail", 2)}
    host.wait_until(lambda: broker.queue("work").counts().dead_letter == 1)
    broker.queue("work").send(b"typed", message_id="m", properties={"n": 1})
    host.wait_until(lambda: len(host.seen("on_message")) == 4)
    message = host.seen("on_message")[-1]
    assert (message["id"], message["properties"], message["sequence"]) == ("m", {"n": 1}, 3)
    assert message["at"].endswith("+00:00")


@rule("service_bus.batch")
def test_a_batch_reaches_the_function_as_a_list(host: HostProcess, broker: Broker) -> None:
    for body in (b"one", b"fail"):
        broker.queue("batch").send(body)
    host.wait_until(lambda: broker.queue("batch").counts().active + broker.queue("batch").counts().locked == 0)
    delivered = [body for one in host.seen("on_batch") for body in one["bodies"]]
    assert delivered.count("fail") == 2


@rule("queue.poison", "queue.base64")
def test_storage_queue_out_and_in(host: HostProcess, azurite: str) -> None:
    poison = QueueClient.from_connection_string(azurite, "items-poison")
    assert host.post("/api/send/storage", body=b"one,fail").status == 202
    host.wait_until(
        lambda: {(one["body"], one["dequeued"]) for one in host.seen("on_item")} >= {("one", 1), ("fail", 2)}
    )
    plain = QueueClient.from_connection_string(azurite, "items")
    plain.send_message("no base64!")

    def poisoned() -> set[str]:
        return {str(message.content) for message in poison.peek_messages(max_messages=5)}

    host.wait_until(lambda: _exists(poison) and poisoned() == {"ZmFpbA==", "no base64!"})
    host.wait_until(lambda: plain.get_queue_properties().approximate_message_count == 0)
    poison.close()
    plain.close()


def _exists(queue: QueueClient) -> bool:
    try:
        queue.get_queue_properties()
    except ResourceNotFoundError:
        return False
    return True


@rule("timer.run_on_startup", "timer.monitor")
def test_timers_reach_the_function(host: HostProcess) -> None:
    assert host.seen("hourly")[0]["past_due"] is False
    assert host.wait_seen("often", 1)[0]["status"] == {}


@rule("life.missing_connection", "metadata.listener_retried", "metadata.one_fails_alone")
def test_a_listener_without_connection_is_an_error_of_its_function(host: HostProcess) -> None:
    errors = host.get("/admin/functions/on_lost_message/status", key="the-master").json()["errors"]
    assert "NOWHERE" in errors[0]
    assert "Trying again in 2 s" in host.log


@rule("admin.invoke")
@pytest.mark.parametrize(
    ("function", "given"), [("on_message", "by hand"), ("on_item", "by hand"), ("retried", ""), ("on_lost_message", "")]
)
def test_any_function_runs_by_hand(host: HostProcess, function: str, given: str) -> None:
    before = len(host.seen(function))
    assert host.post(f"/admin/functions/{function}", json_body={"input": given}, key="the-master").status == 202
    host.wait_until(lambda: len(host.seen(function)) > before)
    assert host.seen(function)[-1].get("body", "") == given


@rule("admin.drain")
def test_drain_and_resume(host: HostProcess) -> None:
    def state() -> Any:
        return host.get("/admin/host/drain/status", key="the-master").json()["state"]

    assert state() == "Disabled"
    assert host.post("/admin/host/drain", key="the-host").status == 401
    assert host.post("/admin/host/drain", key="the-master").status == 202
    host.wait_until(lambda: state() == "Completed")
    ticks = len(host.seen("often"))
    assert host.post("/admin/host/resume", key="the-master").status == 202
    assert state() == "Disabled"
    host.wait_seen("often", ticks + 1)


@rule("life.stop", "retry.elsewhere")
def test_stop_ends_within_ten_seconds_and_tells_functions_nothing(host: HostProcess) -> None:
    """The last test of this host. `lingers` would say in the log that it was cancelled."""
    assert host.post("/admin/functions/lingers", json_body={"input": ""}, key="the-master").status == 202
    host.wait_seen("lingers", 1)
    assert host.stop() < 10
    assert host.process.returncode == 0
    assert "1 invocations still ran" in host.log
    assert "cancelled" not in host.log.lower()
    assert "retry metadata only works on timers" in host.log
