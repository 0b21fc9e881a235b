"""HTTP for operators: the policy's documents, what holds for a target and which line says so, what nobody watches."""

from typing import TYPE_CHECKING, Any

import azure.durable_functions as df
import azure.functions as func

from handlers.answers import answering, answering_to, ok, page_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shared.policy.holding import DocumentState
    from shared.policy.problems import PolicyRefusal, Problem
    from shared.services import Services

blueprint = df.Blueprint()


@blueprint.route(route="policy", methods=["GET"])
@answering
async def admin_policy(req: func.HttpRequest) -> func.HttpResponse:
    """Every document: the version in force, the one that is refused with its reasons, and the warnings."""
    made = _services()
    policy = await made.policies.current()
    return ok(
        {
            "version": policy.version_hash,
            "targets": len(policy.targets),
            "documents": [_document_view(state) for state in made.policies.documents],
            "projects_not_listed": _refusal_view(made.policies.list_refused),
        }
    )


@blueprint.route(route="policy/targets/{name}", methods=["GET"])
@answering
async def admin_policy_target(req: func.HttpRequest) -> func.HttpResponse:
    """What holds for one target, field by field, with the document and the line that say so."""
    from shared.loops.engine import named_target
    from shared.policy.effective import effective, plain

    made = _services()
    policy = await made.policies.current()
    target = named_target(policy, req.route_params["name"])
    merger = made.policies.merger
    assert merger is not None  # there is a policy
    fields = effective(merger, made.policies.projects_in_force, policy, target)
    return ok(
        {
            "target": target.name,
            "project": target.project,
            "environment": target.environment,
            "mode": policy.scaling_mode(target),
            "policy": policy.version_hash,
            "fields": [plain(field) for field in fields],
        }
    )


@blueprint.route(route="policy/unwatched", methods=["GET"])
@answering_to("limit", "cursor")
async def admin_policy_unwatched(req: func.HttpRequest) -> func.HttpResponse:
    """Workspaces that rules find and nobody watches, deployments that no target names; pages: limit, cursor."""
    from shared.policy.unwatched import unwatched_of
    from shared.upkeep.unwatched import look

    found = await look(_services())
    shown, next_cursor = page_of(req, {one.workspace: one for one in found})
    return ok(
        {
            "unwatched": list(unwatched_of(found)),
            "workspaces": [
                {
                    "workspace": one.workspace,
                    "projects": list(one.projects),
                    "targets": one.targets,
                    "deployments_without_a_target": list(one.unnamed),
                }
                for one in shown
            ],
            "next_cursor": next_cursor,
        }
    )


def _document_view(state: "DocumentState") -> dict[str, Any]:
    return {
        "document": state.source,
        "project": state.project or None,
        "in_force": None
        if state.etag is None or state.since is None
        else {
            "version": state.etag,
            "since": state.since.isoformat(),
        },
        "refused": _refusal_view(state.refused),
        "held_to_what_is_allowed": _problems_view(state.held),
        "warnings": _problems_view(state.warnings),
    }


def _refusal_view(refusal: "PolicyRefusal | None") -> dict[str, Any] | None:
    if refusal is None:
        return None
    problems = _problems_view(refusal.problems)
    return {"version": refusal.etag, "since": refusal.at.isoformat(), "problems": problems}


def _problems_view(problems: "Iterable[Problem]") -> list[dict[str, Any]]:
    return [{"path": one.path, "line": one.line, "reason": one.reason, "remedy": one.remedy} for one in problems]


def _services() -> "Services":
    from shared.services import services

    return services()
