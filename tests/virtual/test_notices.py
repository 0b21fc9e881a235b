"""Telling people, over the wire: three ways out, receipts, floods, dead channels, crashes; nothing waits for it."""

import textwrap
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from azure.core.exceptions import ServiceRequestError

from local.cloud.faults import Fault
from local.eventgrid import EventSubscription, Schema, ServiceBusQueue
from shared.domain import Notice
from shared.people.delivery import delivered
from tests.virtual.arena import Arena, policy_text
from tests.virtual.conftest import VIRTUAL, OpenArena

pytestmark = VIRTUAL

CHANNELS: Mapping[str, str] = {
    "topic": "{name: topic, kind: event_grid}",
    "oncall": "{name: oncall, kind: teams, secret: teams-oncall}",
    "team": "{name: team, kind: slack, secret: slack-team}",
    "any": "{name: any, kind: webhook, secret: any-webhook}",
    "mail": "{name: mail, kind: mail, recipients: [ops@example.com]}",
}
TEAMS, SLACK, ANY, MAIL = "logic.azure.com", "hooks.slack.com", "hooks.example.com", "communication.azure.com"
RUN_S = 60


def policy(*names: str, more: str = "") -> str:
    lines = "\n".join(f"    - {CHANNELS[name]}" for name in names)
    return policy_text() + f"\nnotices:\n  channels:\n{lines}\n" + textwrap.indent(more, "  ")


def a_notice(arena: Arena, number: int = 1, **changes: Any) -> Notice:
    at = changes.pop("at", arena.clock.now())
    fields: dict[str, Any] = {
        "id": f"{at:%Y%m%dT%H%M%S}-{number:04}-action-failed-chat",
        "kind": "action_failed",
        "severity": "warning",
        "at": at,
        "subject": "A change of chat did not work",
        "text": "Azure answered: OutOfCapacity",
        "target": "chat",
        "facts": {"instances": "1 to 3"},
    }
    return Notice(**fields | changes)


async def tell(arena: Arena, *notices: Notice) -> None:
    for notice in notices:
        await arena.made.door.tell(notice)


async def run(arena: Arena) -> None:
    await arena.made.deliverer.run()
    await arena.clock.settle()


async def shown(arena: Arena, notice: Notice) -> Any:
    return await arena.call("GET", f"notices/{notice.id}", status=200)


async def test_one_notice_by_every_way(open_arena: OpenArena) -> None:
    async with open_arena(policy=policy(*CHANNELS)) as arena:
        wants = EventSubscription(name="all", destination=ServiceBusQueue("work"), schema=Schema.CLOUD_EVENTS)
        await arena.world.events.subscribe(arena.world.topic, wants)
        notice = a_notice(arena)
        await tell(arena, notice, notice)  # a repetition is one
        await arena.pass_time(2 * RUN_S)  # mail is accepted first, and followed by the next run

        inbox = arena.world.cloud.inbox
        assert [len(inbox.of(way)) for way in ("teams", "slack", "webhook", "mail")] == [1, 1, 1, 1]
        assert [len(wants.deliveries)] == [1]
        (mail,), (posted,) = inbox.of("mail", "ops@example.com"), inbox.of("webhook")
        assert "A change of chat did not work" in mail.body["content"]["subject"]
        assert "docs/runbooks/action_failed.md" in mail.body["content"]["plainText"]
        assert (posted.body["id"], posted.id, posted.body["kind"]) == (notice.id, notice.id, "action_failed")
        assert posted.body["links"] == {"explain": f"{arena.made.settings.public_url}/api/explain/{notice.id}"}

        seen = await shown(arena, notice)
        assert (seen["state"], seen["told"]) == ("delivered", "delivered")
        ways = {way["channel"]: (way["state"], way["attempts"]) for way in seen["deliveries"]}
        assert ways == dict.fromkeys(CHANNELS, ("delivered", 1))
        explained, receipt = [entry for entry in await arena.entries("notice") if notice.id in entry.id]
        assert (explained.id, receipt.body["told"]) == (notice.id, notice.id)
        assert "Told by" in receipt.summary
        assert "mail to ops@example.com" in receipt.summary
        # A webhook's URL is a secret: in no entry, no row, no answer.
        everything = f"{[entry.body for entry in await arena.entries()]}{seen}"
        assert "sig=local" not in everything
        assert "hooks.slack.com" not in everything


