"""Functions of every other trigger, which write down what they were given, over which the host's rules are tested."""

import asyncio
import json
import logging
from typing import Any, List  # noqa: UP035 - the worker refuses list[...] in annotations of bindings

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
seen: list[dict[str, Any]] = []


def note(function: str, **values: Any) -> None:
    seen.append({"function": function, **values})


@app.route(route="seen", methods=["GET"])
def what_was_seen(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(json.dumps(seen, default=str), mimetype="application/json")


@app.route(route="send/{queue}", methods=["POST"])
@app.service_bus_queue_output(arg_name="bus", connection="BUS", queue_name="%BUS_QUEUE%")
@app.queue_output(arg_name="storage", connection="AzureWebJobsStorage", queue_name="items")
def send(req: func.HttpRequest, bus: func.Out[str], storage: func.Out[List[str]]) -> func.HttpResponse:  # noqa: UP006
    if req.route_params["queue"] == "bus":
        bus.set(req.get_body().decode())
    else:
        storage.set(req.get_body().decode().split(","))
    return func.HttpResponse(status_code=202)


@app.service_bus_queue_trigger(arg_name="message", connection="BUS", queue_name="%BUS_QUEUE%")
async def on_message(message: func.ServiceBusMessage) -> None:
    body = message.get_body().decode()
    note(
        "on_message",
        body=body,
        id=message.message_id,
        delivery=message.delivery_count,
        at=message.enqueued_time_utc,
        sequence=message.sequence_number,
        correlation=message.correlation_id,
        properties=message.application_properties,
        content_type=message.content_type,
        subject=message.subject,
    )
    if body == "fail":
        raise ValueError("not this one")
    if body.startswith("sleep"):
        await asyncio.sleep(float(body.split()[1]))
        note("on_message", body=body, done=True)


@app.service_bus_queue_trigger(arg_name="messages", connection="BUS", queue_name="batch", cardinality="many")
async def on_batch(messages: List[func.ServiceBusMessage]) -> None:  # noqa: UP006
    bodies = [message.get_body().decode() for message in messages]
    note("on_batch", bodies=bodies, deliveries=[message.delivery_count for message in messages])
    if "fail" in bodies and messages[0].delivery_count == 1:
        raise ValueError("not this batch")


@app.service_bus_queue_trigger(arg_name="message", connection="NOWHERE", queue_name="lost")
@app.retry(strategy="fixed_delay", max_retry_count="2", delay_interval="00:00:05")
def on_lost_message(message: func.ServiceBusMessage) -> None:
    note("on_lost_message")


@app.queue_trigger(arg_name="item", connection="AzureWebJobsStorage", queue_name="items")
def on_item(item: func.QueueMessage) -> None:
    body = item.get_body().decode()
    note("on_item", body=body, dequeued=item.dequeue_count, id=item.id)
    if body == "fail":
        raise ValueError("not this one")


@app.timer_trigger(arg_name="timer", schedule="*/2 * * * * *")
def often(timer: func.TimerRequest) -> None:
    note("often", past_due=timer.past_due, status=timer.schedule_status)


@app.timer_trigger(arg_name="timer", schedule="%HOURLY%", run_on_startup=True)
def hourly(timer: func.TimerRequest) -> None:
    logging.info("hourly")
    note("hourly", past_due=timer.past_due, status=timer.schedule_status)


@app.timer_trigger(arg_name="timer", schedule="0 30 * * * *")
def half_past(timer: func.TimerRequest) -> None:
    note("half_past", past_due=timer.past_due, status=timer.schedule_status)


@app.timer_trigger(arg_name="timer", schedule="00:10:00")
@app.retry(strategy="fixed_delay", max_retry_count="2", delay_interval="00:00:05")
def retried(timer: func.TimerRequest, context: func.Context) -> None:
    note("retried", attempt=context.retry_context.retry_count)
    raise ValueError("again")


@app.timer_trigger(arg_name="timer", schedule="0 0 6 * * *")
async def lingers(timer: func.TimerRequest) -> None:
    note("lingers")
    try:
        await asyncio.sleep(20)
    except asyncio.CancelledError:
        logging.error("lingers was cancelled")
        raise


@app.event_grid_trigger(arg_name="event")
def on_event(event: func.EventGridEvent) -> None:
    data = event.get_json()
    note("on_event", id=event.id, type=event.event_type, subject=event.subject, data=data)
    if data.get("fail"):
        raise ValueError("not this event")


@app.event_grid_trigger(arg_name="event")
def on_cloud_event(event: func.CloudEvent) -> None:
    note("on_cloud_event", id=event.id, type=event.type)


@app.event_grid_trigger(arg_name="events", cardinality="many")
def on_events(events: str) -> None:
    note("on_events", count=len(json.loads(events)))
