"""HTTP for operators: what was to be told to people, how that went, telling it again, and trying a channel."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast, get_args

import azure.durable_functions as df
import azure.functions as func

from handlers.answers import Problem, answering, answering_to, body_of, limit_of, ok, window_of, word_of
from handlers.controls import record_control

if TYPE_CHECKING:
    from shared.domain import Delivery, Notice
    from shared.policy.notices import Channel
    from shared.records.outbox import Posted
    from shared.services import Services

blueprint = df.Blueprint()

# Without `since`, notices are listed for this long back.
NOTICES_WINDOW = timedelta(days=7)


def _words() -> dict[str, tuple[str, ...]]:
    from shared.domain import NoticeKind, NoticeState

    return {"state": get_args(NoticeState), "kind": get_args(NoticeKind)}


@blueprint.route(route="notices", methods=["GET"])
@answering_to("since", "until", "state", "kind", "target", "limit", "cursor", words=_words)
async def admin_notices(req: func.HttpRequest) -> func.HttpResponse:
    """Notices, newest first, and the channels; filters: since, until, state, kind, target; pages: limit, cursor."""
    made = _services()
    since, until = window_of(req, made.now(), NOTICES_WINDOW)
    page = await made.stores.outbox.query(
        since=since,
        until=until,
        state=word_of(req, "state"),
        kind=word_of(req, "kind"),
        target=req.params.get("target"),
        limit=limit_of(req),
        cursor=req.params.get("cursor"),
    )
    shown = [_view(posted) for posted in page.notices]
    return ok({"notices": shown, "next_cursor": page.next_cursor, "channels": await _channels(made)})


@blueprint.route(route="notices/{id}", methods=["GET"])
@answering
async def admin_notice(req: func.HttpRequest) -> func.HttpResponse:
    """One notice with every delivery: by which way, when, in how many attempts, as what, or why not."""
    return ok(await _full_view(_services(), req.route_params["id"]))


@blueprint.route(route="notices/{id}/resend", methods=["POST"])
@answering
async def admin_notice_resend(req: func.HttpRequest) -> func.HttpResponse:
    """Tell again what failed, or decide anew who hears of what nobody heard: {by, reason}."""
    made, body, name = _services(), body_of(req, "by", "reason"), req.route_params["id"]
    row = await made.stores.outbox.get(name)
    if row is None:
        raise _unknown(name)
    deliveries = await made.stores.outbox.deliveries(name)
    failed = [one for one in deliveries if one.value.state == "failed"]
    if row.value.state == "open":
        raise Problem(409, "conflict", "It is still on its way; GET /api/notices/ID says how far.")
    if deliveries and not failed:
        raise Problem(409, "conflict", "It was delivered by every way that it took; nothing is left to tell again.")
    await made.stores.outbox.reopen(row, failed, made.now())
    await record_control(made, f"told notice {name} again", body)
    await made.deliverer.run()
    return ok(await _full_view(made, name), 202)


@blueprint.route(route="notices/test", methods=["POST"])
@answering
async def admin_notices_test(req: func.HttpRequest) -> func.HttpResponse:
    """Send one message by a channel: {channel, by, reason}, and for mail without recipients {recipient}."""
    made = _services()
    body = body_of(req, "channel", "by", "reason", optional=("recipient",), checks=(_check_recipient,))
    settings = (await made.policies.current()).notices
    channel = settings.channel(body["channel"])
    if channel is None:
        words = ", ".join(one.name for one in settings.channels) or "none"
        raise Problem(404, "not_found", f"The policy has no channel {body['channel']!r}; there are: {words}.")
    notice = _test_notice(made, channel.name, body)
    recipients = _recipients(channel, body)
    deliveries = [_delivery(made, notice, channel.name, to, settings.give_up_after_s) for to in recipients]
    await made.stores.outbox.put(notice, deliveries=deliveries)
    await record_control(made, f"tried channel {channel.name}", body)
    await made.deliverer.run()
    return ok(await _full_view(made, notice.id), 202)


def _services() -> "Services":
    from shared.services import services

    return services()


def _unknown(name: str) -> Problem:
    return Problem(404, "not_found", f"The outbox has no notice {name!r}; GET /api/notices lists them.")


def _recipients(channel: "Channel", body: Any) -> tuple[str, ...]:
    if channel.kind != "mail":
        return ("",)
    asked = body.get("recipient")
    if asked is None and not channel.recipients:
        raise Problem(400, "invalid_request", f"Channel {channel.name} has no recipients of its own; give `recipient`.")
    return channel.recipients if asked is None else (asked,)


def _check_recipient(body: Any) -> None:
    asked = body.get("recipient")
    if asked is not None and (not isinstance(asked, str) or "@" not in asked):
        raise Problem(400, "invalid_request", f"recipient is {asked!r}; write an e-mail address.")


def _test_notice(made: "Services", channel: str, body: Any) -> "Notice":
    from shared.domain import Notice, entry_id

    now = made.now()
    return Notice(
        id=entry_id(now, f"test-of-{channel}", order=f"{now:%H%M%S%f}"),
        kind="control_switched",
        severity="info",
        at=now,
        subject=f"Test of channel {channel}",
        text=f"{body['by']} tries whether this arrives: {body['reason']}",
    )


def _delivery(made: "Services", notice: "Notice", channel: str, recipient: str, give_up_after_s: float) -> "Delivery":
    from shared.domain import Delivery

    return Delivery(
        notice=notice.id,
        channel=channel,
        recipient=recipient,
        created_at=notice.at,
        gives_up_at=notice.at + timedelta(seconds=give_up_after_s),
        next_at=notice.at,
    )


async def _channels(made: "Services") -> list[dict[str, Any]]:
    """Every channel of the policy, and every lane that has been used, with what is wrong."""
    lanes = await made.stores.outbox.channels()
    settings = (await made.policies.current()).notices
    return [
        {
            "name": channel.name,
            "kind": channel.kind,
            "lanes": [
                {
                    "recipient": lane.name.partition(" ")[2],
                    "failures_in_a_row": lane.failures,
                    "not_before": lane.not_before.isoformat() if lane.not_before else None,
                    "problem": lane.problem,
                }
                for lane in lanes
                if lane.name.partition(" ")[0] == channel.name
            ],
        }
        for channel in settings.channels
    ]


async def _full_view(made: "Services", name: str) -> dict[str, Any]:
    from shared.people.delivery import delivered
    from shared.people.templates import runbook_of, template_of

    row = await made.stores.outbox.get(name)
    if row is None:
        raise _unknown(name)
    notice, ways = row.value.notice, await made.stores.outbox.deliveries(name)
    return {
        **_view(row.value),
        "text": notice.text,
        "facts": dict(notice.facts),
        "links": sorted(notice.links),  # their labels: a link is for its recipient alone
        "advice": template_of(notice.kind).advice,
        "runbook": runbook_of(notice.kind),
        "owners": list(notice.owners),
        "members": list(row.value.members),
        "told": await delivered(made.stores.outbox, name),
        "deliveries": [_delivery_view(way.value) for way in ways],
    }


def _view(posted: "Posted") -> dict[str, Any]:
    notice = posted.notice
    return {
        "id": notice.id,
        "kind": notice.kind,
        "severity": notice.severity,
        "at": notice.at.isoformat(),
        "subject": notice.subject,
        "target": notice.target,
        "project": notice.project,
        "recipient": notice.recipient,
        "entry": notice.entry,
        "state": posted.state,
        "ended_at": posted.ended_at.isoformat() if posted.ended_at else None,
    }


def _delivery_view(way: "Delivery") -> dict[str, Any]:
    shown = ("channel", "recipient", "state", "attempts", "receipt", "problem", "digest", "operation")
    times = ("created_at", "sent_at", "next_at", "ended_at")
    moments = {name: cast("Any", getattr(way, name)) for name in times}
    return {name: getattr(way, name) for name in shown} | {
        name: None if at is None or (name == "next_at" and way.is_over) else at.isoformat()
        for name, at in moments.items()
    }
