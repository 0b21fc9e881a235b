"""Start the orchestration that carries out an order: one at a time for each deployment and dimension."""

import hashlib
import logging
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING

import azure.durable_functions as df

if TYPE_CHECKING:
    from shared.domain import Order

log = logging.getLogger("watchkeeper")

_RUNNING = ("PENDING", "RUNNING", "SUSPENDED", "CONTINUED_AS_NEW")


def instance_id(order: "Order") -> str:
    """The one orchestration that may change this dimension of this target."""
    digest = hashlib.sha256(f"{order.target}|{order.dimension}".encode()).hexdigest()[:12]
    return f"{order.dimension}-{order.target.rsplit('/', 1)[-1]}-{digest}"


async def start_orders(client: df.DurableFunctionsClient, orders: Iterable["Order"]) -> None:
    """Start what does not run yet. An order that cannot be started now waits in its row for the next sweep."""
    for order in orders:
        instance = instance_id(order)
        try:
            state = await client.get_orchestration_state(instance, fetch_payloads=False)
            if state is not None and state.runtime_status.name in _RUNNING:
                continue
            await client.schedule_new_orchestration("actuate", input=asdict(order), instance_id=instance)
        except Exception:  # another process was faster, or Durable is out of reach: the next sweep looks again
            log.warning("%s could not be started; the next sweep tries again", instance, exc_info=True)
