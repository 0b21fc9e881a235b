"""HTTP for operators, with function keys: targets, ledger, explain, pause and resume, kill switch, evaluate, health."""

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import azure.durable_functions as df
import azure.functions as func

from handlers.answers import Problem, answering, body_of, expiry_of, moment_of, ok
from handlers.orders import start_orders

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.policy import Policy, Target
    from shared.records.chain import StoredEntry
    from shared.services import Services

blueprint = df.Blueprint()
log = logging.getLogger("watchkeeper")

# Without `since`, the ledger is listed for this long back.
LEDGER_WINDOW = timedelta(days=1)
OUTCOME_WINDOW = timedelta(days=7)
LEDGER_KINDS = ("decision", "outcome", "notice", "control")


@blueprint.route(route="targets", methods=["GET"])
@answering
async def admin_targets(req: func.HttpRequest) -> func.HttpResponse:
    """Every target of the policy with what is stored of it."""
    made = _services()
    policy = await made.policies.current()
    return ok({"targets": await _targets(made, policy, policy.targets), "policy": _policy_view(made)})


@blueprint.route(route="targets/{name}", methods=["GET"])
@answering
async def admin_target(req: func.HttpRequest) -> func.HttpResponse:
    """One target, and what would be decided on it now, with the numbers; changes nothing."""
    from shared.loops.engine import named_target
    from shared.loops.views import preview_view

    made = _services()
    policy = await made.policies.current()
    target = named_target(policy, req.route_params["name"])
    look, decision = await made.engine.preview(target)
    (shown,) = await _targets(made, policy, [target])
    return ok({**shown, "now": preview_view(look, decision)})


@blueprint.route(route="ledger", methods=["GET"])
@answering
async def admin_ledger(req: func.HttpRequest) -> func.HttpResponse:
    """Entries, newest first; filters: since, until, target, loop, kind; pages: limit, cursor."""
    from shared.loops.views import entry_view

    made = _services()
    until = moment_of(req.params["until"], "until") if "until" in req.params else made.now() + timedelta(seconds=1)
    since = moment_of(req.params["since"], "since") if "since" in req.params else until - LEDGER_WINDOW
    kind = req.params.get("kind")
    if kind is not None and kind not in LEDGER_KINDS:
        raise Problem(400, "invalid_request", f"kind is {kind!r}; possible: {', '.join(LEDGER_KINDS)}.")
    page = await made.stores.ledger.query(
        since,
        until,
        target=req.params.get("target"),
        loop=req.params.get("loop"),
        kind=kind,
        limit=_limit(req),
        cursor=req.params.get("cursor"),
    )
    return ok({"entries": [entry_view(entry) for entry in page.entries], "next_cursor": page.next_cursor})


@blueprint.route(route="explain/{id}", methods=["GET"])
@answering
async def admin_explain(req: func.HttpRequest) -> func.HttpResponse:
    """One ledger entry in full, with a sentence for the person on call and the outcomes of a decision."""
    from shared.loops.views import explanation

    made = _services()
    entry_id = req.route_params["id"]
    entry = await made.stores.ledger.get(entry_id)
    if entry is None:
        raise Problem(404, "not_found", f"The ledger has no entry {entry_id!r}; GET /api/ledger lists them.")
    return ok(explanation(entry, await _outcomes(made, entry) if entry.kind == "decision" else ()))


@blueprint.route(route="pause", methods=["POST"])
@answering
async def admin_pause(req: func.HttpRequest) -> func.HttpResponse:
    """Hold what is there: {scope: all | loop:NAME | target:NAME, reason, by, expires_at | for_s}."""
    from shared.loops.views import pause_view
    from shared.records.controls import Pause

    made, body = _services(), body_of(req, "scope", "reason", "by")
    await _known_scope(made, body["scope"])
    now = made.now()
    pause = Pause(scope=body["scope"], reason=body["reason"], by=body["by"], at=now, expires_at=expiry_of(body, now))
    await made.stores.controls.put_pause(pause)
    await _note_control(made, f"paused {pause.scope}", body)
    return ok({"pause": pause_view(pause)}, 201)


@blueprint.route(route="resume", methods=["POST"])
@answering
async def admin_resume(req: func.HttpRequest) -> func.HttpResponse:
    """End a pause: {scope, reason, by}. A scope that is not paused is no error, and recorded too."""
    made, body = _services(), body_of(req, "scope", "reason", "by")
    was = await made.stores.controls.clear_pause(body["scope"])
    note = "" if was is not None else ", which was not paused"
    await _note_control(made, f"resumed {body['scope']}{note}", body)
    return ok({"scope": body["scope"], "was_paused": was is not None})


