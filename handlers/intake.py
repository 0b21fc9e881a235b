"""Events and alerts: parse, then look at once at the targets that they speak of.

A signal is a nudge to look, never a measurement, so a repeated or reordered delivery does no harm: the look finds
nothing new.
"""

import json
import logging
from typing import Any

import azure.durable_functions as df
import azure.functions as func

from handlers.answers import answering, ok
from handlers.orders import start_orders

blueprint = df.Blueprint()
log = logging.getLogger("watchkeeper")


@blueprint.service_bus_queue_trigger(
    arg_name="message", queue_name="%WATCHKEEPER_SIGNALS_QUEUE%", connection="WATCHKEEPER_SIGNALS"
)
@blueprint.durable_client_input(client_name="client")
async def intake_service_bus(message: func.ServiceBusMessage, client: df.DurableFunctionsClient) -> None:
    """Event Grid events that were delivered into our Service Bus queue (the way of production)."""
    await _take(message.get_body(), client)


@blueprint.event_grid_trigger(arg_name="event")
@blueprint.durable_client_input(client_name="client")
async def intake_event_grid(event: func.EventGridEvent, client: df.DurableFunctionsClient) -> None:
    """Event Grid events that are delivered straight to the webhook."""
    payload = {
        "id": event.id,
        "topic": event.topic,
        "subject": event.subject,
        "eventType": event.event_type,
        "eventTime": event.event_time.isoformat() if event.event_time else "",
        "data": event.get_json(),
    }
    await _take(json.dumps(payload).encode(), client)


@blueprint.route(route="alerts", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
@blueprint.durable_client_input(client_name="client")
@answering
async def intake_alert(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    """Azure Monitor alerts, as an action group's webhook sends them (common alert schema)."""
    return ok({"signals": await _take(req.get_body(), client)}, 202)


async def _take(body: bytes, client: df.DurableFunctionsClient) -> list[dict[str, Any]]:
    """Wake the loops for every signal in a payload.

    Raises:
        Malformed: the payload, or an item of it, is not what it says; its other items have been taken by then, and the
            trigger's own dead letters keep it.
    """
    from shared.services import services
    from shared.signals import Malformed, parse

    taken = []
    parsed = parse(body)
    for signal in parsed.signals:
        result = await services().engine.wake(signal)
        await start_orders(client, result.orders)
        log.info("signal %s (%s): %d targets, %d decided", signal.kind, signal.id, result.looked_at, result.decided)
        taken.append({"id": signal.id, "kind": signal.kind, "targets": result.looked_at, "decided": result.decided})
    if parsed.malformed:
        raise Malformed(f"{'; '.join(parsed.malformed)}. Taken from the same delivery: {len(taken)}")
    return taken
