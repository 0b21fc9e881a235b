"""One change per decision, however often and at how many places at once somebody looks; the newest decision counts."""

import asyncio
from typing import Any

from local.world import NAMESPACE
from tests.virtual.arena import QUICK, Arena, policy_text
from tests.virtual.conftest import VIRTUAL, OpenArena

pytestmark = VIRTUAL


def alert(arena: Arena) -> dict[str, Any]:
    """As an action group's webhook sends it."""
    return {
        "schemaId": "azureMonitorCommonAlertSchema",
        "data": {
            "essentials": {
                "alertId": f"{NAMESPACE.rpartition('/providers')[0]}/providers/Microsoft.AlertsManagement/alerts/a-1",
                "alertRule": "work is deep",
                "monitorCondition": "Fired",
                "alertTargetIDs": [NAMESPACE],
                "firedDateTime": arena.clock.now().isoformat(),
            },
            "alertContext": {
                "condition": {
                    "allOf": [{"metricName": "ActiveMessages", "dimensions": [{"name": "EntityName", "value": "work"}]}]
                }
            },
        },
    }


async def test_the_same_alert_ten_times(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3)) as arena:
        (first,) = (await arena.call("POST", "alerts", alert(arena), status=202))["items"]
        assert (first["became"], first["kind"], first["targets"]) == ("signal", "alert.metric", 1)
        for _ in range(9):
            (again,) = (await arena.call("POST", "alerts", alert(arena), status=202))["items"]
            assert (again["became"], again["kind"]) == ("duplicate", "alert.metric")
        await arena.pass_time(120)
        assert len(arena.sent()) == 1
        (entry,) = await arena.entries("decision")
        assert "alert.metric" in str(entry.body["cause"])
        assert [one.kind for one in await arena.outcomes()] == ["succeeded"]


async def test_many_looks_at_once(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3)) as arena:
        told = await asyncio.gather(
            *(arena.call("POST", "evaluate", {"target": name}, status=202) for name in ("all", "chat") * 3),
            *(arena.call("POST", "alerts", alert(arena), status=202) for _ in range(3)),
        )
        assert [one.get("problems", []) for one in told] == [[]] * 9, "who comes second has nothing to complain of"
        await arena.pass_time(120)
        assert len(arena.sent()) == 1
        assert len(await arena.decisions()) == 1
        assert len(await arena.outcomes()) == 1


async def test_an_alert_on_another_queue_looks_at_nothing(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3)) as arena:
        other = alert(arena)
        other["data"]["alertContext"]["condition"]["allOf"][0]["dimensions"][0]["value"] = "another"
        taken = await arena.call("POST", "alerts", other, status=202)
        assert taken["items"][0]["targets"] == 0
        assert [entry.kind for entry in await arena.entries()] == ["signal"]


async def test_the_newer_decision_replaces_one_that_waits(open_arena: OpenArena) -> None:
    """Azure is busy; meanwhile more is needed: only what is needed now is sent."""
    async with open_arena(shape=QUICK, policy=policy_text(min=3)) as arena:
        arena.fault("PATCH", "deployments", 409, headers={"Retry-After": "60"}, times=1)
        await arena.evaluate()
        arena.set_policy(policy_text(min=5))
        await arena.pass_time(150)
        assert [record.body["sku"]["capacity"] for record in arena.sent()] == [3, 5]
        assert [record.accepted for record in arena.sent()] == [False, True]
        assert [(one.kind, one.code) for one in await arena.outcomes()] == [
            ("superseded", "newer_decision"),
            ("succeeded", "verified"),
        ]
        assert [decision.to for decision in await arena.decisions()] == [3, 5]
        (replaced, _) = await arena.outcomes()
        assert replaced.reason == "A newer decision replaced it; the request that was sent had changed nothing."


async def test_a_need_that_is_gone_withdraws_the_order(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3)) as arena:
        arena.fault("PATCH", "deployments", 409, headers={"Retry-After": "60"}, times=1)
        await arena.evaluate()
        arena.set_policy(policy_text(min=1))
        await arena.pass_time(120)
        assert len(arena.sent()) == 1
        assert arena.capacity() == 1
        (outcome,) = await arena.outcomes()
        assert (outcome.kind, outcome.code) == ("superseded", "newer_decision")
        shown = await arena.call("GET", "targets/chat", status=200)
        assert shown["order"] is None


async def test_a_busy_deployment_is_waited_for_and_then_changed(open_arena: OpenArena) -> None:
    """A person changes a tag: the update runs for a while, and the decision is carried out after it."""
    async with open_arena(shape=QUICK, policy=policy_text(min=3)) as arena:
        lifecycle = arena.world.cloud.lifecycle
        lifecycle.shortest_operation_s = 100
        await arena.person_changes(tags={"owner": "ada"})
        await arena.evaluate("all")  # in bulk, by Resource Graph, which does not know of the update yet
        assert len(await arena.decisions()) == 1
        assert arena.sent() == []
        lifecycle.shortest_operation_s = 2
        await arena.pass_time(200)
        assert arena.capacity() == 3
        assert len(arena.sent()) == 1
        assert await arena.entries("notice") == []
