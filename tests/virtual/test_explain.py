"""Explain, for every kind of entry of the ledger: a sentence, and the way to everything that belongs to it."""

from typing import Any

from tests.virtual.approvals import ADA, asked, follow, gated, links
from tests.virtual.arena import QUICK, Arena, policy_text
from tests.virtual.conftest import VIRTUAL, OpenArena
from tests.virtual.test_intake import send
from tests.virtual.test_mixed_deliveries import event

pytestmark = VIRTUAL


async def explained(arena: Arena, entry_id: str) -> dict[str, Any]:
    return dict(await arena.call("GET", f"explain/{entry_id}", status=200))


def relations(told: dict[str, Any]) -> list[tuple[str, str]]:
    """Relation and kind of everything that belongs to it."""
    return sorted((one["relation"], one["kind"]) for one in told["related"])


async def test_from_a_signal_to_the_outcome_and_back(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3)) as arena:
        await send(arena, event(arena))
        await arena.pass_time(120)
        (signal,) = await arena.entries("signal")
        (decision,) = await arena.entries("decision")
        (outcome,) = await arena.entries("outcome")
        told = await explained(arena, signal.id)
        assert relations(told) == [("decision", "decision")]
        assert "It led to: chat 1 -> 3 (below_min)" in told["sentence"]
        told = await explained(arena, decision.id)
        assert relations(told) == [("outcome", "outcome"), ("signal", "signal")]
        assert {one["id"] for one in told["related"]} == {outcome.id, signal.id}
        told = await explained(arena, outcome.id)
        assert [one["id"] for one in told["related"]] == [decision.id]
        assert "Done (verified)" in told["sentence"]
        assert "It is the end of: 1 -> 3 (below_min)" in told["sentence"]
        for one in told["related"]:
            await arena.call("GET", one["explain"].removeprefix("/api/"), status=200)


async def test_a_signal_that_changed_nothing(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text("observe")) as arena:
        await send(arena, event(arena))
        (signal,) = await arena.entries("signal")
        told = await explained(arena, signal.id)
        assert told["related"] == []
        assert "No decision names it as its cause" in told["sentence"]


async def test_an_approval_with_its_answers(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3, extra=gated())) as arena:
        question = await asked(arena)
        await arena.pass_time(120)
        await follow(arena, (await links(arena, ADA))["approve"])
        await arena.pass_time(120)
        told = await explained(arena, question.id)
        assert ("approval", "approval") in relations(told)
        assert ("outcome", "outcome") in relations(told)
        assert told["approval"]["state"] == "used"
        (first, *_) = await arena.entries("approval")
        told = await explained(arena, first.id)
        assert ("decision", "decision") in relations(told)
        assert first.id not in {one["id"] for one in told["related"]}
        assert "The question now: " in told["sentence"]


async def test_the_end_of_a_question_is_said_once(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3, extra=gated())) as arena:
        await asked(arena)
        await arena.control("POST", "pause", scope="all")
        await arena.pass_time(60)
        (*_, end) = await arena.entries("approval")
        told = await explained(arena, end.id)
        assert told["sentence"].count("It was replaced") == 1


async def test_a_switch_and_a_notice_say_who_was_told(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=1)) as arena:
        await arena.control("PUT", "kill-switch", scope="all")
        (switched,) = await arena.entries("control")
        told = await explained(arena, switched.id)
        assert (told["notice"]["kind"], told["notice"]["state"]) == ("control_switched", "open")
        assert told["sentence"].endswith("It is on its way to people.")
        await arena.evaluate()
        await arena.person_sets(4)
        await arena.pass_time(240)
        (noticed,) = [one for one in await arena.entries("notice") if one.summary.startswith("Capacity went")]
        told = await explained(arena, noticed.id)
        assert told["notice"]["state"] == "nobody"
        assert told["sentence"].endswith("The policy knows nobody to be told.")
        await arena.call("GET", told["notice"]["show"].removeprefix("/api/"), status=200)


async def test_a_receipt_of_a_question_leads_to_the_decision_that_it_asked_about(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3, extra=gated())) as arena:
        question = await asked(arena)
        await arena.pass_time(120)
        receipts = [one for one in await arena.entries("notice") if "told" in one.body]
        related = (await explained(arena, receipts[0].id))["related"]
        assert ("told_of", question.id) in {(one["relation"], one["id"]) for one in related}


async def test_a_decision_is_explained_in_rates_drain_times_and_money(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text("observe")) as arena:
        arena.send(300)
        await arena.evaluate()
        (decision,) = await arena.decisions()
        told = (await explained(arena, decision.id))["reckoned"]
        assert told["rates"]["service_rate_per_s"] == 0.05
        assert {"mean_per_s", "high_per_s", "error_per_s"} <= told["forecast"].keys()
        assert told["forecast"]["mode"] == "shadow"
        drains = told["drain_s"]
        assert drains["promised"] == 600
        assert drains["without_the_change"] == 6000
        assert drains["with_the_change"] < drains["without_the_change"]
        money = told["money"]
        price = money["usd_per_instance_and_hour"]
        assert price > 0
        assert money["price_source"] == "Azure ML size list"
        assert money["usd_per_hour_without_the_change"] == price
        assert money["usd_per_hour_with_the_change"] == round(decision.to * price, 4)
        assert f"{decision.to * price:.2f} after, by the Azure ML size list." in told["in_words"]
        now = (await arena.call("GET", "targets/chat", status=200))["now"]["reckoned"]
        assert now["money"]["price_source"] == "Azure ML size list"


async def test_the_policys_price_counts_and_what_is_no_decision_has_no_money(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text("observe", min=2, price_usd_per_hour=3.5)) as arena:
        await send(arena, event(arena))
        (decision,) = await arena.decisions()
        told = (await explained(arena, decision.id))["reckoned"]
        assert told["money"]["price_source"] == "policy"
        assert told["money"]["usd_per_hour_more"] == 3.5
        (signal,) = await arena.entries("signal")
        assert (await explained(arena, signal.id))["reckoned"] is None
