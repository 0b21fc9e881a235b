"""What cannot be put back is refused in words, with a code that says why."""

from typing import Any

import pytest

from tests.virtual.arena import QUICK, Answer, policy_text
from tests.virtual.conftest import VIRTUAL, OpenArena
from tests.virtual.test_undo import grown, shown, told, undo

pytestmark = VIRTUAL


def is_refused(got: Answer, status: int, code: str, words: str) -> bool:
    assert (got.status, got.content_type, got.body["code"]) == (status, "application/problem+json", code), got
    assert words in got.body["detail"], got
    return True


async def test_an_id_of_no_change_that_was_made(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3)) as arena:
        arena.fault("PATCH", "deployments", 400, times=1)
        await arena.evaluate()
        (failed,) = await arena.outcomes()
        assert failed.kind == "failed"
        (entry,) = await arena.entries("outcome")
        for one in (failed.action_key, entry.id):
            assert is_refused(await undo(arena, one), 409, "not_carried_out", "names no change that was carried out")
        await arena.control("PUT", "kill-switch", scope="all")
        (switched,) = await arena.entries("control")
        assert is_refused(await undo(arena, switched.id), 409, "not_carried_out", switched.id)
        assert is_refused(await undo(arena, "20260105T1-none"), 404, "not_found", "GET /api/ledger")
        assert len(await told(arena)) == 1


async def test_a_change_that_is_under_way(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3)) as arena:
        await arena.evaluate()
        (decision,) = await arena.decisions()
        assert is_refused(await undo(arena, decision.id), 409, "not_carried_out", "no outcome (yet)")


async def test_a_newer_change_is_not_undone_with_it(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(max=6)) as arena:
        change = await grown(arena)
        arena.set_policy(policy_text(max=8))
        await arena.pass_time(30)
        assert is_refused(await undo(arena, change), 409, "overtaken", "is under way")
        await arena.pass_time(120)
        newer = (await arena.decisions())[-1].id
        assert newer != change
        assert is_refused(await undo(arena, change), 409, "overtaken", f"POST /api/undo/{newer}")
        assert (await shown(arena))["standing_intents"] == []


async def test_a_change_by_others_is_not_undone_with_it(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK) as arena:
        change = await grown(arena)
        left = arena.capacity()
        await arena.person_sets(2)
        got = await undo(arena, change)
        assert is_refused(got, 409, "overtaken", "is Updating by an operation that is not ours")
        await arena.pass_time(70)
        assert is_refused(await undo(arena, change), 409, "overtaken", "and there are 2 now")
        await arena.pass_time(80)
        await arena.person_sets(left)
        await arena.pass_time(150)
        assert is_refused(await undo(arena, change), 409, "overtaken", "Somebody else has changed it since")


async def test_what_was_put_back_already(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK) as arena:
        change = await grown(arena)
        await undo(arena, change)
        await arena.pass_time(120)
        await arena.control("POST", "pause", scope="all")
        await undo(arena, change, "DELETE")
        assert is_refused(await undo(arena, change), 409, "already_undone", "was put back already, by ")


async def test_a_target_that_left_the_policy(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK) as arena:
        change = await grown(arena)
        arena.set_policy(policy_text().partition("targets:")[0])
        await arena.pass_time(10)
        assert is_refused(await undo(arena, change), 404, "not_in_policy", "The policy names chat no more")
        assert (await undo(arena, change, "DELETE")).status == 200


async def test_what_the_policy_does_not_allow(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3)) as arena:
        await arena.pass_time(120)
        (decision,) = await arena.decisions()
        assert is_refused(await undo(arena, decision.id), 409, "outside_policy", "(min 3, max 10)")


@pytest.mark.parametrize(
    ("body", "word"), [({"for_s": 0}, "for_s is 0"), ({"until": "x"}, "until"), ({"by": ""}, "by")]
)
async def test_a_body_that_cannot_be_used(open_arena: OpenArena, body: dict[str, Any], word: str) -> None:
    async with open_arena(shape=QUICK) as arena:
        got = await undo(arena, await grown(arena), **body)
        assert is_refused(got, 400, "invalid_request", word)
