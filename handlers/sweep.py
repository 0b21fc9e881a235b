"""The timer that runs the loops over everything, and starts what they decided."""

import logging

import azure.durable_functions as df
import azure.functions as func

from handlers.orders import start_orders

blueprint = df.Blueprint()
log = logging.getLogger("watchkeeper")


@blueprint.timer_trigger(
    arg_name="timer", schedule="%WATCHKEEPER_SWEEP_SCHEDULE%", run_on_startup=False, use_monitor=False
)
@blueprint.durable_client_input(client_name="client")
async def sweep(timer: func.TimerRequest, client: df.DurableFunctionsClient) -> None:
    """Look at every target in bulk. One late run stands for all that were missed."""
    from shared.services import services

    result = await services().engine.sweep()
    await start_orders(client, result.orders)
    if result.decided or result.problems or timer.past_due:
        log.info(
            "sweep: %d targets, %d decided, %d orders, problems: %s",
            result.looked_at,
            result.decided,
            len(result.orders),
            "; ".join(result.problems) or "none",
        )
