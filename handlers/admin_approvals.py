"""HTTP for those who approve: the list, answers by the API, and the links that people get.

Opening a link changes nothing, because mail scanners and chat clients open links too: it shows a page with a button.
"""

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, get_args
from urllib.parse import parse_qs

import azure.durable_functions as df
import azure.functions as func

from handlers.answers import (
    Problem,
    answering,
    answering_to,
    body_of,
    can_be_recorded,
    limit_of,
    ok,
    window_of,
    word_of,
)
from handlers.orders import start_orders

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.domain import ApprovalRequest, How, Verdict
    from shared.services import Services

blueprint = df.Blueprint()
log = logging.getLogger("watchkeeper")

# Without `since`, questions are listed for this long back.
WINDOW = timedelta(days=30)
_LONGEST_FORM = 16_384


@blueprint.route(route="approvals", methods=["GET"])
@answering_to("state", "target", "since", "until", "limit", "cursor", words=lambda: {"state": _states()})
async def admin_approvals(req: func.HttpRequest) -> func.HttpResponse:
    """Questions, newest first; filters: state, target, since, until; pages: limit, cursor."""
    from shared.safety.approvals.rules import as_of
    from shared.safety.approvals.views import request_view

    made = _services()
    since, until = window_of(req, made.now(), WINDOW)
    page = await made.stores.approvals.store.query(
        since,
        until,
        state=word_of(req, "state"),
        target=req.params.get("target"),
        limit=limit_of(req),
        cursor=req.params.get("cursor"),
    )
    shown = [request_view(as_of(request, made.now())) for request in page.requests]
    return ok({"approvals": shown, "next_cursor": page.next_cursor})