@pytest.mark.parametrize(
    ("host", "name", "fault", "wait_s"),
    [
        (SLACK, "team", {"status": 429, "headers": {"Retry-After": "300"}}, 300),
        (TEAMS, "oncall", {"status": 503}, 15),
        (ANY, "any", {"withhold": "close"}, 15),
        (ANY, "any", {"status": 500, "when": "after"}, 15),
        ("eventgrid", "topic", {"status": 429, "headers": {"Retry-After": "120"}}, 120),
        ("eventgrid", "topic", {"status": 403}, 15),
        (MAIL, "mail", {"status": 429, "headers": {"Retry-After": "90"}}, 90),
        (MAIL, "mail", {"withhold": "close"}, 15),
        ("vault.azure.net", "any", {"status": 403}, 15),
    ],
)
async def test_what_passes_is_tried_again_when_the_other_side_wants_it(
    open_arena: OpenArena, host: str, name: str, fault: dict[str, Any], wait_s: int
) -> None:
    async with open_arena(policy=policy(name)) as arena:
        trouble = arena.world.cloud.faults.add(Fault(host=host, times=99, **fault))
        notice = a_notice(arena)
        await tell(arena, notice)
        await run(arena)
        (way,) = (await shown(arena, notice))["deliveries"]
        hits = trouble.hits
        assert (way["state"], way["attempts"]) == ("waiting", 1)
        assert way["problem"]
        trouble.times = 0
        await run(arena)  # too early
        assert (trouble.hits, (await shown(arena, notice))["deliveries"][0]["attempts"]) == (hits, 1)
        await arena.pass_time(wait_s + RUN_S)
        await arena.pass_time(RUN_S)
        (way,) = (await shown(arena, notice))["deliveries"]
        assert (way["state"], way["attempts"]) == ("delivered", 2)


@pytest.mark.parametrize(
    ("host", "name", "status", "words"),
    [
        (SLACK, "team", 404, "the webhook is gone"),
        (TEAMS, "oncall", 410, "the webhook is gone"),
        (ANY, "any", 400, "form of message"),
        (ANY, "any", 302, "a redirect"),
        ("eventgrid", "topic", 404, "whether the topic exists"),
        (MAIL, "mail", 400, "verified address"),
    ],
)
async def test_what_will_never_work_is_given_up_at_once_and_says_what_to_do(
    open_arena: OpenArena, host: str, name: str, status: int, words: str
) -> None:
    async with open_arena(policy=policy(name)) as arena:
        headers = {"Location": "https://hooks.example.com/hooks/other"} if status == 302 else {}
        trouble = arena.world.cloud.faults.add(Fault(host=host, status=status, headers=headers, times=99))
        notice = a_notice(arena)
        await tell(arena, notice)
        await run(arena)
        seen = await shown(arena, notice)
        (way,) = seen["deliveries"]
        assert (seen["state"], seen["told"], way["state"], way["attempts"]) == ("failed", "failed", "failed", 1)
        assert words in way["problem"]
        assert any(words in entry.summary for entry in await arena.entries("notice"))
        listed = await arena.call("GET", "notices?state=failed", status=200)
        assert [one["id"] for one in listed["notices"]] == [notice.id]

        trouble.times = 0  # somebody mends it, and tells it again
        again = {"by": "ada", "reason": "mended"}
        await arena.call("POST", f"notices/{notice.id}/resend", again, status=202)
        await arena.pass_time(RUN_S + 10)
        assert (await shown(arena, notice))["state"] == "delivered"
        refused = await arena.call("POST", f"notices/{notice.id}/resend", again, status=409)
        assert refused["code"] == "conflict"


async def test_a_rotated_webhook_is_read_anew_when_the_old_one_is_gone(open_arena: OpenArena) -> None:
    async with open_arena(policy=policy("any")) as arena:
        await tell(arena, first := a_notice(arena, 1))
        await run(arena)
        await arena.pass_time(60)
        vault = arena.world.cloud.estate.vault("demo-kv")
        vault.set("any-webhook", "https://hooks.example.com/hooks/newer", arena.clock.now())
        arena.world.cloud.faults.add(Fault(host=ANY, path="/hooks/oncall", status=410, times=99))
        await tell(arena, second := a_notice(arena, 2))
        await run(arena)
        assert [(await shown(arena, one))["state"] for one in (first, second)] == ["delivered", "delivered"]
        assert len(arena.world.cloud.inbox.of("webhook", "hooks.example.com/hooks/newer")) == 1


@pytest.mark.parametrize("url", ["http://hooks.example.com/hooks/a", "https://127.0.0.1/x", "https://169.254.169.254/"])
async def test_a_secret_that_leads_inside_is_never_called(open_arena: OpenArena, url: str) -> None:
    async with open_arena(policy=policy("any")) as arena:
        arena.world.cloud.estate.vault("demo-kv").set("any-webhook", url, arena.clock.now())
        await tell(arena, notice := a_notice(arena))
        await run(arena)
        (way,) = (await shown(arena, notice))["deliveries"]
        assert way["state"] == "failed"
        assert url not in way["problem"]
        assert "any-webhook" in way["problem"]
        assert arena.world.cloud.refused_hosts == []


