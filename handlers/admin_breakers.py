"""HTTP for operators: circuit breakers, what stopped changes by itself, and how to let them through again."""

from functools import partial
from typing import TYPE_CHECKING, Any

import azure.durable_functions as df
import azure.functions as func

from handlers.answers import answering, answering_to, body_of, ok, page_of
from handlers.controls import known_scope, note_control

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from shared.policy import Policy
    from shared.records.breakers import Breaker
    from shared.services import Services

blueprint = df.Blueprint()


@blueprint.route(route="breaker", methods=["GET"])
@answering_to("limit", "cursor")
async def admin_breakers(req: func.HttpRequest) -> func.HttpResponse:
    """Every breaker that has counted anything, the open ones first; pages: limit, cursor."""
    made = _services()
    policy, now = await made.policies.current(), made.now()
    known = (await made.stores.gates.load()).breakers.values()
    in_order = {f"{'open' if one.opened_at else 'shut'} {one.scope}": one for one in known}
    shown, next_cursor = page_of(req, in_order)
    return ok({"breakers": [_view(one, policy, now) for one in shown], "next_cursor": next_cursor})


@blueprint.route(route="breaker/reset", methods=["POST"])
@answering
async def admin_breaker_reset(req: func.HttpRequest) -> func.HttpResponse:
    """Close a breaker: {scope, reason, by}. A scope whose breaker is not open is no error, and recorded too."""
    from shared.domain.scopes import SCOPE_FORMS, is_scope
    from shared.records import InvalidQuestion
    from shared.safety.breaker import closed

    made, body = _services(), body_of(req, "scope", "reason", "by")
    if not is_scope(body["scope"]):
        raise InvalidQuestion(f"scope {body['scope']!r}: give {SCOPE_FORMS}")
    stored = (await made.stores.gates.load()).breakers
    scopes = _meant(body["scope"], stored)
    if not scopes:  # what once failed may have left the policy since; what never did is perhaps mistyped
        await known_scope(made, body["scope"])
    was_open = [scope for scope in scopes if stored[scope].opened_at is not None]
    for scope in scopes:
        await made.stores.gates.breakers.change(scope, partial(_reset, close=closed, now=made.now()))
    note = "" if was_open else ", which was not open"
    await note_control(made, f"reset the circuit breaker of {body['scope']}{note}", body)
    left = [one.scope for one in stored.values() if one.opened_at is not None and one.scope not in scopes]
    return ok({"scope": body["scope"], "was_open": bool(was_open), "still_open": sorted(left)})


def _reset(old: "Breaker | None", close: Any, now: "datetime") -> "Breaker | None":
    return None if old is None else close(old, now)


def _meant(scope: str, stored: "Collection[str]") -> list[str]:
    """The stored scopes that a person means: a workspace goes by its id or its name."""
    from shared.domain.scopes import normal_scope

    wanted = normal_scope(scope)
    kind, _, name = wanted.partition(":")
    return [
        one
        for one in stored
        if one == wanted or (kind == "workspace" and one.startswith("workspace:") and one.rpartition("/")[2] == name)
    ]


def _view(one: "Breaker", policy: "Policy", now: "datetime") -> dict[str, Any]:
    from shared.safety.breaker import limits_for, reversals_in, state_of

    target = policy.target(one.scope.removeprefix("target:"))
    return {
        "scope": one.scope,
        "state": state_of(one, limits_for(one.scope, policy, target), now),
        "opened_at": None if one.opened_at is None else one.opened_at.isoformat(),
        "cause": one.cause,
        "why": one.why,
        "trial": one.trial,
        "failures": len(one.failures),
        "reversals": reversals_in(one.changes),
        "reset_at": None if one.reset_at is None else one.reset_at.isoformat(),
    }


def _services() -> "Services":
    from shared.services import services

    return services()