@blueprint.route(route="approvals/link", methods=["GET", "POST"], auth_level=func.AuthLevel.ANONYMOUS)
@blueprint.durable_client_input(client_name="client")
async def admin_answer_by_link(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    """What a link leads to. GET shows what is asked and a button; POST (the button) answers: its token says who."""
    from shared.estate.secret_failures import SecretFailure
    from shared.safety.approvals import pages
    from shared.safety.approvals.desk import UnknownApproval
    from shared.safety.approvals.links import KeyUnusable, LinkInvalid

    try:
        return _page(*await _follow(req, client))
    except LinkInvalid as invalid:
        return _page(
            410 if invalid.code == "link_expired" else 403, pages.said("This link cannot be used", str(invalid))
        )
    except UnknownApproval as gone:
        return _page(404, pages.said("This question is gone", str(gone)))
    except (SecretFailure, KeyUnusable):
        log.exception("a link could not be checked")
    except Exception:
        log.exception("a link could not be followed")
    words = "Watchkeeper cannot take your answer at this moment; nothing was recorded. Please try again in a minute."
    return _page(503, pages.said("Not now", words))


async def _follow(req: func.HttpRequest, client: df.DurableFunctionsClient) -> tuple[int, str]:
    """Status and page."""
    from shared.domain import Answer
    from shared.safety.approvals import pages
    from shared.safety.approvals.rules import NotCounted, standing

    made = _services()
    link, request = await made.stores.approvals.by_link(req.params.get("token", ""))
    if req.method != "POST":
        return 200, pages.question(link, request)
    why = _reason_of_form(req)
    if why is None:
        return 400, pages.said("Not recorded", f"Write a reason of at most {pages.LONGEST_REASON} characters, or none.")
    answer = Answer(who=link.recipient, verdict=link.verdict, why=why, at=made.now(), how="link", link=link.id)
    try:
        given = await made.stores.approvals.answer(link.request, answer)
    except NotCounted as not_counted:
        status = 200 if not_counted.code == "already_answered" else 409
        title = "You have answered already" if status == 200 else "Nothing was changed"
        return status, pages.said(title, str(not_counted))
    await start_orders(client, [given.order] if given.order else [])
    said = "You said yes" if link.verdict == "approve" else "You said no"
    return 200, pages.said(said, standing(given.request))


# An id has more letters than `link`, which is not taken for one; and the host tries functions by name, that one first.
@blueprint.route(route="approvals/{id:minlength(16)}", methods=["GET"])
@answering
async def admin_approval(req: func.HttpRequest) -> func.HttpResponse:
    """One question in full: plan, who was asked and told, who answered what, why, when and how, and its end."""
    from shared.safety.approvals.views import request_view

    made = _services()
    request = await _known(made, req.route_params["id"])
    return ok(request_view(request, in_full=True))


@blueprint.route(route="approvals/{id:minlength(16)}/approve", methods=["POST"])
@blueprint.durable_client_input(client_name="client")
@answering
async def admin_approve(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    """Say yes without a link: {by, reason}. `by` is one of those who were asked; signed in, it is the caller."""
    return await _answer(req, client, "approve")


@blueprint.route(route="approvals/{id:minlength(16)}/deny", methods=["POST"])
@blueprint.durable_client_input(client_name="client")
@answering
async def admin_deny(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    """Say no, also after an own yes, as long as it is not carried out: {by, reason}."""
    return await _answer(req, client, "deny")


async def _answer(req: func.HttpRequest, client: df.DurableFunctionsClient, verdict: "Verdict") -> func.HttpResponse:
    from shared.domain import Answer
    from shared.safety.approvals.rules import NotCounted
    from shared.safety.approvals.views import request_view

    made = _services()
    request = await _known(made, req.route_params["id"])
    who, how, why = _who(req, made, request.requirement.recipients)
    answer = Answer(who=who, verdict=verdict, why=why, at=made.now(), how=how)
    try:
        given = await made.stores.approvals.answer(request.id, answer)
    except NotCounted as not_counted:
        if not_counted.code == "already_answered":
            return ok({**request_view(await _known(made, request.id)), "note": str(not_counted)})
        status, code = (403, "not_allowed") if not_counted.code == "not_a_recipient" else (409, "conflict")
        raise Problem(status, code, str(not_counted)) from not_counted
    await start_orders(client, [given.order] if given.order else [])
    return ok(request_view(given.request))


def _who(req: func.HttpRequest, made: "Services", recipients: "Sequence[str]") -> "tuple[str, How, str]":
    """Who answers, how that is known, and the reason.

    Raises:
        Problem: nobody is signed in where App Service signs callers in, or one who was not asked.
    """
    from handlers.callers import signed_in

    if not made.settings.platform_auth:
        body = body_of(req, "by", "reason")
        return body["by"].strip().lower(), "stated", body["reason"]
    body = body_of(req, "reason")
    mine = [who for who in recipients if who in signed_in(req.headers)]
    if not mine:
        raise Problem(403, "not_allowed", f"Sign in as one of those who were asked: {', '.join(recipients)}.")
    by = body.get("by", mine[0])
    if not isinstance(by, str) or by.strip().lower() not in mine:
        raise Problem(403, "not_allowed", f"You are signed in as {mine[0]}; nobody can answer for another.")
    return by.strip().lower(), "sign-in", body["reason"]


async def _known(made: "Services", request_id: str) -> "ApprovalRequest":
    request = await made.stores.approvals.about(request_id)
    if request is None:
        raise Problem(404, "not_found", f"There is no approval {request_id!r}; GET /api/approvals lists them.")
    return request


def _reason_of_form(req: func.HttpRequest) -> str | None:
    """The reason that was written into the page's form, "" for none; None if it cannot be recorded."""
    from shared.safety.approvals.pages import LONGEST_REASON

    fields = parse_qs(req.get_body()[:_LONGEST_FORM].decode(errors="replace"))
    reason = fields.get("reason", [""])[0].strip()
    return reason if len(reason) <= LONGEST_REASON and can_be_recorded(reason) else None


def _page(status: int, html: str) -> func.HttpResponse:
    from shared.safety.approvals.pages import HEADERS

    return func.HttpResponse(html, status_code=status, mimetype="text/html", charset="utf-8", headers=dict(HEADERS))


def _services() -> "Services":
    from shared.services import services

    return services()


def _states() -> tuple[str, ...]:
    from shared.domain import ApprovalState

    return get_args(ApprovalState)