@pytest.mark.parametrize("unknown", ["404", "400"])
@pytest.mark.parametrize("repeated", ["same_operation", "sends_again", "conflict"])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_crash_between_a_mail_and_its_receipt_sends_it_once(
    open_arena: OpenArena, when: Any, repeated: str, unknown: str
) -> None:
    assumptions = {"mail.repeated_operation_id": repeated, "mail.unknown_operation": unknown}
    async with open_arena(policy=policy("mail"), assumptions=assumptions) as arena:
        arena.world.cloud.faults.add(Fault(method="POST", host=MAIL, when=when, withhold="close"))
        await tell(arena, notice := a_notice(arena))
        await run(arena)
        await arena.pass_time(3 * RUN_S)
        assert (await shown(arena, notice))["state"] == "delivered"
        assert len(arena.world.cloud.inbox.of("mail")) == 1


async def test_a_process_that_dies_with_the_lane_leaves_it_to_another(open_arena: OpenArena) -> None:
    async with open_arena(policy=policy("any")) as arena:
        outbox = arena.made.stores.outbox
        await tell(arena, notice := a_notice(arena))

        async def dies(*_: object) -> None:
            raise ServiceRequestError("the process is gone")

        put_delivery, put_channel = outbox.put_delivery, outbox.put_channel
        arena.world.cloud.faults.add(
            Fault(host=ANY, when="after", on_hit=lambda _: _stop(outbox, dies))  # sent, and nothing written any more
        )
        await run(arena)
        outbox.put_delivery, outbox.put_channel = put_delivery, put_channel  # type: ignore[method-assign]
        assert len(arena.world.cloud.inbox.of("webhook")) == 1
        await run(arena)  # the lease of the dead
        assert (await shown(arena, notice))["deliveries"][0]["state"] == "waiting"
        await arena.pass_time(180)
        seen = await shown(arena, notice)
        assert (seen["state"], seen["deliveries"][0]["attempts"]) == ("delivered", 2)
        # At least once: the same id tells the receiver.
        assert [one.id for one in arena.world.cloud.inbox.of("webhook")] == [notice.id, notice.id]


def _stop(outbox: Any, dies: Any) -> None:
    outbox.put_delivery, outbox.put_channel = dies, dies


async def test_a_flood_is_a_few_messages_and_loses_none(open_arena: OpenArena) -> None:
    digest = "digest: {window_s: 300, limit: 5}"
    async with open_arena(policy=policy("oncall", more=digest)) as arena:
        flood = [a_notice(arena, number) for number in range(500)]
        urgent = a_notice(arena, 900, severity="critical", kind="sweep_stopped", id="")
        urgent = replace(urgent, id=f"{urgent.at:%Y%m%dT%H%M%S}-sweep-stopped")
        for notice in flood:  # without the ledger: five hundred entries are not what this is about
            await arena.made.door.put(notice)
        await run(arena)
        await tell(arena, urgent)
        await run(arena)
        inbox = arena.world.cloud.inbox
        assert len(inbox.of("teams")) == 6  # five singly, and what is critical at once
        await arena.pass_time(300 + 2 * RUN_S)
        messages = inbox.of("teams")
        assert len(messages) == 7
        assert "495 notices" in str(messages[-1].body)
        states = [await delivered(arena.made.stores.outbox, notice.id) for notice in (*flood[:6], flood[-1], urgent)]
        assert set(states) == {"delivered"}
        work = await arena.made.stores.outbox.work()
        assert (work.open, dict(work.waiting)) == ((), {})
        (listed,) = (await arena.call("GET", "notices?kind=digest", status=200))["notices"]
        assert len((await arena.call("GET", f"notices/{listed['id']}", status=200))["members"]) == 495
        # One receipt for all that the digest told, not five hundred.
        assert len([one for one in await arena.entries("notice") if "-told-" in one.id]) == 7


async def test_a_dead_channel_blocks_nothing(open_arena: OpenArena) -> None:
    """Neither the other channels nor a change; and it is asked now and then, not for each notice."""
    async with open_arena(policy=policy("oncall", "team")) as arena:
        dead = arena.world.cloud.faults.add(Fault(host=TEAMS, status=503, times=9999))
        await tell(arena, *[a_notice(arena, number) for number in range(8)])
        arena.send(20)
        await arena.pass_time(600)
        assert len(arena.world.cloud.inbox.of("slack")) >= 8
        assert len(arena.patches()) >= 1
        assert dead.hits < 10
        channels = (await arena.call("GET", "notices", status=200))["channels"]
        (lane,) = next(one for one in channels if one["name"] == "oncall")["lanes"]
        assert lane["failures_in_a_row"] == dead.hits
        assert "answered 503" in lane["problem"]


