"""HTTP for operators: the secrets that the app uses (never their values), and the caches, which can be dropped."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

import azure.durable_functions as df
import azure.functions as func

from handlers.answers import Problem, answering, body_of, ok
from handlers.controls import record_control

if TYPE_CHECKING:
    from shared.estate.caches import Cache
    from shared.records.generations import Generation
    from shared.services import Services

blueprint = df.Blueprint()


@blueprint.route(route="secrets", methods=["GET"])
@answering
async def admin_secrets(req: func.HttpRequest) -> func.HttpResponse:
    """Every secret that any process used lately, as this process sees it: version, age, expiry, what is wrong."""
    from shared.loops.secret_expiry import USED_WITHIN

    made = _services()
    now, secrets = made.now(), made.secrets
    uses = await secrets.uses.since(secrets.vault_name, now - USED_WITHIN)
    used_at = {use.name: use.used_at for use in uses}
    asked = {state.name: None for state in secrets.states()}  # those that never could be had are in no use yet
    views = [await _secret_view(made, name, used_at.get(name), now) for name in sorted(used_at | asked)]
    return ok({"vault": made.settings.vault_url or None, "secrets": views})


@blueprint.route(route="caches", methods=["GET"])
@answering
async def admin_caches(req: func.HttpRequest) -> func.HttpResponse:
    """Every cache: what it keeps, for how long, and when it was dropped last."""
    made = _services()
    generations = await made.watch.generations.load()
    return ok({"caches": [_cache_view(cache, generations.get(cache.generation)) for cache in made.caches]})


@blueprint.route(route="caches/drop", methods=["POST"])
@answering
async def admin_caches_drop(req: func.HttpRequest) -> func.HttpResponse:
    """Make every process read anew what it keeps: {name: a cache's | "all", reason, by}."""
    made, body = _services(), body_of(req, "name", "reason", "by")
    name = body["name"]
    chosen = [cache for cache in made.caches if name in (cache.name, "all")]
    if not chosen:
        names = ", ".join(cache.name for cache in made.caches)
        raise Problem(404, "not_found", f"No cache is named {name!r}; there are: {names}, all.")
    for cache in chosen:
        await made.watch.bump(cache.generation, body["reason"], by=body["by"])
    await record_control(made, f"dropped caches: {name}", body)
    return ok(
        {"dropped": [cache.name for cache in chosen], "everywhere_within_s": made.settings.generation_check_s}, 202
    )


def _services() -> "Services":
    from shared.services import services

    return services()


async def _secret_view(made: "Services", name: str, used_at: datetime | None, now: datetime) -> dict[str, Any]:
    """As any user of the secret would find it now: a value that is kept is not read again."""
    from shared.estate.secrets import SecretFailure

    view: dict[str, Any] = {"name": name, "used_on": None if used_at is None else used_at.date().isoformat()}
    try:
        secret = await made.secrets.peek(name)
    except SecretFailure as failure:
        return view | {"usable": False, "error": str(failure)}
    return view | {
        "usable": True,
        "version": secret.version,
        "created_on": _text(secret.created_on),
        "expires_on": _text(secret.expires_on),
        "age_s": round((now - secret.fetched_at).total_seconds(), 1),
        "error": secret.stale_because or None,
    }


def _cache_view(cache: "Cache", generation: "Generation | None") -> dict[str, Any]:
    dropped = None
    if generation is not None:
        dropped = {"at": generation.at.isoformat(), "by": generation.by, "reason": generation.why}
    return {
        "name": cache.name,
        "keeps": cache.keeps,
        "for_s": cache.for_s,
        "generation": 0 if generation is None else generation.number,
        "last_dropped": dropped,
    }


def _text(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
