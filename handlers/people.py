"""The timer that carries notices to people."""

import logging

import azure.durable_functions as df
import azure.functions as func

blueprint = df.Blueprint()
log = logging.getLogger("watchkeeper")


@blueprint.timer_trigger(
    arg_name="timer", schedule="%WATCHKEEPER_NOTICES_SCHEDULE%", run_on_startup=False, use_monitor=False
)
async def notices(timer: func.TimerRequest) -> None:
    """Send what waits. One late run stands for all that were missed."""
    from shared.services import services

    report = await services().deliverer.run()
    if report.delivered or report.accepted or report.digested or report.failed:
        log.info(
            "notices: %d delivered, %d accepted, %d digested, %d failed",
            report.delivered,
            report.accepted,
            report.digested,
            report.failed,
        )
