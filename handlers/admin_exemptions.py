"""HTTP for operators: exemptions, what nobody changes for a while, with a reason, an owner and an end."""

import re
from typing import TYPE_CHECKING, Any

import azure.durable_functions as df
import azure.functions as func

from handlers.answers import Problem, answering, answering_to, body_of, expiry_of, ok, page_of
from handlers.controls import known_scope, note_control

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from shared.records.exemptions import ExemptActs, Exemption
    from shared.services import Services

blueprint = df.Blueprint()

ACTS = ("all", "growth", "shrink", "delete", "traffic", "jobs")


@blueprint.route(route="exemptions", methods=["GET"])
@answering_to("target", "limit", "cursor")
async def admin_exemptions(req: func.HttpRequest) -> func.HttpResponse:
    """Exemptions, the first to run out first; filter: target (those that cover it); pages: limit, cursor."""
    from shared.loops.engine import named_target

    made = _services()
    stored = (await made.stores.gates.load()).exemptions.stored
    if name := req.params.get("target"):
        scopes = named_target(await made.policies.current(), name).place("").scopes
        stored = tuple(one for one in stored if one.scope.startswith("loop:") or one.scope in scopes)
    page, next_cursor = page_of(req, {one.id: one for one in stored})
    now = made.now()
    return ok({"exemptions": [_view(one, now) for one in page], "next_cursor": next_cursor})


@blueprint.route(route="exemptions", methods=["PUT", "DELETE"])
@answering
async def admin_exempt(req: func.HttpRequest) -> func.HttpResponse:
    """PUT exempts a scope: {scope, acts, reason, owner, by, expires_at | for_s}; DELETE ends it: {scope, acts, reason,
    by}, and names what exempts the scope still. `acts` is one kind of change, or "all", which is meant without it.
    """
    made = _services()
    return await (_exempt(made, req) if req.method == "PUT" else _end(made, req))


async def _exempt(made: "Services", req: func.HttpRequest) -> func.HttpResponse:
    from shared.domain.scopes import normal_scope
    from shared.records.exemptions import Exemption

    now = made.now()
    optional, checks = ("acts", "expires_at", "for_s"), (_acts, _check_owner, lambda fields: _end_of(fields, now))
    body = body_of(req, "scope", "reason", "owner", "by", optional=optional, checks=checks)
    acts = _acts(body)
    await known_scope(made, body["scope"])
    expires_at = _end_of(body, now)
    await _check_how_long(made, body["scope"], expires_at, now)
    one = Exemption(
        scope=normal_scope(body["scope"]),
        acts=acts,
        reason=body["reason"],
        owner=body["owner"],
        by=body["by"],
        at=now,
        expires_at=expires_at,
    )
    await made.stores.gates.exemptions.put(one)
    until = f"until {expires_at:%Y-%m-%d %H:%M} UTC, for {one.owner}"
    await note_control(made, f"exempted {one.scope} from {_words(acts)} {until}", body)
    return ok({"exemption": _view(one, now)}, 201)


async def _end(made: "Services", req: func.HttpRequest) -> func.HttpResponse:
    from shared.domain.scopes import normal_scope

    body = body_of(req, "scope", "reason", "by", optional=("acts",), checks=(_acts,))
    acts, now = _acts(body), made.now()
    was = await made.stores.gates.exemptions.clear(body["scope"], acts)
    if was is None:  # what was exempt may have left the policy since; what was not is perhaps mistyped
        await known_scope(made, body["scope"])
    ended = was is not None and was.is_live(now)
    note = ", where there was none" if was is None else "" if ended else ", which had run out"
    await note_control(made, f"ended the exemption of {body['scope']} from {_words(acts)}{note}", body)
    stored = (await made.stores.gates.load()).exemptions.stored
    left = [one for one in stored if one.scope == normal_scope(body["scope"]) and one.is_live(now)]
    answer = {"scope": body["scope"], "acts": acts, "was_exempt": ended}
    return ok(answer | {"still_exempt": [_view(one, now) for one in left]})


def _acts(body: "Mapping[str, Any]") -> "ExemptActs":
    acts = body.get("acts", "all")
    if acts not in ACTS:
        raise Problem(400, "invalid_request", f"acts is {acts!r}; possible: {', '.join(ACTS)}.")
    known: ExemptActs = acts
    return known


def _check_owner(body: "Mapping[str, Any]") -> None:
    from shared.policy.parts import MAIL

    owner = body.get("owner")
    if owner is not None and not re.fullmatch(MAIL, owner):
        raise Problem(400, "invalid_request", f"owner is {owner!r}; write the e-mail address of who answers for it.")


def _end_of(body: "Mapping[str, Any]", now: "datetime") -> "datetime":
    expires_at = expiry_of(body, now)
    if expires_at is None:
        raise Problem(400, "invalid_request", "Give expires_at or for_s: an exemption ends by itself.")
    return expires_at


async def _check_how_long(made: "Services", scope: str, expires_at: "datetime", now: "datetime") -> None:
    """None lasts longer than any policy in its scope allows."""
    from shared.domain.scopes import normal_scope

    policy = await made.policies.current()
    inside = [target for target in policy.targets if normal_scope(scope) in target.place("").scopes]
    limits = [policy.limits, *(policy.limits_of(target) for target in inside)]
    most = min(one.exemption_max_days for one in limits)
    if (expires_at - now).total_seconds() > most * 86_400:
        allowed = f"the policy allows {most} days (limits.exemption_max_days)"
        raise Problem(400, "invalid_request", f"It would last until {expires_at:%Y-%m-%d}; {allowed}.")


def _words(acts: str) -> str:
    return "all changes" if acts == "all" else acts


def _view(one: "Exemption", now: "datetime") -> dict[str, Any]:
    return {
        "id": one.id,
        "scope": one.scope,
        "acts": one.acts,
        "reason": one.reason,
        "owner": one.owner,
        "by": one.by,
        "at": one.at.isoformat(),
        "expires_at": one.expires_at.isoformat(),
        "in_force": one.is_live(now),
    }


def _services() -> "Services":
    from shared.services import services

    return services()
