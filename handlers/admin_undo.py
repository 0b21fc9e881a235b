"""HTTP for operators: put a change back that Watchkeeper made, and take that back."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import azure.durable_functions as df
import azure.functions as func

from handlers.answers import Problem, answering, body_of, expiry_of, ok
from handlers.controls import note_control
from handlers.orders import start_orders

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from shared.changes.undoing import Change, NotUndone
    from shared.domain import Intent
    from shared.loops.engine import Evaluation
    from shared.records.state import Row
    from shared.services import Services

blueprint = df.Blueprint()

_MISSING = ("not_found", "not_in_policy")


@blueprint.route(route="undo/{id}", methods=["POST"])
@blueprint.durable_client_input(client_name="client")
@answering
async def admin_undo(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    """Put back what a decision (or its outcome) changed, for a while: {by, reason, for_s}; without `for_s` for the
    target's `respect_manual_s`. A floor and every gate still bind it. Repeated, it is one.
    """
    from shared.changes.undoing import wish

    made = _services()
    now = made.now()
    body = body_of(req, "by", "reason", optional=("for_s",), checks=(lambda fields: expiry_of(fields, now),))
    change, row = await _known(made, req.route_params["id"])
    stands = row.value if row is not None else await _put(made, change, body, now)
    same = wish(change, body["by"], body["reason"], stands.at, stands.expires_at)
    if same == stands:  # as a repetition too: what could not be recorded is recorded by it, and what was is one entry
        what = f"put back {change.action.to} -> {change.action.current}, undoing {change.id}"
        await note_control(made, what, _scoped(body, change), at=stands.at)
    result = await _look(made, client, change)
    return ok({"undo": _view(change, stands), **_counts(result)}, 201 if row is None else 200)


@blueprint.route(route="undo/{id}", methods=["DELETE"])
@blueprint.durable_client_input(client_name="client")
@answering
async def admin_undo_withdraw(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    """Want it back no more: {by, reason}; scaling decides again. One that does not stand is no error, and recorded."""
    made, body = _services(), body_of(req, "by", "reason")
    change, row = await _known(made, req.route_params["id"])
    if row is not None:
        await made.stores.state.remove_intent(change.endpoint_key, row)
    note = "" if row is not None else ", which did not stand"
    await note_control(made, f"withdrew the undo of {change.id}{note}", _scoped(body, change))
    result = await _look(made, client, change)
    return ok({"id": change.id, "was_standing": row is not None, **_counts(result)})


async def _known(made: "Services", entry_id: str) -> "tuple[Change, Row[Intent] | None]":
    """The change, and the wish by which it is being put back already.

    Raises:
        Problem: the id names no change that was made.
    """
    from shared.changes.undoing import NotUndone, change_of, standing

    try:
        change = await change_of(made.stores, entry_id, made.now())
    except NotUndone as refused:
        raise _problem(refused) from refused
    return change, await standing(made.stores, change, made.now())


async def _put(made: "Services", change: "Change", body: "Mapping[str, Any]", now: "datetime") -> "Intent":
    from shared.changes.undoing import NotUndone, check, wish

    try:
        target = await check(made.stores, made.arm, await made.policies.current(), change, now)
    except NotUndone as refused:
        raise _problem(refused) from refused
    until = expiry_of(body, now) or now + timedelta(seconds=target.scaling.respect_manual_s)
    wanted = wish(change, body["by"], body["reason"], now, until)
    if not wanted.is_live(now):
        raise Problem(400, "invalid_request", f"Give for_s: respect_manual_s of {target.name} is 0.")
    await made.stores.state.put_intent(change.endpoint_key, wanted)
    return wanted


async def _look(made: "Services", client: df.DurableFunctionsClient, change: "Change") -> "Evaluation":
    """Look closely at the target now, if the policy still has it."""
    from shared.changes.undoing import target_of
    from shared.loops.engine import Evaluation

    target = target_of(change, await made.policies.current())
    if target is None:
        return Evaluation()
    result = await made.engine.look_at(target.name, f"undo of {change.id}")
    await start_orders(client, result.orders)
    return result


def _problem(refused: "NotUndone") -> Problem:
    return Problem(404 if refused.code in _MISSING else 409, refused.code, str(refused))


def _scoped(body: "Mapping[str, Any]", change: "Change") -> dict[str, Any]:
    return {**body, "scope": f"target:{change.name}"}


def _view(change: "Change", stands: "Intent") -> dict[str, Any]:
    return {
        "id": change.id,
        "target": change.name,
        "from": change.action.to,
        "to": stands.value,
        "reason": stands.reason,
        "at": stands.at.isoformat(),
        "until": None if stands.expires_at is None else stands.expires_at.isoformat(),
    }


def _counts(result: "Evaluation") -> dict[str, Any]:
    return {"decided": result.decided, "orders": len(result.orders), "problems": result.problems}


def _services() -> "Services":
    from shared.services import services

    return services()
