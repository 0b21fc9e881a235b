"""What the app is killed in the middle of: each mechanism at work, as the outside world sets it to work.

Everybody outside does what they do in Azure: senders deliver again until they are answered with success, operators and
those who approve repeat what was not answered, timers fire, Durable delivers again.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace

from local.world import Shape
from tests.virtual.approvals import ADA, BEA, gated
from tests.virtual.arena import QUICK, Arena, policy_text
from tests.virtual.kills.course import PATIENCE, Course, GaveUp
from tests.virtual.test_dead_letters import dead
from tests.virtual.test_gates import BUSY, TWO_FAILURES, freeze
from tests.virtual.test_mixed_deliveries import event

THREE_CHANNELS = """
notices:
  channels:
    - {name: topic, kind: event_grid}
    - {name: oncall, kind: teams, secret: teams-oncall}
    - {name: mail, kind: mail, recipients: [ops@example.com]}
"""
BY_MAIL = """
notices:
  channels:
    - {name: mail, kind: mail, recipients: [ops@example.com]}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """`live` is the whole course, from the first request to the end of what follows; `malformed` how many bodies
    in it cannot be read (`bad`).
    """

    name: str
    policy: str
    live: Callable[[Course], Awaitable[None]]
    shape: Shape = QUICK
    assumptions: Mapping[str, str] = field(default_factory=dict)
    malformed: int = 0


async def _grow(course: Course) -> None:
    await course.evaluate()
    await course.arena.pass_time(150)


async def _grow_by_link(course: Course) -> None:
    arena = course.arena
    await course.evaluate()
    await arena.pass_time(130)  # asked, and the mail is on its way
    assert await course.follow(await course.link_of(ADA), reason="we expect load") == 200
    await arena.pass_time(150)


async def _grow_by_api(course: Course) -> None:
    """Two must say yes; the first of them is told twice."""
    arena = course.arena
    await course.evaluate()
    await arena.pass_time(60)
    (question,) = (await course.call("GET", "approvals"))["approvals"]
    for who in (ADA, BEA):
        await course.call("POST", f"approvals/{question['id']}/approve", {"by": who, "reason": "we expect load"})
    await arena.pass_time(150)


async def _deny(course: Course) -> None:
    await course.evaluate()
    await course.arena.pass_time(60)
    (question,) = (await course.call("GET", "approvals"))["approvals"]
    await course.call("POST", f"approvals/{question['id']}/deny", {"by": ADA, "reason": "it is a holiday"})
    await course.arena.pass_time(120)


async def _shrink(course: Course) -> None:
    await course.evaluate()
    await course.arena.pass_time(150)


def bad(arena: Arena, number: int) -> bytes:
    """A body that cannot be read, of this run alone."""
    return f'{{"half": "a body of number {number} of {arena.opened_at}'.encode()


async def _storm(course: Course) -> None:
    """Eleven deliveries of nine signals and two bodies that cannot be read, some twice, out of order."""
    arena = course.arena
    data = {"VaultName": "demo-kv", "ObjectType": "Secret", "ObjectName": "any-webhook", "Version": "v2"}
    secret = {"eventType": "Microsoft.KeyVault.SecretNewVersionCreated", "data": data}
    signals = [event(arena, id=f"e-{number}") for number in range(7)]
    signals += [event(arena, id="e-7", **secret), event(arena, id="e-8", eventType="Contoso.Thing")]
    for some in ([signals[4], signals[0]], signals[1:6], [signals[7], signals[0]], signals[5:]):
        await course.call("POST", "alerts", some)
        await course.insist("POST", "alerts", data=bad(arena, len(some) % 2))
    await arena.pass_time(150)
    await course.upkeep()
    await course.time_for_a_turn()


async def _tell(course: Course) -> None:
    """An operator's order is told by three channels."""
    await course.control("POST", "pause", scope="target:chat", for_s=3600)
    await course.arena.pass_time(300)
    await course.upkeep()


async def _resubmit(course: Course) -> None:
    arena = course.arena
    got = await course.insist("POST", "alerts", data=bad(arena, 0))
    (kept,) = got.body["items"]
    await course.control("POST", f"quarantine/{kept['quarantine']}/resubmit", body=event(arena))
    other = await course.insist("POST", "alerts", data=bad(arena, 1))
    await course.control("POST", f"quarantine/{other.body['items'][0]['quarantine']}/discard")
    await arena.pass_time(150)


async def _switch(course: Course) -> None:
    """Every switch that operators have, on and off."""
    scope = "target:chat"
    await course.control("PUT", "exemptions", scope=scope, acts="shrink", owner="ada@example.com", for_s=60)
    await course.control("POST", "pause", scope=scope, for_s=600)
    course.arena.set_policy(policy_text(min=3))  # not before: a pause that is asked for again would come too late
    await course.arena.pass_time(60)
    await course.control("PUT", "kill-switch", scope="loop:scaling")
    await course.control("POST", "resume", scope=scope)
    await course.arena.pass_time(150)  # a sweep that dies leaves the decision under the switch to the next
    for _ in range(PATIENCE):  # the exemption has run out; the upkeep that dies is made up for by the next
        await course.upkeep()
        if not (await course.call("GET", "exemptions"))["exemptions"]:
            break
        await course.time_for_a_turn()
    await course.control("DELETE", "kill-switch", scope="loop:scaling")
    await course.control("DELETE", "exemptions", scope=scope, acts="shrink")
    await course.arena.pass_time(150)


