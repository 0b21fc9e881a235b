"""One page for the person on call: every part, what needs attention first, and each part failing alone."""

from typing import Any

from shared.overview import PARTS, overview
from shared.overview.parts import Shown
from shared.records.errors import CorruptRow
from tests.virtual.approvals import asked, gated
from tests.virtual.arena import QUICK, Arena, policy_text
from tests.virtual.conftest import VIRTUAL, OpenArena
from tests.virtual.test_intake import post

pytestmark = VIRTUAL

FREEZES = """\
freezes:
  - {name: now, reason: audit, scopes: [all], allow: [growth], zone: UTC, once: {from: "2020-01-01 00:00", until: "2199-01-01 00:00"}}
  - {name: later, reason: feast, scopes: [all], zone: UTC, once: {from: "2198-01-01 00:00", until: "2199-01-01 00:00"}}
  - {name: weekend, reason: rest, scopes: [all], allow: [growth], zone: Europe/Berlin, weekly: {days: [sat], from: "00:00", until: "12:00"}}
"""  # noqa: E501 - one line a window


async def state(arena: Arena) -> dict[str, Any]:
    return dict(await arena.call("GET", "state", status=200))


async def test_a_quiet_estate(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text()) as arena:
        await arena.evaluate("all")
        shown = await state(arena)
        assert shown.keys() == {"at", "attention", *PARTS}
        assert all("problem" not in shown[name] for name in PARTS), shown
        assert shown["modes"]["targets"] == {"off": 0, "observe": 0, "enforce": 1}
        assert shown["timers"]["sweep"] is not None
        assert shown["attention"] == []


async def test_what_stops_changes_and_what_waits(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3, extra=FREEZES + gated())) as arena:
        question = await asked(arena)
        await arena.control("PUT", "kill-switch", scope="target:chat", reason="smoke")
        await arena.control("POST", "pause", scope="loop:scaling")
        await arena.control("PUT", "exemptions", scope="target:chat", acts="delete", owner="a@example.com", for_s=3600)
        await post(arena, b"{")
        shown = await state(arena)
        assert [one["scope"] for one in shown["kill_switches"]["on"]] == ["target:chat"]
        assert [one["scope"] for one in shown["pauses"]["held"]] == ["loop:scaling"]
        assert "now" in {one["name"] for one in shown["freezes"]["now"]}
        assert "later" in {one["name"] for one in shown["freezes"]["next"]}
        assert {one["name"] for part in ("now", "next") for one in shown["freezes"][part]} >= {"now", "weekend"}
        assert shown["exemptions"]["in_force"] == 1
        assert [one["id"] for one in shown["approvals"]["waiting"]] == [question.id]
        assert shown["quarantine"]["open"] == 1
        words = "\n".join(shown["attention"])
        for part in (
            "Kill switch on for target:chat by ada: smoke",
            "Waiting for approval: 1",
            "quarantine: 1",
            "without an end",
        ):
            assert part in words


async def test_a_change_without_an_end(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3)) as arena:
        arena.next_operation(kind="never")
        await arena.evaluate()
        assert (await state(arena))["actions"] == {"under_way": 1, "stuck": []}
        await arena.pass_time(2760)
        shown = await state(arena)
        assert [one["target"] for one in shown["actions"]["stuck"]] == ["chat"]
        assert "A change of chat has no end after 45 minutes" in shown["attention"]


async def test_a_part_that_cannot_be_read_hides_no_other(open_arena: OpenArena) -> None:
    async def broken(_made: Any, _now: Any) -> Shown:
        raise CorruptRow("pause of all in WatchkeeperControls: not JSON")

    async with open_arena(policy="version: 2") as arena:
        shown = await state(arena)
        unread = {name for name in PARTS if "problem" in shown[name]}
        assert {"modes", "policy", "blast_radius"} <= unread
        assert unread.isdisjoint({"kill_switches", "pauses", "quarantine", "approvals", "timers", "secrets"})
        assert all(
            any(line.startswith(f"{name} could not be read: ") for line in shown["attention"]) for name in unread
        )
        page = await overview(arena.made, {**PARTS, "pauses": broken})
        assert page["pauses"] == {
            "problem": "could not be read: CorruptRow: pause of all in WatchkeeperControls: not JSON"
        }
        assert page["quarantine"]["open"] == 0
