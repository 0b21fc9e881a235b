"""HTTP for operators: the dead letters of the signals' queue, of targets' queues, and of what the policy names."""

from typing import TYPE_CHECKING, Any

import azure.durable_functions as df
import azure.functions as func

from handlers.answers import Problem, answering, answering_to, body_of, limit_of, ok, page_of, word_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.estate.dead_letter_failures import DeadLetterFailure
    from shared.loops.dead_letter_sources import Watched
    from shared.loops.dead_letters import How

blueprint = df.Blueprint()

# Sequence numbers have 64 bits; Python refuses to read a number of thousands of digits.
LARGEST = 2**63 - 1


@blueprint.route(route="dead-letters", methods=["GET"])
@answering_to("count", "limit", "cursor", words=lambda: {"count": ("some",)})
async def admin_dead_letters(req: func.HttpRequest) -> func.HttpResponse:
    """Every entity that is watched, by name: how many, the oldest's age, why; or why it cannot be read; filter:
    count=some, without those that are known to have none (a page may then hold fewer); pages: limit, cursor.
    """
    from shared.loops.dead_letter_sources import JUST_NOW, LATELY, count, look, may_hold_some
    from shared.loops.dead_letter_views import overview_view
    from shared.services import services

    made, ones, only_some = services(), await _watched(), word_of(req, "count") == "some"
    if only_some:
        counts = await count(made.reader.queues, ones, LATELY)
        ones = tuple(one for one in ones if may_hold_some(one, counts))
    page, next_cursor = page_of(req, {one.name: one for one in ones})
    found = await look(made.dead_letters, page, await count(made.reader.queues, page, JUST_NOW))
    views = [overview_view(looked, made.now()) for looked in found]
    shown = [view for view in views if view["count"] != 0] if only_some else views
    return ok({"entities": shown, "next_cursor": next_cursor})


@blueprint.route(route="dead-letters/{name}", methods=["GET"])
@answering_to("limit", "cursor")
async def admin_dead_letters_of(req: func.HttpRequest) -> func.HttpResponse:
    """The messages of one entity with their reasons, by sequence number; pages: limit, cursor."""
    from shared.estate.dead_letter_failures import DeadLetterFailure
    from shared.loops.dead_letter_sources import confirm
    from shared.loops.dead_letter_views import letter_view
    from shared.services import services

    one, limit = await _named(req.route_params["name"]), limit_of(req)
    cursor = req.params.get("cursor", "0")
    written_well = cursor.isascii() and cursor.isdigit() and len(cursor) <= len(str(LARGEST))
    if not written_well or int(cursor) >= LARGEST:
        raise Problem(400, "invalid_request", f"cursor is {cursor!r}; write the next_cursor of the page before.")
    try:
        await confirm(services().reader.queues, one)
        letters = await services().dead_letters.peek(one.entity, limit + 1, after=int(cursor))
    except DeadLetterFailure as failure:
        raise _problem(failure) from failure
    shown = letters[:limit]
    next_cursor = str(shown[-1].sequence_number) if len(letters) > limit else None
    return ok({"messages": [letter_view(letter) for letter in shown], "next_cursor": next_cursor})


@blueprint.route(route="dead-letters/{name}/resubmit", methods=["POST"])
@answering
async def admin_dead_letters_resubmit(req: func.HttpRequest) -> func.HttpResponse:
    """Send messages again to where they came from: {sequence_numbers: [...] or "all", by, reason}."""
    return await _deal(req, "resubmitted")


@blueprint.route(route="dead-letters/{name}/discard", methods=["POST"])
@answering
async def admin_dead_letters_discard(req: func.HttpRequest) -> func.HttpResponse:
    """Take out messages that nobody needs: {sequence_numbers: [...] or "all", by, reason}; each is kept in a blob."""
    return await _deal(req, "discarded")


async def _deal(req: func.HttpRequest, how: "How") -> func.HttpResponse:
    from shared.estate.dead_letter_failures import DeadLetterFailure
    from shared.loops.dead_letter_sources import confirm
    from shared.loops.dead_letter_views import dealt_view
    from shared.loops.dead_letters import DeadLetterDesk
    from shared.services import services

    body = body_of(req, "by", "reason", optional=("sequence_numbers",), checks=(_numbers,))
    numbers = _numbers(body)
    one, made = await _named(req.route_params["name"]), services()
    desk = DeadLetterDesk(made.dead_letters, made.blobs, made.stores.ledger, made.now)
    try:
        await confirm(made.reader.queues, one)
        dealt = await desk.deal(one.entity, how, numbers, body["by"], body["reason"])
    except DeadLetterFailure as failure:
        raise _problem(failure) from failure
    return ok(dealt_view(one, how, dealt))


def _numbers(body: "Mapping[str, Any]") -> frozenset[int] | None:
    """The sequence numbers that are asked for, None for all."""
    from shared.estate.dead_letters import MOST_AT_ONCE

    given = body.get("sequence_numbers")
    if given == "all":
        return None
    numbers = given if isinstance(given, list) else []
    if not 1 <= len(numbers) <= MOST_AT_ONCE or not all(type(item) is int and 0 < item <= LARGEST for item in numbers):
        wanted = f'write a list of 1 to {MOST_AT_ONCE} sequence numbers, or "all"'
        raise Problem(400, "invalid_request", f"sequence_numbers cannot be used; {wanted}.")
    return frozenset(numbers)


async def _watched() -> "tuple[Watched, ...]":
    """What is watched. A policy that cannot be had hides the signals' dead letters from nobody."""
    from shared.loops.dead_letter_sources import watched
    from shared.policy import PolicyUnavailable
    from shared.services import services

    made = services()
    try:
        policy = await made.policies.current()
    except PolicyUnavailable:
        return watched(None, made.settings)
    return watched(policy, made.settings)


async def _named(name: str) -> "Watched":
    for one in await _watched():
        if one.name == name:
            return one
    raise Problem(404, "not_found", f"No dead letters are watched as {name!r}; GET /api/dead-letters lists them.")


def _problem(failure: "DeadLetterFailure") -> Problem:
    from shared.estate.dead_letter_failures import EntityMissing

    if isinstance(failure, EntityMissing):
        return Problem(404, "not_found", str(failure))
    return Problem(503, "unavailable", str(failure))
