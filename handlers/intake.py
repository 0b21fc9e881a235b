"""Events and alerts, whichever way they come in: all go through `shared.loops.intake`, and nothing else happens here.

Neither trigger of Azure can say what is wrong with a message: it succeeds, or it raises and the message comes again.
So what is malformed is kept in the quarantine and acknowledged, and only what could not be stored or done is raised: a
queue gives it up to its dead letters in the end, Event Grid to its own.
"""

import json
from typing import TYPE_CHECKING, Any

import azure.durable_functions as df
import azure.functions as func

from handlers.answers import answering_to, ok
from handlers.orders import start_orders

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.domain import Order
    from shared.loops.intake import Item
    from shared.records.origin import Origin

blueprint = df.Blueprint()


@blueprint.service_bus_queue_trigger(
    arg_name="message", queue_name="%WATCHKEEPER_SIGNALS_QUEUE%", connection="WATCHKEEPER_SIGNALS"
)
@blueprint.durable_client_input(client_name="client")
async def intake_service_bus(message: func.ServiceBusMessage, client: df.DurableFunctionsClient) -> None:
    """Events that were delivered into our Service Bus queue (the way of production)."""
    from shared.records.origin import Origin
    from shared.services import services

    origin = Origin(
        trigger="service_bus",
        queue=services().settings.signals_queue,
        message=message.message_id or "",
        attempts=message.delivery_count or 1,
    )
    await take(message.get_body(), origin, client)


@blueprint.event_grid_trigger(arg_name="event")
@blueprint.durable_client_input(client_name="client")
async def intake_event_grid(event: func.EventGridEvent, client: df.DurableFunctionsClient) -> None:
    """Events that Event Grid delivers straight to the webhook, in its own schema or as CloudEvents 1.0."""
    from shared.records.origin import Origin

    origin = Origin(trigger="event_grid", message=event.id or "")
    await take(json.dumps(_as_sent(event)).encode(), origin, client)


@blueprint.route(route="alerts", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
@blueprint.durable_client_input(client_name="client")
@answering_to(others=True)
async def intake_alert(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    """Azure Monitor alerts, as an action group's webhook sends them: what each became.

    Always 202 for what was kept, malformed or not: an action group does not repeat what was answered with 4xx.
    """
    from shared.loops.signal_views import item_view
    from shared.records.origin import Origin

    items = await take(req.get_body(), Origin(trigger="alerts"), client)
    return ok({"items": [item_view(item) for item in items]}, 202)


async def take(body: bytes, origin: "Origin", client: df.DurableFunctionsClient) -> "tuple[Item, ...]":
    """What each item of a payload became; what the loops decided is started on the way.

    Raises:
        Exception: something could not be stored or done; the payload must be delivered again.
    """
    from shared.services import services

    async def start(orders: "Sequence[Order]") -> None:
        await start_orders(client, orders)

    return await services().intake.take(body, origin, start)


def _as_sent(event: func.EventGridEvent | func.CloudEvent) -> dict[str, Any]:
    """The event in its own schema again: the worker takes it apart, whichever of the two it is."""
    if isinstance(event, func.CloudEvent):
        payload = {
            "specversion": event.specversion,
            "id": event.id,
            "source": event.source,
            "type": event.type,
            "subject": event.subject,
            "time": event.time.isoformat() if event.time else None,
            "data": event.get_json(),
            **event.extension_attrs,
        }
    else:
        payload = {
            "id": event.id,
            "topic": event.topic,
            "subject": event.subject,
            "eventType": event.event_type,
            "eventTime": event.event_time.isoformat() if event.event_time else None,
            "data": event.get_json(),
            "dataVersion": event.data_version,
        }
    return {name: value for name, value in payload.items() if value is not None}