@blueprint.route(route="kill-switch", methods=["PUT", "DELETE"])
@answering
async def admin_kill_switch(req: func.HttpRequest) -> func.HttpResponse:
    """PUT stops every act of a scope at once, DELETE allows it again: {scope, reason, by}. Decisions go on.

    A scope that is not switched off is no error for DELETE, and recorded too.
    """
    from shared.records.controls import KillSwitch

    made, body = _services(), body_of(req, "scope", "reason", "by")
    if req.method == "PUT":
        await _known_scope(made, body["scope"])
        switch = KillSwitch(scope=body["scope"], reason=body["reason"], by=body["by"], at=made.now())
        await made.stores.controls.put_kill(switch)
        await _note_control(made, f"kill switch on for {body['scope']}", body)
        return ok({"scope": body["scope"], "kill_switch": "on"})
    was = await made.stores.controls.clear_kill(body["scope"])
    note = "" if was is not None else ", where it was not on"
    await _note_control(made, f"kill switch off for {body['scope']}{note}", body)
    return ok({"scope": body["scope"], "kill_switch": "off", "was_on": was is not None})


@blueprint.route(route="evaluate", methods=["POST"])
@blueprint.durable_client_input(client_name="client")
@answering
async def admin_evaluate(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    """Look now, without waiting for the sweep: {target: NAME} or {target: "all"}."""
    made, body = _services(), body_of(req, "target")
    name = body["target"]
    result = await (made.engine.sweep() if name == "all" else made.engine.look_at(name, "operator"))
    await start_orders(client, result.orders)
    return ok(
        {
            "looked_at": result.looked_at,
            "decided": result.decided,
            "orders": len(result.orders),
            "problems": result.problems,
        },
        202,
    )


@blueprint.route(route="health", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
async def health(req: func.HttpRequest) -> func.HttpResponse:
    """The process answers; says nothing about what it needs (`ready` does)."""
    return ok({"status": "alive"})


@blueprint.route(route="ready", methods=["GET"])
@answering
async def ready(req: func.HttpRequest) -> func.HttpResponse:
    """Whether settings, policy, tables and Azure can be used: 200 or 503, each with a word."""
    from shared.services import readiness

    checks = await readiness(_services())
    body = {"ready": all(check == "ok" for check in checks.values()), "checks": checks}
    return ok(body, 200 if body["ready"] else 503)


def _services() -> "Services":
    from shared.services import services

    return services()


async def _targets(made: "Services", policy: "Policy", targets: "Sequence[Target]") -> list[dict[str, Any]]:
    """Views of the targets; one whose state cannot be read says so, and hides no other."""
    from shared.loops.views import target_view, unread_target_view

    now = made.now()
    controls = await made.stores.controls.load(now)
    loaded = await made.stores.state.load_many([target.deployment_id.endpoint_key for target in targets], now)
    views = []
    for target in targets:
        key, mode = target.deployment_id.endpoint_key, policy.scaling_mode(target)
        if key in loaded.failures:
            log.error("the state of %s could not be read", key, exc_info=loaded.failures[key])
            views.append(unread_target_view(target, mode, controls, loaded.failures[key]))
        else:
            views.append(target_view(policy, target, mode, controls, loaded.states[key]))
    return views


async def _outcomes(made: "Services", decision: "StoredEntry") -> "Sequence[StoredEntry]":
    """What came of a decision: looked for from its own time on, a week at a time, because most end within the hour."""
    since, end = decision.at, made.now() + timedelta(seconds=1)
    while since < end:
        until = min(since + OUTCOME_WINDOW, end)
        page = await made.stores.ledger.query(
            since, until, endpoint_key=decision.endpoint_key, kind="outcome", limit=500
        )
        if found := [outcome for outcome in page.entries if outcome.id.endswith(f"-of-{decision.id}")]:
            return found
        since = until
    return ()


def _policy_view(made: "Services") -> dict[str, Any]:
    refused = made.policies.refused
    return {"refused": None if refused is None else str(refused)}


async def _known_scope(made: "Services", scope: str) -> None:
    """A scope must name a target of the policy or a loop: a typing error would otherwise stop nothing, silently."""
    from shared.loops.engine import named_target

    kind, _, name = scope.partition(":")
    if kind == "target":
        named_target(await made.policies.current(), name)
    if kind == "loop" and name not in made.engine.loop_names:
        raise Problem(404, "not_found", f"No loop is named {name!r}; there are: {', '.join(made.engine.loop_names)}.")


async def _note_control(made: "Services", what: str, body: Any) -> None:
    from shared.loops.evidence import control_entry

    try:
        await made.stores.ledger.append(control_entry(what, body["by"], body["reason"], made.now()))
    except Exception as error:  # a switch comes first and its record after: nothing may keep a person from stopping
        log.exception("%s %s, but the ledger could not be written", body["by"], what)
        detail = f"In effect, but not recorded ({what}: {error}). Repeat the request: that records it."
        raise Problem(503, "unavailable", detail) from error


def _limit(req: func.HttpRequest) -> int:
    text = req.params.get("limit", "50")
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= 500:
        raise Problem(400, "invalid_request", f"limit is {text!r}; write a number from 1 to 500.")
    return int(text)
