"""The timer that does the chores: archiving, purging, looking after what waits, and watching the other timer."""

import logging
from typing import TYPE_CHECKING, Any

import azure.durable_functions as df
import azure.functions as func

from handlers.answers import Problem, answering, body_of, ok

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.records.progress import Progress
    from shared.upkeep.runner import Report

blueprint = df.Blueprint()
log = logging.getLogger("watchkeeper")


@blueprint.timer_trigger(
    arg_name="timer", schedule="%WATCHKEEPER_UPKEEP_SCHEDULE%", run_on_startup=False, use_monitor=False
)
@blueprint.durable_client_input(client_name="client")
async def upkeep(timer: func.TimerRequest, client: df.DurableFunctionsClient) -> None:
    """Run the chores that are due. One late run stands for all that were missed."""
    from shared.services import services
    from shared.upkeep.runner import run_due

    _tell(await run_due(services(), client))


@blueprint.route(route="upkeep", methods=["GET"])
@answering
async def admin_upkeep(req: func.HttpRequest) -> func.HttpResponse:
    """Every chore: when it last ran, what it said, how often in a row it failed; and the sweep's last sign of life."""
    from shared.services import services
    from shared.upkeep.runner import discover_chores

    known = await services().stores.progress.all()
    every = {chore.name: chore.every.total_seconds() for chore in discover_chores()}
    shown = [_view(name, every.get(name), known.get(name)) for name in sorted(every.keys() | known.keys())]
    return ok({"chores": shown})


@blueprint.route(route="upkeep/run", methods=["POST"])
@blueprint.durable_client_input(client_name="client")
@answering
async def admin_upkeep_run(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    """Run chores now, due or not: {chore: NAME | "all"}."""
    from shared.services import services
    from shared.upkeep.runner import discover_chores, run_due

    name = body_of(req, "chore")["chore"]
    names = [chore.name for chore in discover_chores()]
    if name not in (*names, "all"):
        raise Problem(404, "not_found", f"No chore is named {name!r}; there are: {', '.join(names)}.")
    reports = await run_due(services(), client, forced=names if name == "all" else [name])
    _tell(reports)
    return ok({"ran": [{"chore": r.name, "said": r.said, "failed": r.failed} for r in reports]}, 202)


def _tell(reports: "Sequence[Report]") -> None:
    if told := [f"{report.name}: {report.said}" for report in reports if report.said]:
        log.info("upkeep: %s", "; ".join(told))


def _view(name: str, every_s: float | None, progress: "Progress | None") -> dict[str, Any]:
    if progress is None:
        return {"name": name, "every_s": every_s, "began_at": None}
    return {
        "name": name,
        "every_s": every_s,
        "began_at": progress.began_at.isoformat(),
        "ended_at": None if progress.ended_at is None else progress.ended_at.isoformat(),
        "said": progress.said,
        "failures_in_a_row": progress.failures,
        "marks": dict(progress.marks),
    }