async def _archive(course: Course) -> None:
    """A day is exported, and at last removed; whoever has the turn may die, and another takes it over."""
    await course.evaluate()
    await course.arena.pass_time(120)
    for days in (2.0, 7.0):
        await course.days_pass(days)
        await course.upkeep()
        await course.time_for_a_turn()


async def _break(course: Course) -> None:
    """Changes fail until the breaker opens and is told; somebody finds the cause, and resets it."""
    refusal = {"error": {"code": "BadArgument", "message": "no"}}
    trouble = course.arena.fault("PATCH", "deployments", 400, body=refusal)
    await course.evaluate()
    for _ in range(8):  # a request whose answer was lost in a crash is made again, after a while
        await course.arena.pass_time(150)
        if any(one["state"] == "open" for one in (await course.call("GET", "breaker"))["breakers"]):
            break
    trouble.times = 0
    await course.control("POST", "breaker/reset", scope="target:chat")
    await course.arena.pass_time(360)


async def _freeze(course: Course) -> None:
    """Azure is busy when the act first tries; by the second try a freeze has begun. It ends, and the change is made."""
    arena = course.arena
    now = arena.clock.now()
    arena.fault("PATCH", "deployments", 409, body=BUSY, times=1)
    await course.evaluate()
    arena.set_policy(policy_text(min=3, extra=freeze(now, 0.2)))
    await arena.pass_time(1200)


async def _fail(course: Course) -> None:
    """Azure takes the change, and its operation fails; people hear of it, and after a pause it is tried again."""
    course.arena.next_operation(code="OutOfCapacity")
    await course.evaluate()
    await course.arena.pass_time(420)


def _bury(arena: Arena, body: bytes) -> None:
    """A message that nobody could take."""
    queue = arena.world.broker.queue("signals")
    queue.send(body, message_id=f"m-{len(body)}")
    for delivery in queue.receive(1):
        queue.dead_letter(delivery.lock_token, "MaxDeliveryCountExceeded", "ten times")


_ALL = {"sequence_numbers": "all", "by": "ada", "reason": "the tables are back"}


async def _empty(course: Course, how: str) -> None:
    """An operator takes out all dead letters, and asks again while some are left."""
    for _ in range(4):
        await course.call("POST", f"dead-letters/signals/{how}", _ALL)
        if not dead(course.arena):
            break
        await course.arena.pass_time(90)  # what a dead process has locked is free again


async def _dead_letters(course: Course) -> None:
    """A signal that nobody could take in ten attempts is submitted again, and taken; another message is discarded."""
    arena = course.arena
    _bury(arena, json.dumps(event(arena)).encode())
    for how in ("resubmit", "discard"):
        await _empty(course, how)
        await course.queue_is_read("signals")
        if how == "resubmit":
            _bury(arena, b"nothing")
    await arena.pass_time(120)


async def _forget(course: Course) -> None:
    """What people dealt with in quarantine and dead letters is forgotten after its days; what is open is not."""
    arena = course.arena
    await course.insist("POST", "alerts", data=bad(arena, 0))
    got = await course.insist("POST", "alerts", data=bad(arena, 1))
    (done,) = got.body["items"]
    await course.control("POST", f"quarantine/{done['quarantine']}/discard")
    _bury(arena, b"nothing")
    await _empty(course, "discard")
    await course.days_pass(8.0)
    for _ in range(PATIENCE):
        await course.upkeep()
        if not (await course.call("GET", "quarantine?state=closed"))["entries"]:
            break
        await course.time_for_a_turn()
    else:
        raise GaveUp("a closed entry is still kept after its days")


_CAPACITY_6 = replace(QUICK, capacity=6)
_A_WEEK = "retention: {quarantine_days: 7}\n"

SCENARIOS: tuple[Scenario, ...] = (
    Scenario(name="growth", policy=policy_text(min=3), live=_grow),
    Scenario(name="approval-by-link", policy=policy_text(min=3, extra=gated()), live=_grow_by_link),
    Scenario(name="approval-by-two", policy=policy_text(min=3, extra=gated(2)), live=_grow_by_api),
    Scenario(name="denial", policy=policy_text(min=3, extra=gated()), live=_deny),
    Scenario(name="shrink", policy=policy_text(max=3), live=_shrink, shape=_CAPACITY_6),
    Scenario(name="storm", policy=policy_text(min=3), live=_storm, malformed=2),
    Scenario(name="notice", policy=policy_text("observe", extra=THREE_CHANNELS), live=_tell),
    Scenario(name="resubmit", policy=policy_text(min=3), live=_resubmit, malformed=2),
    Scenario(name="switches", policy=policy_text(min=1), live=_switch),
    Scenario(name="archive", policy=policy_text(min=3, extra="retention: {ledger_days: 7}\n"), live=_archive),
    Scenario(name="oblivion", policy=policy_text("off", extra=_A_WEEK), live=_forget, malformed=1),
    Scenario(name="breaker", policy=policy_text(min=3, extra=TWO_FAILURES), live=_break),
    Scenario(name="freeze", policy=policy_text(min=3), live=_freeze),
    Scenario(name="dead-letters", policy=policy_text(min=3), live=_dead_letters),
    Scenario(name="failure", policy=policy_text(min=3, extra=BY_MAIL), live=_fail),
)
BY_NAME: Mapping[str, Scenario] = {scenario.name: scenario for scenario in SCENARIOS}
