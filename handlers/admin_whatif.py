"""HTTP for operators: what another policy would have made of a load, before anyone turns it on."""

import asyncio
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import azure.durable_functions as df
import azure.functions as func

from handlers.answers import Problem, all_of, answering, body_of, ok

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from shared.policy import Scaling, Target
    from shared.services import Services
    from shared.simulation.traces import Trace
    from shared.simulation.whatif import Setting

blueprint = df.Blueprint()

# A month of minutes as text has two megabytes; a trace of single requests more.
MOST_BYTES = 32_000_000
_FIELDS = ("target", "scaling", "trace", "recorded", "variants", "column", "service", "series")
_busy = asyncio.Lock()


@blueprint.route(route="whatif", methods=["POST"])
@answering
async def admin_whatif(req: func.HttpRequest) -> func.HttpResponse:
    """Replay the policy of a target, and up to 5 changes of it, over a load of up to 31 days, and compare late share,
    delay, instances and cost: {target: NAME | scaling: {a policy's fields}, trace: CSV text or rows | recorded:
    {days: N}, variants: [{drain_within_s: 600, max: 20}, ...], column, service, series}. Changes nothing.
    """
    from shared.simulation.traces import TraceInvalid
    from shared.simulation.variants import VariantInvalid, variants_of
    from shared.simulation.whatif import TooLarge, compare

    if len(req.get_body()) > MOST_BYTES:
        raise Problem(413, "too_large", f"The body has more than {MOST_BYTES} bytes; send a shorter trace.")
    made, body = _services(), body_of(req, optional=_FIELDS, checks=(_check_kinds, _check_load))
    changes = _objects(body.get("variants", []), "variants")
    if _busy.locked():
        raise Problem(409, "conflict", "Another what-if is being replayed here; repeat this in a minute.")
    async with _busy:
        try:
            target, scaling = await _policy(made, body)
            variants = variants_of(scaling, changes)
            setting, where = await _setting(made, target, scaling)
            trace = await _trace(made, body, target, where)
            found = await asyncio.to_thread(compare, trace, variants, setting)
        except TooLarge as error:
            raise Problem(413, "too_large", f"{str(error)[:1].upper()}{str(error)[1:]}") from error
        except (TraceInvalid, VariantInvalid, ValueError) as error:
            raise Problem(400, "invalid_request", str(error)) from error
    return ok({"target": None if target is None else target.name, **found.plain()})


def _check_load(body: "Mapping[str, Any]") -> None:
    if ("trace" in body) == ("recorded" in body):
        raise Problem(400, "invalid_request", "Give the load as trace (CSV text or rows) or as recorded ({days: N}).")
    if "recorded" in body and "scaling" in body:
        raise Problem(400, "invalid_request", "What Azure recorded is a target's: give target, or a trace.")
    if ("target" in body) == ("scaling" in body):
        raise Problem(400, "invalid_request", "Give the policy as target (a name) or as scaling (an object).")


def _check_kinds(body: "Mapping[str, Any]") -> None:
    """Each field that is there, by itself; all that is wrong is named."""

    def text(name: str) -> None:
        if not isinstance(body[name], str):
            raise Problem(400, "invalid_request", f"{name} is no text.")

    checks: list[Callable[[], object]] = [
        partial(text, name) for name in ("target", "column", "series") if name in body
    ]
    if "variants" in body:
        checks.append(partial(_objects, body["variants"], "variants"))
    if "scaling" in body:
        checks.append(partial(_objects, [body["scaling"]], "scaling"))
    if "recorded" in body:
        checks.append(partial(_days, body["recorded"]))
    all_of(checks)


async def _policy(made: "Services", body: "Mapping[str, Any]") -> "tuple[Target | None, Scaling]":
    from shared.loops.engine import named_target
    from shared.policy import Scaling
    from shared.simulation.variants import variant_of

    if "target" in body:
        target = named_target(await made.policies.current(), body["target"])
        return target, target.scaling
    (fragment,) = _objects([body["scaling"]], "scaling")
    return None, variant_of(Scaling(), fragment, "scaling").policy


async def _setting(made: "Services", target: "Target | None", scaling: "Scaling") -> "tuple[Setting, str]":
    """What is known of the target, and the region of its deployment ("" where nobody knows)."""
    from shared.decisions.scaling.instances import cold_start_s
    from shared.domain import Fresh
    from shared.loops.reckoning import price_source
    from shared.simulation.whatif import Setting

    own = scaling.price_usd_per_hour
    if target is None:
        return Setting(price_usd_per_hour=own, price_source="policy" if own is not None else ""), ""
    look = (await made.engine.preview(target)).look
    capacity, price = look.snapshot.capacity, look.snapshot.price_usd_per_hour
    memory = look.before.scaling
    setting = Setting(
        at_start=int(capacity.value) if isinstance(capacity, Fresh) else None,
        service_rate_per_s=memory.service_rate_per_s,
        cold_start_s=None if memory.cold_start_s is None else cold_start_s(memory, scaling),
        price_usd_per_hour=price,
        price_source=price_source(scaling, price) or "",
    )
    view = made.reader.last_view(target.deployment_id)
    return setting, "" if view is None else view.region


async def _trace(made: "Services", body: "Mapping[str, Any]", target: "Target | None", region: str) -> "Trace":
    from shared.simulation.whatif import csv_of, trace_of

    if "recorded" in body and target is not None:  # what is recorded is a target's (`_check_load`)
        return await _recorded(made, target, _days(body["recorded"]), region)
    given, service = body["trace"], body.get("service")
    raw = given.encode(errors="surrogatepass") if isinstance(given, str) else csv_of(_objects(given, "trace"))
    service = None if service is None else str(service)
    return await asyncio.to_thread(
        trace_of, raw, "trace", column=body.get("column"), service=service, series=body.get("series")
    )


async def _recorded(made: "Services", target: "Target", days: float, region: str) -> "Trace":
    from shared.simulation.recorded import trace_of_points

    until, queue = made.now(), target.queue_id
    if queue is None:
        raise Problem(400, "invalid_request", f"{target.name} has no queue whose arrivals are recorded; give a trace.")
    points = await made.reader.arrivals(queue, region, until - timedelta(days=days), until)
    if isinstance(points, str):
        raise Problem(503, "unavailable", f"What arrived at {queue.queue} could not be read: {points}.")
    return trace_of_points(points, queue.queue)


def _days(recorded: Any) -> float:
    from shared.simulation.whatif import MOST_DAYS

    days = recorded.get("days") if isinstance(recorded, dict) else None
    if isinstance(days, bool) or not isinstance(days, int | float) or days <= 0:
        raise Problem(400, "invalid_request", f"recorded is {recorded!r}; write {{days: N}} with N up to {MOST_DAYS}.")
    if days > MOST_DAYS:
        raise Problem(413, "too_large", f"{days:g} days are asked for; replay at most {MOST_DAYS} at a time.")
    return days


def _objects(given: Any, name: str) -> "Sequence[Mapping[str, Any]]":
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        raise Problem(400, "invalid_request", f"{name} is no list of objects.")
    return given


def _services() -> "Services":
    from shared.services import services

    return services()
