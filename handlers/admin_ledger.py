"""HTTP for auditors: the ledger's days and their files, verification, and Azure's own record of our changes."""

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import azure.durable_functions as df
import azure.functions as func

from handlers.answers import Problem, answering, answering_to, ok, page_of

if TYPE_CHECKING:
    from shared.records.archive import ArchivedDay
    from shared.services import Services

blueprint = df.Blueprint()

# Around a decision: its change is sent, and Azure records it, within this time.
BEFORE, AFTER = timedelta(minutes=5), timedelta(hours=6)


@blueprint.route(route="ledger/days", methods=["GET"])
@answering_to("limit", "cursor")
async def admin_ledger_days(req: func.HttpRequest) -> func.HttpResponse:
    """Every exported day, newest first: file, entries, hash, since when it left the tables; pages: limit, cursor."""
    from shared.upkeep.ledger_archive import archive_of

    catalogue = await archive_of(_services()).catalogue()
    days, next_cursor = page_of(req, {day.isoformat(): catalogue[day] for day in catalogue}, falling=True)
    return ok({"days": [_day_view(day) for day in days], "next_cursor": next_cursor})


@blueprint.route(route="ledger/days/{day}/verify", methods=["GET"])
@answering
async def admin_ledger_verify(req: func.HttpRequest) -> func.HttpResponse:
    """Whether a UTC day's chains in the tables, and its file, are whole; every problem in a sentence."""
    from shared.upkeep.ledger_archive import archive_of

    made, day = _services(), _day(req.route_params["day"])
    heads = await made.stores.ledger.heads(day)
    chains = {key: await made.stores.ledger.verify(day, key) for key in heads}
    archive = archive_of(made)
    exported = day in await archive.catalogue()
    in_file = await archive.verify_file(day) if exported else []
    problems = [problem for found in chains.values() for problem in found] + in_file
    return ok(
        {
            "day": day.isoformat(),
            "whole": not problems,
            "chains": len(chains),
            "exported": exported,
            "problems": problems,
        }
    )


@blueprint.route(route="explain/{id}/activity", methods=["GET"])
@answering
async def admin_activity(req: func.HttpRequest) -> func.HttpResponse:
    """What Azure's Activity Log says of the change that a decision made, joined by the client request id."""
    from shared.domain import DeploymentId
    from shared.estate.activity_log import activity_of
    from shared.loops.outcomes import outcomes_of

    made, entry_id = _services(), req.route_params["id"]
    entry = await made.stores.ledger.get(entry_id)
    if entry is None or entry.kind != "decision":
        raise Problem(404, "not_found", f"The ledger has no decision {entry_id!r}; GET /api/ledger lists them.")
    outcomes = await outcomes_of(made.stores.ledger, entry, made.now())
    actions: list[Any] = [outcome.body.get("action") for outcome in outcomes]
    request_ids = sorted({str(action["request_id"]) for action in actions if action and action["sends"] > 0})
    decision: Any = entry.body["decision"]
    deployment = DeploymentId.parse(str(decision["target"]))
    until = min(entry.at + AFTER, made.now())
    events = await activity_of(made.arm, deployment, entry.at - BEFORE, until) if request_ids else []
    found = [event for event in events if event.client_request_id in request_ids]
    return ok(
        {
            "decision": entry_id,
            "client_request_ids": request_ids,
            "say": _say(request_ids, len(found)),
            "events": [
                {
                    "at": event.at.isoformat(),
                    "operation": event.operation,
                    "status": event.status,
                    "sub_status": event.sub_status,
                    "caller": event.caller,
                    "correlation_id": event.correlation_id,
                    "client_request_id": event.client_request_id,
                }
                for event in found
            ],
        }
    )


def _say(request_ids: list[str], found: int) -> str:
    if not request_ids:
        return "Nothing was sent to Azure for this decision (yet)."
    if not found:
        return (
            "Azure's Activity Log has no event with this request id. Events appear minutes after they happened and are "
            "kept for 90 days; look again, or search it by the request id."
        )
    return f"Azure recorded {found} event{'' if found == 1 else 's'} of this change."


def _day(text: str) -> date:
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 - a day, without a time
    except ValueError as error:
        raise Problem(400, "invalid_request", f"day is {text!r}; write a UTC day like 2026-01-05.") from error


def _day_view(archived: "ArchivedDay") -> dict[str, Any]:
    return {
        "day": archived.day,
        "file": archived.file,
        "entries": archived.entries,
        "sha256": archived.sha256,
        "exported_at": archived.exported_at.isoformat(),
        "removed_at": None if archived.removed_at is None else archived.removed_at.isoformat(),
    }


def _services() -> "Services":
    from shared.services import services

    return services()
