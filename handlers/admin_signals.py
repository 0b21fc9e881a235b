"""HTTP for operators: what came in, of which kinds, and the quarantine of what could not be read."""

import json
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any, get_args

import azure.durable_functions as df
import azure.functions as func

from handlers.answers import (
    Problem,
    answering,
    answering_to,
    body_of,
    days_of,
    limit_of,
    ok,
    page_of,
    time_of,
    window_of,
    word_of,
)
from handlers.orders import start_orders

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shared.domain import Order
    from shared.loops.corrections import Corrections
    from shared.services import Services

blueprint = df.Blueprint()

# Without `since`, signals are listed for this long back.
SIGNALS_WINDOW = timedelta(days=1)


def _words() -> dict[str, tuple[str, ...]]:
    from shared.records.origin import Trigger

    return {"state": ("open", "closed", "all"), "trigger": get_args(Trigger)}


@blueprint.route(route="signals", methods=["GET"])
@answering_to(
    "since",
    "until",
    "kind",
    "source",
    "handling",
    "target",
    "limit",
    "cursor",
    words=lambda: {"handling": _handlings()},
)
async def admin_signals(req: func.HttpRequest) -> func.HttpResponse:
    """Signals, newest first; filters: since, until, kind, source, handling, target; pages: limit, cursor."""
    from shared.loops.signal_views import signal_view

    made = _services()
    since, until = window_of(req, made.now(), SIGNALS_WINDOW)
    asked = {"signal": req.params.get("kind"), "source": req.params.get("source")}
    asked["handling"] = word_of(req, "handling")
    page = await made.stores.ledger.query(
        since,
        until,
        kind="signal",
        target=req.params.get("target"),
        found_by={name: word for name, word in asked.items() if word is not None},
        limit=limit_of(req),
        cursor=req.params.get("cursor"),
    )
    return ok({"signals": [signal_view(entry) for entry in page.entries], "next_cursor": page.next_cursor})


@blueprint.route(route="signals/kinds", methods=["GET"])
@answering_to("days", "handling", "limit", "cursor", words=lambda: {"handling": _handlings()})
async def admin_signal_kinds(req: func.HttpRequest) -> func.HttpResponse:
    """How many distinct signals of each kind came in from each source, the last seen first; filters: days (1 to
    31, back), handling; pages: limit, cursor.
    """
    from shared.loops.signal_views import kinds_view

    made, handling = _services(), word_of(req, "handling")
    today = made.now().astimezone(UTC).date()
    kinds = kinds_view(await made.intake.kinds.days(today - timedelta(days=days_of(req) - 1), today))
    wanted = {f"{kind['last_seen']} {kind['kind']} {kind['source']}": kind for kind in kinds}
    wanted = {key: kind for key, kind in wanted.items() if handling in (None, kind["handling"])}
    shown, next_cursor = page_of(req, wanted, falling=True)
    return ok({"kinds": shown, "next_cursor": next_cursor})


@blueprint.route(route="quarantine", methods=["GET"])
@answering_to("state", "trigger", "since", "until", "limit", "cursor", words=_words)
async def admin_quarantine(req: func.HttpRequest) -> func.HttpResponse:
    """Entries, newest first, the open ones unless `state` says closed or all; filters: trigger, since, until; pages:
    limit, cursor.
    """
    from shared.loops.signal_views import quarantined_view

    state = word_of(req, "state")
    page = await _services().intake.quarantine.query(
        state=None if state == "all" else state or "open",
        trigger=word_of(req, "trigger"),
        since=time_of(req, "since"),
        until=time_of(req, "until"),
        limit=limit_of(req),
        cursor=req.params.get("cursor"),
    )
    return ok({"entries": [quarantined_view(entry) for entry in page.entries], "next_cursor": page.next_cursor})


@blueprint.route(route="quarantine/{id}", methods=["GET"])
@answering
async def admin_quarantine_entry(req: func.HttpRequest) -> func.HttpResponse:
    """One entry with its body."""
    from shared.loops.signal_views import body_view, quarantined_view

    quarantine, entry_id = _services().intake.quarantine, req.route_params["id"]
    row = await quarantine.get(entry_id)
    if row is None:
        raise Problem(404, "not_found", f"The quarantine has no entry {entry_id!r}; GET /api/quarantine lists them.")
    return ok({**quarantined_view(row.value), **body_view(await quarantine.body(entry_id))})


@blueprint.route(route="quarantine/{id}/resubmit", methods=["POST"])
@blueprint.durable_client_input(client_name="client")
@answering
async def admin_quarantine_resubmit(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    """Take an entry as a delivery and close it: {by, reason, body: JSON or text in its place, if it is corrected}."""
    from shared.loops.corrections import AlreadyClosed, NoSuchEntry
    from shared.loops.signal_views import item_view, quarantined_view
    from shared.signals import Malformed

    body = body_of(req, "by", "reason", optional=("body",))

    async def start(orders: "Sequence[Order]") -> None:
        await start_orders(client, orders)

    try:
        done = await _corrections().resubmit(
            req.route_params["id"], body["by"], body["reason"], _corrected(body), start
        )
    except NoSuchEntry as error:
        raise Problem(404, "not_found", str(error)) from error
    except AlreadyClosed as error:
        raise Problem(409, "already_closed", str(error)) from error
    except Malformed as error:
        detail = f"Nothing of it was taken, and the entry stays: {error}. Send what is right as `body`."
        raise Problem(422, "still_malformed", detail) from error
    return ok({"entry": quarantined_view(done.entry), "items": [item_view(item) for item in done.items]})


@blueprint.route(route="quarantine/{id}/discard", methods=["POST"])
@answering
async def admin_quarantine_discard(req: func.HttpRequest) -> func.HttpResponse:
    """Close an entry that nobody needs: {by, reason}."""
    from shared.loops.corrections import AlreadyClosed, NoSuchEntry
    from shared.loops.signal_views import quarantined_view

    body = body_of(req, "by", "reason")
    try:
        entry = await _corrections().discard(req.route_params["id"], body["by"], body["reason"])
    except NoSuchEntry as error:
        raise Problem(404, "not_found", str(error)) from error
    except AlreadyClosed as error:
        raise Problem(409, "already_closed", str(error)) from error
    return ok({"entry": quarantined_view(entry)})


def _services() -> "Services":
    from shared.services import services

    return services()


def _corrections() -> "Corrections":
    from shared.loops.corrections import Corrections

    made = _services()
    return Corrections(made.intake, made.stores.ledger, made.now)


def _handlings() -> tuple[str, ...]:
    from shared.records.signals import HANDLINGS

    return HANDLINGS


def _corrected(body: "Mapping[str, Any]") -> bytes | None:
    """The body that stands in the place of the entry's: JSON, or a text that is taken as it is; None without one."""
    if (corrected := body.get("body")) is None:
        return None
    return corrected.encode(errors="surrogatepass") if isinstance(corrected, str) else json.dumps(corrected).encode()
