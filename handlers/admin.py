"""HTTP for operators, with function keys: targets, ledger, explain, pause and resume, kill switch, evaluate, health."""

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any, get_args

import azure.durable_functions as df
import azure.functions as func

from handlers.answers import (
    Problem,
    answering,
    answering_to,
    body_of,
    expiry_of,
    limit_of,
    ok,
    page_of,
    window_of,
    word_of,
)
from handlers.controls import known_scope, note_control
from handlers.orders import start_orders

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.policy import Policy, Target
    from shared.services import Services

blueprint = df.Blueprint()
log = logging.getLogger("watchkeeper")

# Without `since`, the ledger is listed for this long back.
LEDGER_WINDOW = timedelta(days=1)


@blueprint.route(route="targets", methods=["GET"])
@answering_to("project", "mode", "limit", "cursor", words=lambda: {"mode": _modes()})
async def admin_targets(req: func.HttpRequest) -> func.HttpResponse:
    """Targets of the policy by name, with what is stored of each; filters: project, mode; pages: limit, cursor."""
    made = _services()
    policy = await made.policies.current()
    project, mode = req.params.get("project"), word_of(req, "mode")
    wanted = {
        target.name: target
        for target in policy.targets
        if project in (None, target.project) and mode in (None, policy.scaling_mode(target))
    }
    page, next_cursor = page_of(req, wanted)
    shown = await _targets(made, policy, page)
    return ok({"targets": shown, "next_cursor": next_cursor, "policy": _policy_view(made)})


@blueprint.route(route="targets/{name}", methods=["GET"])
@answering
async def admin_target(req: func.HttpRequest) -> func.HttpResponse:
    """One target, what would be decided on it now, with the numbers, and how each gate stands; changes nothing."""
    from shared.loops.engine import named_target
    from shared.loops.views import gates_view, preview_view

    made = _services()
    policy = await made.policies.current()
    target = named_target(policy, req.route_params["name"])
    preview = await made.engine.preview(target)
    (shown,) = await _targets(made, policy, [target])
    now = preview_view(preview.look, preview.decision)
    return ok({**shown, "now": now, "gates": gates_view(preview.gates)})


@blueprint.route(route="targets/{name}/readiness", methods=["GET"])
@answering
async def admin_readiness(req: func.HttpRequest) -> func.HttpResponse:
    """Whether one target is ready for `enforce`, with the confidence, the reasons and what to do, from what its
    decisions of the last 15 days would have come to; changes nothing.
    """
    from shared.loops.engine import named_target
    from shared.loops.readiness import readiness_of

    made = _services()
    policy = await made.policies.current()
    target = named_target(policy, req.route_params["name"])
    preview = await made.engine.preview(target)
    return ok(await readiness_of(made.stores, target, policy, preview, made.now()))


@blueprint.route(route="ledger", methods=["GET"])
@answering_to("since", "until", "target", "loop", "kind", "limit", "cursor", words=lambda: {"kind": _entry_kinds()})
async def admin_ledger(req: func.HttpRequest) -> func.HttpResponse:
    """Entries, newest first; filters: since, until, target, loop, kind; pages: limit, cursor."""
    from shared.loops.views import entry_view

    made = _services()
    since, until = window_of(req, made.now(), LEDGER_WINDOW)
    page = await made.stores.ledger.query(
        since,
        until,
        target=req.params.get("target"),
        loop=req.params.get("loop"),
        kind=word_of(req, "kind"),
        limit=limit_of(req),
        cursor=req.params.get("cursor"),
    )
    return ok({"entries": [entry_view(entry) for entry in page.entries], "next_cursor": page.next_cursor})


@blueprint.route(route="explain/{id}", methods=["GET"])
@answering
async def admin_explain(req: func.HttpRequest) -> func.HttpResponse:
    """One ledger entry of any kind in full: a sentence for the person on call, and all entries that belong to it."""
    from shared.loops.explaining import belongings
    from shared.loops.explanations import explanation

    made = _services()
    entry_id = req.route_params["id"]
    entry = await made.stores.ledger.get(entry_id)
    if entry is None:
        raise Problem(404, "not_found", f"The ledger has no entry {entry_id!r}; GET /api/ledger lists them.")
    return ok(explanation(entry, await belongings(made.stores, entry, made.now())))


@blueprint.route(route="pause", methods=["POST"])
@answering
async def admin_pause(req: func.HttpRequest) -> func.HttpResponse:
    """Hold what is there: {scope: all | loop: project: workspace: target:NAME, reason, by, expires_at | for_s}."""
    from shared.loops.views import pause_view
    from shared.records.controls import Pause

    made = _services()
    now = made.now()
    checks = (lambda fields: expiry_of(fields, now),)
    body = body_of(req, "scope", "reason", "by", optional=("expires_at", "for_s"), checks=checks)
    await known_scope(made, body["scope"])
    pause = Pause(scope=body["scope"], reason=body["reason"], by=body["by"], at=now, expires_at=expiry_of(body, now))
    await made.stores.controls.put_pause(pause)
    await note_control(made, f"paused {pause.scope}", body)
    return ok({"pause": pause_view(pause)}, 201)


@blueprint.route(route="resume", methods=["POST"])
@answering
async def admin_resume(req: func.HttpRequest) -> func.HttpResponse:
    """End a pause: {scope, reason, by}. A scope that is not paused is no error, and recorded too."""
    made, body = _services(), body_of(req, "scope", "reason", "by")
    was = await made.stores.controls.clear_pause(body["scope"])
    if was is None:  # what was paused may have left the policy since; what was not is perhaps mistyped
        await known_scope(made, body["scope"])
    note = "" if was is not None else ", which was not paused"
    await note_control(made, f"resumed {body['scope']}{note}", body)
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
        await known_scope(made, body["scope"])
        switch = KillSwitch(scope=body["scope"], reason=body["reason"], by=body["by"], at=made.now())
        await made.stores.controls.put_kill(switch)
        await note_control(made, f"kill switch on for {body['scope']}", body, "warning")
        return ok({"scope": body["scope"], "kill_switch": "on"})
    was = await made.stores.controls.clear_kill(body["scope"])
    if was is None:
        await known_scope(made, body["scope"])
    note = "" if was is not None else ", where it was not on"
    await note_control(made, f"kill switch off for {body['scope']}{note}", body)
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


def _policy_view(made: "Services") -> dict[str, Any]:
    refused = made.policies.refused
    return {"refused": None if refused is None else str(refused)}


def _modes() -> tuple[str, ...]:
    from shared.domain import Mode

    return get_args(Mode)


def _entry_kinds() -> tuple[str, ...]:
    from shared.records.chain import EntryKind

    return get_args(EntryKind)