async def test_after_a_day_a_delivery_is_given_up_and_the_ledger_says_so(open_arena: OpenArena) -> None:
    async with open_arena(policy=policy("oncall", more="give_up_after_s: 3600")) as arena:
        arena.world.cloud.faults.add(Fault(host=TEAMS, status=503, times=9999))
        await tell(arena, notice := a_notice(arena))
        await arena.pass_time(3600 + 1000)
        seen = await shown(arena, notice)
        assert (seen["state"], seen["told"]) == ("failed", "failed")
        assert "given up after" in seen["deliveries"][0]["problem"]
        assert any("Not told by oncall" in entry.summary for entry in await arena.entries("notice"))


async def test_an_approval_reaches_its_one_recipient_with_links_and_nobody_else_gets_them(
    open_arena: OpenArena,
) -> None:
    async with open_arena(policy=policy("any", "mail")) as arena:
        outbox = arena.made.stores.outbox
        link = "https://watchkeeper.example/api/approvals/1?token=only-for-ada"
        asked = a_notice(
            arena,
            kind="approval_requested",
            recipient="ada@example.com",
            links={"approve": link},
        )
        assert await delivered(outbox, asked.id) == "unknown"
        await arena.made.door.put(asked)
        assert await delivered(outbox, asked.id) == "waiting"
        arena.fault("POST", "emails:send", 503, times=1)
        await run(arena)
        assert await delivered(outbox, asked.id) == "waiting"  # others know, but not the one who is asked
        await arena.pass_time(4 * RUN_S)
        assert await delivered(outbox, asked.id) == "delivered"
        inbox = arena.world.cloud.inbox
        assert link in inbox.of("mail", "ada@example.com")[0].body["content"]["plainText"]
        others = [*inbox.of("mail", "ops@example.com"), *inbox.of("webhook")]
        assert len(others) == 2
        assert "only-for-ada" not in str([one.body for one in others])
        assert "only-for-ada" not in str(await arena.call("GET", f"notices/{asked.id}"))
        assert "only-for-ada" not in str([entry.body for entry in await arena.entries()])


async def test_without_a_way_a_notice_is_kept_and_says_that_nobody_heard(open_arena: OpenArena) -> None:
    async with open_arena() as arena:
        await tell(arena, notice := a_notice(arena))
        await run(arena)
        assert (await shown(arena, notice))["state"] == "nobody"
        assert await delivered(arena.made.stores.outbox, notice.id) == "nobody"
        arena.set_policy(policy("any"))
        await arena.pass_time(10)
        await arena.call("POST", f"notices/{notice.id}/resend", {"by": "ada", "reason": "a channel now"}, status=202)
        assert (await shown(arena, notice))["state"] == "delivered"


async def test_an_owner_tag_is_read_where_the_policy_names_nobody(open_arena: OpenArena) -> None:
    async with open_arena(policy=policy("mail")) as arena:
        arena.deployment().body["tags"] = {"Owner": "chat-team@example.com"}
        await tell(arena, a_notice(arena))
        await run(arena)
        to = {one.address for one in arena.world.cloud.inbox.of("mail")}
        assert to == {"ops@example.com", "chat-team@example.com"}


async def test_trying_a_channel(open_arena: OpenArena) -> None:
    async with open_arena(policy=policy("any", "mail")) as arena:
        asked = {"by": "ada", "reason": "does it work?"}
        told = await arena.call("POST", "notices/test", asked | {"channel": "any"}, status=202)
        assert told["state"] == "delivered"
        (got,) = arena.world.cloud.inbox.of("webhook")
        assert "does it work?" in got.body["text"]
        mail = asked | {"channel": "mail", "recipient": "ada@example.com"}
        told = await arena.call("POST", "notices/test", mail, status=202)
        assert [way["recipient"] for way in told["deliveries"]] == ["ada@example.com"]
        unknown = await arena.call("POST", "notices/test", asked | {"channel": "pager"}, status=404)
        assert "any, mail" in unknown["detail"]
        bad = await arena.call("POST", "notices/test", mail | {"recipient": "ada"}, status=400)
        assert "e-mail address" in bad["detail"]
        assert (await arena.call("GET", "notices/20260101T-nothing", status=404))["code"] == "not_found"
        assert (await arena.call("GET", "notices?state=lost", status=400))["code"] == "invalid_request"
